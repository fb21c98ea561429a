//! Payouts.

pub mod payouts;
pub mod release;
