//! Credits.

pub mod credit;
pub mod isolation;
pub mod model;
pub mod plans;
pub mod races;
