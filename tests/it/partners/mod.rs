//! Partners, their profiles and applications.

pub mod applications;
pub mod partner;
pub mod profiles;
