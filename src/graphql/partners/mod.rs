//! Partners in the schema: their profiles, applications, figures and dashboard.

pub(super) mod application;
pub(super) mod application_mutations;
pub mod dashboard;
pub(super) mod leaderboard;
pub(super) mod list;
pub(super) mod mutations;
pub mod partner;
pub(super) mod partner_user;
pub mod profile;
pub(super) mod profile_mutations;
pub(super) mod queries;
pub(super) mod rank;
pub mod stats;
