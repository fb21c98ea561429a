//! Corrections of what was done with credits: a redemption that was a mistake, and an allocation that is given more time.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::{
    prelude::*,
    sql_types::{BigInt, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::{Value, json};

use super::{allocation::Allocation, assignment::MAX_DAYS, ledger::Movement};
use crate::{
    db::{
        QueryError, is_taken,
        schema::{credit_allocations, credit_extensions, credit_redemptions},
        statement::{Bind, statement},
    },
    ids::{AllocationId, ExtensionId, PartnerId, RedemptionId, UserId},
    models::{
        idempotency::{Difference, Key},
        ledger::books::Books,
        members::member::Member,
        page::group,
        scope::Scope,
    },
};

/// A redemption to be reversed.
#[derive(Debug, Clone)]
pub struct Reversal {
    /// Which.
    pub redemption: RedemptionId,
    /// Why.
    pub reason: String,
    /// The idempotency key.
    pub key: String,
}

/// Why a redemption stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReversalFault {
    /// The key is being used, at the same time, for another redemption.
    KeyTaken,
    /// There is no such redemption.
    NotFound,
    /// It was reversed before, by another request.
    Reversed {
        /// When.
        at: DateTime<Utc>,
    },
    /// The key was used for something else.
    KeyReused {
        /// The redemption that was reversed with it.
        first: RedemptionId,
        /// Where the requests differ.
        difference: Difference,
    },
}

/// Why an allocation has no more time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtensionFault {
    /// There is no such allocation in scope.
    NotFound,
    /// It is past its time already.
    Expired(DateTime<Utc>),
    /// It would end earlier than it does.
    Earlier(DateTime<Utc>),
    /// It would end later than credits can.
    TooLate(DateTime<Utc>),
}

/// How an allocation was given more time.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = credit_extensions)]
pub struct Extension {
    /// Whose credits.
    pub partner_id: PartnerId,
    /// Which allocation.
    pub allocation_id: AllocationId,
    /// When it would have expired.
    pub from_expires_at: DateTime<Utc>,
    /// When it expires since.
    pub to_expires_at: DateTime<Utc>,
    /// Who did it.
    pub extended_by: Option<UserId>,
    /// When.
    pub created_at: DateTime<Utc>,
}

impl Extension {
    /// Each allocation's, the first one first.
    pub async fn by_allocations(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        allocations: &[AllocationId],
    ) -> QueryResult<HashMap<AllocationId, Vec<Self>>> {
        let rows: Vec<Self> = Self::query()
            .filter(credit_extensions::tenant_id.eq(scope.tenant))
            .filter(credit_extensions::allocation_id.eq_any(allocations))
            .order(credit_extensions::to_expires_at)
            .load(&mut connection)
            .await?;
        let rows = rows.into_iter().filter(|row| scope.includes(row.partner_id));
        Ok(group(rows.map(|row| (row.allocation_id, row)).collect()))
    }
}

impl Reversal {
    fn key(&self) -> Key {
        let fields = [("redemptionId", json!(self.redemption.to_string())), ("reason", json!(self.reason))];
        Key::new(self.key.clone(), fields)
    }
}

