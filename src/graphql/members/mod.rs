//! Members in the schema.

pub(super) mod import_mutations;
pub mod member;
pub(super) mod mutations;
pub(super) mod queries;
