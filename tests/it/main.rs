//! The rules of the product, proved from outside: the real router, the real database.

mod books;
mod cli;
mod commissions;
mod embedded;
mod errors;
mod exports;
mod figures;
mod guard;
mod isolation;
mod keys;
mod leads;
mod migrations;
mod model;
mod pages;
mod partners;
mod payouts;
mod permissions;
mod plans;
mod profiles;
mod rules;
mod schema;
mod sign_in;
mod statements;
mod support;
