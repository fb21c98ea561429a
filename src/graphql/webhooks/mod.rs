//! Webhooks: which other systems hear of what happens, and what was sent to them; which services report what happens there, and what became of that.

pub mod attempt;
pub mod delivery;
pub(super) mod delivery_mutations;
pub mod endpoint;
pub(super) mod endpoint_mutations;
pub(super) mod queries;
pub mod receipt;
pub mod source;
pub(super) mod source_mutations;
