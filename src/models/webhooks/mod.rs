//! Webhooks: endpoints of the tenant's other systems, and what is on its way to them.

pub mod attempt;
pub mod body;
pub mod delivery;
pub mod endpoint;
pub mod event;
mod fields;
pub mod work;
