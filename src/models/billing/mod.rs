//! Customers and their invoices, as the billing system reports them, and which partner manages whom.

pub mod account;
pub mod assignment;
pub mod customer;
pub mod invoice;
pub mod past_payment;
pub mod processor;
pub mod reversal;
