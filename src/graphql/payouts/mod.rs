//! Payouts in the schema.

pub(super) mod mutations;
pub mod payout;
pub mod preview;
pub(super) mod queries;
pub(super) mod reveal_mutation;
pub(super) mod step_mutations;
