//! The program: its commands, its own database, its limits, and what goes wrong around it.

pub mod cli;
mod dashboard;
pub mod doctor;
pub mod embedded;
pub mod faults;
pub mod limits;
pub mod migrations;
pub mod production;
pub mod sockets;
pub mod telemetry;
pub mod timeouts;
