//! Credits in the schema.

pub(super) mod correction_mutations;
pub mod credit;
pub mod ledger;
pub(super) mod mutations;
pub(super) mod queries;
pub(super) mod redemption_mutations;
