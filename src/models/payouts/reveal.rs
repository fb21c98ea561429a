//! Showing the number of the account that a payout is to be paid to.

use aws_lc_rs::digest::{SHA256, digest};
use diesel::{prelude::*, sql_types::Text};
use diesel_async::RunQueryDsl;
use serde_json::json;
use uuid::Uuid;

use super::{payout::Payout, status::PayoutStatus};
use crate::{
    db::{
        schema::partner_profiles,
        statement::{Bind, statement},
    },
    error::{Error, Result},
    ids::PayoutId,
    keyring::{Keyring, SealedField},
    models::{
        idempotency::{Claim, Difference, Key as IdempotencyKey, Operation},
        ledger::books::Books,
    },
};

/// What is shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Revealed {
    /// The account's number.
    pub bank_account: String,
    /// Whether it was not shown before with the key.
    pub is_new: bool,
}

/// Why nothing is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RevealFault {
    /// There is no such payout.
    NotFound,
    /// It is no longer to be paid.
    Over(PayoutStatus),
    /// The partner's profile has no bank account.
    NoAccount,
    /// The idempotency key was used for something else.
    KeyReused {
        /// What was shown with it.
        first: Uuid,
        /// Where that differs.
        difference: Difference,
    },
}

impl Books<'_> {
    /// Opens the number of the account that a payout is to be paid to, and records in the audit trail that it was shown, once for each key and number.
    pub async fn reveal_destination(
        &self,
        key: &str,
        reason: &str,
        keyring: &Keyring,
        id: PayoutId,
    ) -> Result<Result<Revealed, RevealFault>> {
        let Some(payout) = Payout::lock(self.connection, self.tenant, id).await? else { return Ok(Err(RevealFault::NotFound)) };
        if matches!(payout.status, PayoutStatus::Completed | PayoutStatus::Cancelled) {
            return Ok(Err(RevealFault::Over(payout.status)));
        }
        let sealed: Option<Option<Vec<u8>>> = partner_profiles::table
            .filter(partner_profiles::tenant_id.eq(self.tenant))
            .filter(partner_profiles::partner_id.eq(payout.partner_id))
            .select(partner_profiles::bank_account_sealed)
            .first(&mut &*self.connection)
            .await
            .optional()?;
        let Some(sealed) = sealed.flatten() else { return Ok(Err(RevealFault::NoAccount)) };
        // Another number is not shown by the key of the first.
        let number = hex::encode(digest(&SHA256, &sealed));
        let by = self.by.map(|by| by.to_string());
        let fields =
            [("payoutId", json!(id.to_string())), ("reason", json!(reason)), ("by", json!(by)), ("bankAccount", json!(number))];
        let key = IdempotencyKey::new(key.to_owned(), fields);
        let is_new = match key.claim(self.connection, Operation::RevealPayoutDestination, self.tenant, None, id.uuid()).await? {
            Claim::First => true,
            Claim::Replay(_) => false,
            Claim::Reused { first, difference } => return Ok(Err(RevealFault::KeyReused { first, difference })),
        };
        let bank_account = keyring
            .open(&sealed, SealedField::BankAccount, self.tenant, payout.partner_id)
            .map_err(|error| Error::internal(format!("the account of {}: {error}", payout.partner_id)))?;
        if is_new {
            let binds = vec![Bind::Uuid(id.uuid())];
            let record = statement::<Text>("SELECT audit_reveal(?, ARRAY['bank_account_sealed'])::text", binds);
            record.execute(&mut &*self.connection).await?;
        }
        Ok(Ok(Revealed { bank_account, is_new }))
    }
}
