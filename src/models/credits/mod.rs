//! Credits: grants, allocations to members, redemptions, and their side of the ledger.

pub mod allocation;
pub mod assignment;
pub mod correction;
pub mod grant;
pub mod ledger;
pub mod list;
pub mod redemption;
pub mod unit;