impl Books<'_> {
    /// Gives the credits of a redemption back to its members, whole and once; what is past its time by then expires. Whether it was done
    /// before with the same key. Runs as a machine.
    pub async fn reverse_redemption(&self, reversal: &Reversal) -> QueryResult<Result<bool, ReversalFault>> {
        match self.reverse_once(reversal).await {
            Err(error) if is_key_taken(&error) => Ok(Err(ReversalFault::KeyTaken)),
            reversed => reversed,
        }
    }

    async fn reverse_once(&self, reversal: &Reversal) -> QueryResult<Result<bool, ReversalFault>> {
        let key = reversal.key();
        if let Some(first) = self.reversal_of_key(&key).await? {
            return Ok(first);
        }
        let row = || {
            credit_redemptions::table
                .filter(credit_redemptions::tenant_id.eq(self.tenant))
                .filter(credit_redemptions::id.eq(reversal.redemption))
        };
        let locked = row().select(credit_redemptions::reversed_at).for_update();
        let reversed: Option<Option<DateTime<Utc>>> = locked.first(&mut &*self.connection).await.optional()?;
        match reversed {
            None => return Ok(Err(ReversalFault::NotFound)),
            // Perhaps by the same request a moment ago.
            Some(Some(at)) => {
                return Ok(self.reversal_of_key(&key).await?.unwrap_or(Err(ReversalFault::Reversed { at })));
            }
            Some(None) => {}
        }
        self.hold_redeemers(reversal.redemption).await?;
        let ended = self.restore_units(reversal.redemption).await?;
        self.post_ended(&ended, |ended| Movement::Restore(ended.member, ended.allocation, reversal.redemption)).await?;
        diesel::update(row())
            .set((
                credit_redemptions::reversed_at.eq(self.at),
                credit_redemptions::reversed_by.eq(self.by),
                credit_redemptions::reversal_reason.eq(&reversal.reason),
                credit_redemptions::reversal_key.eq(&reversal.key),
                credit_redemptions::reversal_request.eq(key.request()),
            ))
            .execute(&mut &*self.connection)
            .await?;
        Ok(Ok(false))
    }

    /// What came of the first request with the key, for one that may be the same.
    async fn reversal_of_key(&self, key: &Key) -> QueryResult<Option<Result<bool, ReversalFault>>> {
        let first: Option<(RedemptionId, Option<Value>)> = credit_redemptions::table
            .filter(credit_redemptions::tenant_id.eq(self.tenant))
            .filter(credit_redemptions::reversal_key.eq(key.text()))
            .select((credit_redemptions::id, credit_redemptions::reversal_request))
            .first(&mut &*self.connection)
            .await
            .optional()?;
        Ok(first.map(|(first, request)| match key.difference(request.as_ref(), []) {
            None => Ok(true),
            Some(difference) => Err(ReversalFault::KeyReused { first, difference }),
        }))
    }

    /// Locks the members whose credits a redemption used, in the lock order of redemptions.
    async fn hold_redeemers(&self, redemption: RedemptionId) -> QueryResult<()> {
        statement::<SqlUuid>(
            "SELECT m.id FROM partner_members m WHERE m.tenant_id = ? AND m.id IN (
                 SELECT c.member_id FROM partner_credits c WHERE c.tenant_id = ? AND c.redemption_id = ?)
             ORDER BY m.id FOR SHARE OF m",
            vec![Bind::Uuid(self.tenant.uuid()), Bind::Uuid(self.tenant.uuid()), Bind::Uuid(redemption.uuid())],
        )
        .execute(&mut &*self.connection)
        .await
        .map(drop)
    }

    /// Lets what is unused of an allocation in scope expire at a later instant; whether it was an earlier one.
    pub async fn extend_credits(
        &self,
        scope: Scope,
        id: AllocationId,
        expires_at: DateTime<Utc>,
    ) -> QueryResult<Result<bool, ExtensionFault>> {
        self.act_for_tenant().await?;
        let allocations = Allocation::by_ids(self.connection, scope, &[id]).await?;
        let Some(allocation) = allocations.get(&id) else { return Ok(Err(ExtensionFault::NotFound)) };
        self.lock_credits(allocation.partner_id).await?;
        Member::lock(self.connection, scope, allocation.member_id).await?;
        self.lock_all_units(id).await?;
        // Read again under the locks.
        let allocations = Allocation::by_ids(self.connection, scope, &[id]).await?;
        let Some(allocation) = allocations.get(&id) else { return Ok(Err(ExtensionFault::NotFound)) };
        if allocation.expires_at == expires_at {
            return Ok(Ok(false));
        }
        if allocation.expires_at <= self.at {
            return Ok(Err(ExtensionFault::Expired(allocation.expires_at)));
        }
        if expires_at < allocation.expires_at {
            return Ok(Err(ExtensionFault::Earlier(allocation.expires_at)));
        }
        let latest = self.at + TimeDelta::days(i64::from(MAX_DAYS));
        if expires_at > latest {
            return Ok(Err(ExtensionFault::TooLate(latest)));
        }
        diesel::insert_into(credit_extensions::table)
            .values((
                credit_extensions::tenant_id.eq(self.tenant),
                credit_extensions::id.eq(ExtensionId::new()),
                credit_extensions::partner_id.eq(allocation.partner_id),
                credit_extensions::allocation_id.eq(id),
                credit_extensions::from_expires_at.eq(allocation.expires_at),
                credit_extensions::to_expires_at.eq(expires_at),
                credit_extensions::extended_by.eq(self.by),
                credit_extensions::created_at.eq(self.at),
            ))
            .execute(&mut &*self.connection)
            .await?;
        // Its credits follow by their foreign key.
        diesel::update(
            credit_allocations::table.filter(credit_allocations::tenant_id.eq(self.tenant)).filter(credit_allocations::id.eq(id)),
        )
        .set(credit_allocations::expires_at.eq(expires_at))
        .execute(&mut &*self.connection)
        .await?;
        Ok(Ok(true))
    }

    /// Locks all credits of an allocation, those that have ended too: a new expiry is written to each.
    async fn lock_all_units(&self, allocation: AllocationId) -> QueryResult<()> {
        statement::<BigInt>(
            "SELECT number::bigint FROM partner_credits WHERE tenant_id = ? AND allocation_id = ?
             ORDER BY expires_at, allocation_id, number FOR UPDATE",
            vec![Bind::Uuid(self.tenant.uuid()), Bind::Uuid(allocation.uuid())],
        )
        .execute(&mut &*self.connection)
        .await
        .map(drop)
    }
}

/// Whether a reversal was refused because another redemption is being reversed with the same key.
fn is_key_taken(error: &QueryError) -> bool {
    is_taken(error, "credit_redemptions_reversal_key")
}
