//! Customers in the schema, and which partner manages them.

pub mod customer;
pub(super) mod mutations;
pub(super) mod queries;
