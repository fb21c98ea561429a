//! The rules of the product, proved from outside: the real router, the real database.

mod cli;
mod embedded;
mod errors;
mod guard;
mod isolation;
mod keys;
mod leads;
mod migrations;
mod pages;
mod partners;
mod plans;
mod profiles;
mod schema;
mod sign_in;
mod statements;
mod support;
