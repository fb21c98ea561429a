//! Rows, rules and SQL: one file per aggregate, read from the top as row, new row, reads, writes, state machine.
//!
//! Every function takes the connection it works on and the [`scope::Scope`] it may see. That scope is a condition of each
//! query; row-level security applies the same rule once more in PostgreSQL.

pub mod identity;
pub mod lead;
pub mod lead_list;
pub mod lead_status;
pub mod page;
pub mod partner;
pub mod partner_user;
pub mod profile;
pub mod scope;
pub mod tenant;
pub mod user;
