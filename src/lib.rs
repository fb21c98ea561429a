//! A GraphQL API server for partner portals.
//!
//! The way of a request: [`http`] takes it, [`auth`] finds out who is asking, [`graphql`] what is asked, [`models`] know the rows
//! and rules, [`db`] holds the one session in which all of it is read or changed. [`cli`] puts the parts together.

pub mod app;
pub mod auth;
pub mod cli;
pub mod clicks;
pub mod clock;
pub mod clusters;
pub mod config;
pub mod dashboard;
pub mod db;
pub mod doctor;
pub mod edge;
pub mod error;
pub mod graphql;
pub mod http;
pub mod ids;
pub mod imports;
pub mod jobs;
pub mod keyring;
pub mod live;
pub mod models;
pub mod money;
pub mod npm;
pub mod outbound;
pub mod rates;
pub mod secret_file;
pub mod seed;
pub mod telemetry;
pub mod validation;
pub mod verify;
pub mod webhooks;

pub use error::Error;
