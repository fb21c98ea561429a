//! Commissions: the rules, the rate that applies, how an amount is calculated and explained, and what is done with it afterwards.

pub mod adjustment;
pub mod booking;
pub mod calculation;
pub mod commission;
pub mod decision;
pub mod earnings_by;
pub mod explanation;
pub mod flag;
pub mod list;
pub mod partner_move;
pub mod rate;
pub mod refund;
pub mod reward;
pub mod rule;
pub mod rule_version;
pub mod simulation;
pub mod split;
