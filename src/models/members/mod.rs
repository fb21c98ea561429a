//! Members: the people to whom a partner hands out credits.

pub mod batch;
pub mod change;
pub mod list;
pub mod member;
