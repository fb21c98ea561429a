//! Users and tenants in the schema, who acts for which partner, and who is invited to.

pub mod invitation;
pub(super) mod invitation_mutations;
pub(super) mod mutations;
pub(super) mod partner_user_mutations;
pub(super) mod person;
pub mod tenant;
pub mod user;
pub mod viewer;
