//! Leads.

pub mod leads;
