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

pub mod adjustment;
pub mod assessment;
pub mod booking;
pub mod books;
pub mod calculation;
pub mod calendar;
pub mod commission;
pub mod commission_list;
pub mod credit_allocation;
pub mod credit_allocation_list;
pub mod credit_assignment;
pub mod credit_correction;
pub mod credit_grant;
pub mod credit_ledger;
pub mod credit_redemption;
pub mod credit_unit;
pub mod customer;
pub mod decision;
pub mod event;
pub mod explanation;
pub mod idempotency;
pub mod identity;
pub mod invoice;
pub mod lead;
pub mod lead_figures;
pub mod lead_list;
pub mod lead_status;
pub mod ledger;
pub mod list;
pub mod member;
pub mod member_batch;
pub mod member_list;
pub mod page;
pub mod partner;
pub mod partner_application;
pub mod partner_move;
pub mod partner_user;
pub mod past_payment;
pub mod payout;
pub mod payout_batch;
pub mod payout_list;
pub mod payout_status;
pub mod payout_step;
pub mod profile;
pub mod revenue;
pub mod rule;
pub mod scope;
pub mod simulation;
pub mod tenant;
pub mod totals;
pub mod transfer;
pub mod user;
