//! What other systems give out, and what it becomes here.
//!
//! An import keeps every row that it reads ([`staged`]), with what it understood of it ([`facts`]). Then it settles one kind of row after the other, some
//! in each transaction: finds what they refer to ([`refs`]), decides what they are here, writes that, and notes it beside the row. A row about which
//! there is something to decide is reported ([`finding`]) and left. How files are read is in [`crate::imports::history`].

pub mod commission_batch;
pub mod commissions;
pub mod customers;
pub mod data_import;
pub mod data_import_finding;
pub mod data_import_work;
pub mod facts;
pub mod finding;
pub mod imported;
pub mod link_days;
pub mod links;
pub mod partners;
pub mod payouts;
pub mod programmes;
pub mod proof;
pub mod refs;
pub mod refused;
pub mod run;
pub mod staged;
pub mod users;
