//! Who is asking: from the session token in a request's headers to a [`Viewer`].
//!
//! The token is checked without the database ([`verifier`], [`keys`], [`claims`]); the person it names is then found, or
//! registered, in the request's own database session ([`guard`]). The layout of the tokens is Clerk's.

pub mod bearer;
pub mod claims;
pub mod development;
pub mod guard;
pub mod invitations;
pub mod keys;
pub mod permissions;
pub mod verifier;
pub mod viewer;

pub use permissions::{Permission, Readable, Role};
pub use viewer::Viewer;
