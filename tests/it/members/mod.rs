//! Members.

pub mod imports;
pub mod member;
pub mod texts;
pub mod uploads;
