//! What comes in files.

pub mod history;
pub mod members;
mod text;
