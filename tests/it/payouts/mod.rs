//! Payouts.

pub mod payout;
pub mod release;
