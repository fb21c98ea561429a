//! Leads.

pub mod lead;
