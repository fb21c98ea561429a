//! Affiliates: users who invite others, and earn by what these pay.

pub mod adjustment;
pub mod explanation;
pub mod figures;
pub mod invite_code;
pub mod past_reward;
pub mod period;
pub mod referral;
pub mod referral_decision;
pub mod reward;
pub mod take_out;
pub mod terms;
pub mod wallet;
pub mod wallet_transaction;
