//! Moving in from other systems, as the API shows it.

pub mod data_import;
pub mod finding;
pub mod imported;
pub(super) mod imported_as;
pub(super) mod mutations;
pub mod outcome;
pub(super) mod queries;
