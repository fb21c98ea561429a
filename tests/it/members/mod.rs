//! Members.

pub mod imports;
pub mod members;
pub mod texts;
pub mod uploads;
