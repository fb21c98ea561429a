//! Leads in the schema.

pub(super) mod figures;
pub mod lead;
pub(super) mod mutations;
pub(super) mod queries;
