//! People who sign in: tenants, users, which partners they act for, and how a token becomes a caller.

pub mod directory;
pub mod erasing;
pub mod invitation;
pub mod inviting;
pub mod partner_user;
pub mod person;
pub mod person_export;

pub mod sign_in;
pub mod tenant;
pub mod tenant_directory;
pub mod user;
mod verified_address;
