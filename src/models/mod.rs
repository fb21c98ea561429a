//! Rows, rules and SQL: one file per aggregate, read from the top as row, new row, reads, writes, state machine.
//!
//! Every function takes the connection it works on and the [`scope::Scope`] it may see. That scope is a condition of each
//! query; row-level security applies the same rule once more in PostgreSQL.

/// Whether any of these changes (`None` stays as it is) is not so already in a row.
macro_rules! differ {
    ($changes:expr, $row:expr; $($field:ident),+ $(,)?) => {
        $($changes.$field.as_ref().is_some_and(|new| *new != $row.$field))||+
    };
}

pub mod affiliates;
pub mod audit;
pub mod billing;
pub mod calendar;
pub mod commissions;
pub mod credits;
pub mod event;
pub mod idempotency;
pub mod imports;
pub mod leads;
pub mod ledger;
pub mod list;
pub mod members;
pub mod page;
pub mod partners;
pub mod payouts;
pub mod people;
pub mod period;
pub mod programmes;
pub mod scope;
pub mod sealed;
pub mod totals;
pub mod webhooks;
