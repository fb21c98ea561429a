//! Programmes, enrolments and links in the schema.

pub(super) mod came_by;
pub mod click;
pub mod enrolment;
pub mod figures;
pub mod link;
pub mod link_event;
mod link_input;
pub(super) mod link_mutations;
pub mod link_share;
pub mod programme;
pub(super) mod programme_mutations;
pub(super) mod queries;
pub mod sign_up;
pub(super) mod sign_up_mutations;
