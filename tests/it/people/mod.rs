//! Who belongs to a partner, and acts for it.

pub mod acting;
pub mod memberships;
