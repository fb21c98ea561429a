//! Webhooks: endpoints of the tenant's other systems and what is on its way to them; services that report, and what they have reported.

pub mod attempt;
pub mod body;
pub mod delivery;
pub mod endpoint;
pub mod event;
mod fields;
pub mod inbox;
pub mod receipt;
pub mod source;
pub mod work;
