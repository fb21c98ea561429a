//! Who sees and does what: by the API, by PostgreSQL, by permission.

pub mod by_the_api;
pub mod database_roles;
mod link_roles;
pub mod permissions;
