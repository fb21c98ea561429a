//! Partners, their profiles and applications.

pub mod applications;
pub mod partners;
pub mod profiles;
