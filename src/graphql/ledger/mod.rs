//! The ledger in the schema: transfers of money, and figures over periods.

pub mod balances;
pub(super) mod books;
mod earnings_by;
pub(super) mod queries;
pub mod revenue;
pub mod transfer;
