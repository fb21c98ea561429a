//! Commissions: how they are earned, decided, taken back and put right.

pub mod commission;
pub mod corrections;
pub mod refunds;
pub mod rules;
