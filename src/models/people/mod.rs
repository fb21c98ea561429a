//! People who sign in: tenants, users, which partners they act for, and how a token becomes a caller.

pub mod identity;
pub mod partner_user;
pub mod tenant;
pub mod user;
