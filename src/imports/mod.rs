//! What comes in files.

pub mod members;
