//! Credits.

pub mod credits;
pub mod isolation;
pub mod model;
pub mod plans;
pub mod races;
