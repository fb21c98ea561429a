//! Programmes, enrolments and links.

mod links;
mod programmes;
