//! Payouts: how they are made, and the steps that they take.

pub mod batch;
pub mod for_all_partners;
pub mod list;
pub mod payout;
pub mod reveal;
pub mod status;
pub mod step;
