//! The books: that they hold, that `verify` finds what does not, and what is read of them.

pub mod affiliates;
pub mod figures;
pub mod model;
pub mod time_zones;
pub mod verified_columns;
pub mod verify;
