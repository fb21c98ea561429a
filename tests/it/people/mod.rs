//! Who belongs to a partner, and acts for it.

pub mod acting;
mod erasing;
mod invitations;
pub mod memberships;
