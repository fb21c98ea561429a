//! From a token to a viewer.

pub mod guard;
pub mod keys;
pub mod sign_in;
