//! The audit trail: who changed what, and why. Triggers of the database's write it (the migration `audit`); here it is read.

pub mod change;
pub mod entry;
