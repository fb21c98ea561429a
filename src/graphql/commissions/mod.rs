//! Commissions in the schema: the rules, the explanations, and what is done with a commission.

pub(super) mod booking_mutations;
pub mod commission;
pub(super) mod decision_mutations;
pub mod explanation;
mod flag;
pub mod list;
pub(super) mod move_mutations;
pub(super) mod partner_move;
pub(super) mod queries;
pub mod rule;
pub mod rule_input;
pub(super) mod rule_mutations;
pub mod split;
