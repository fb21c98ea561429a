//! Affiliates in the schema: users who invite others, the wallets of what they earn, and the terms.

pub mod affiliate;
pub mod figures;
pub(super) mod mutations;
pub(super) mod operator_mutations;
pub(super) mod queries;
pub mod referral;
pub mod terms;
pub mod wallet;
pub(super) mod wallet_mutations;
pub mod wallet_transaction;
