//! The audit trail, as the API shows it.

pub mod entry;
pub(super) mod queries;
