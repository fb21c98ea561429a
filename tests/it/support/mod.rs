//! What the tests stand on: one throw-away PostgreSQL for the run, one database for each test, tokens, and a small world of
//! tenants, partners and people.

pub mod affiliates;
mod answer;
pub mod balancer;
pub mod binary;
pub mod cluster;
pub mod credits;
pub mod listening;
pub mod log;
pub mod money;
mod people;
pub mod processes;
pub mod production;
pub mod programmes;
pub mod rate_service;
pub mod sql;
pub mod standby;
pub mod systemd;
pub mod tokens;
pub mod traffic;
pub mod two_clusters;
pub mod world;

pub use self::{
    tokens::{sign, token},
    world::World,
};

/// The key that values are sealed with, as the setting has it.
pub const KEYS: &str = "1:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
