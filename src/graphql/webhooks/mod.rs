//! Webhooks: which other systems hear of what happens, and what was sent to them.

pub mod attempt;
pub mod delivery;
pub(super) mod delivery_mutations;
pub mod endpoint;
pub(super) mod endpoint_mutations;
pub(super) mod queries;
