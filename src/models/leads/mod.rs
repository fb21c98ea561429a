//! Leads: their pipeline, their lists, and how many came over time.

pub mod change;
pub mod figures;
pub mod lead;
pub mod list;
pub mod status;
