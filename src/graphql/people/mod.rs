//! Users and tenants in the schema, and who acts for which partner.

pub(super) mod mutations;
pub(super) mod partner_user_mutations;
pub mod tenant;
pub mod user;
pub mod viewer;
