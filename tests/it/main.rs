//! The rules of the product, proved from outside: the real router, the real database.

mod affiliates;
mod api;
mod audit;
mod auth;
mod commissions;
mod cost;
mod credits;
mod imports;
mod isolation;
mod leads;
mod ledger;
mod live;
mod machines;
mod members;
mod partners;
mod payouts;
mod people;
mod programmes;
mod server;
mod source;
mod support;
mod webhooks;
