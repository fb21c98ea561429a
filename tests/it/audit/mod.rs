//! The audit trail: who has changed what, and why.

mod coverage;
mod readable;
mod trail;
