//! Partners: their accounts, profiles and applications.

pub mod application;
pub mod change;
pub mod partner;
pub mod profile;
pub mod rank;
pub mod status;
