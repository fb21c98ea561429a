//! Subscriptions, and how changes are published.

pub mod cursors;
pub mod publishing;
pub mod sse;
pub mod subscriptions;
pub mod websocket;
