//! What an operation costs: statements, round trips, plans.

pub mod histories;
mod link_plans;
pub mod plans;
pub mod round_trips;
pub mod statements;
