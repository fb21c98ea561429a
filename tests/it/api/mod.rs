//! The contract as clients meet it: documents, values, errors, pages, keys, files.

pub mod boundaries;
pub mod collisions;
pub mod cross_site;
pub mod documents;
pub mod errors;
pub mod exports;
pub mod http;
pub mod idempotency_keys;
pub mod inputs;
pub mod nodes;
pub mod one_pass;
pub mod pages;
pub mod races;
pub mod schema;
pub mod screens;
pub mod sent_twice;
pub mod wire;
