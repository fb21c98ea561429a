//! Single credits: how they end. Each is a row of `partner_credits`, locked in one order by all who take several: by expiry, allocation
//! and number.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::{
    QueryResult,
    sql_types::{BigInt, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use super::ledger::{Moved, Movement};
use crate::{
    db::statement::{Bind, statement},
    ids::{AllocationId, MemberId, PartnerId, RedemptionId, TenantId},
    models::ledger::books::Books,
};

/// How many credits maintenance expires in one transaction, but for an allocation that has more.
const DUE_AT_ONCE: i64 = 20_000;
/// How many credits are used in one statement: each has its time limit.
const AT_ONCE: i64 = 20_000;
/// How many transfers are posted in one statement.
const TRANSFERS_AT_ONCE: usize = 20_000;

/// Credits of one allocation that have ended, or are available again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Whose they were.
    pub partner: PartnerId,
    /// To whom they were assigned.
    pub member: MemberId,
    /// Of which allocation.
    pub allocation: AllocationId,
    /// How many.
    pub credits: i64,
}

impl Books<'_> {
    /// Changes the units that `WITH units AS (…)` gives, locked, to what `set` says; gives how many of each allocation.
    async fn change(&self, units: &str, set: &str, binds: Vec<Bind>) -> QueryResult<Vec<Ended>> {
        let text = format!(
            "{units}, ended AS (
                 UPDATE partner_credits c SET {set} FROM units
                 WHERE c.tenant_id = ? AND c.allocation_id = units.allocation_id AND c.number = units.number
                 RETURNING c.partner_id, c.member_id, c.allocation_id)
             SELECT partner_id, member_id, allocation_id, count(*) FROM ended GROUP BY 1, 2, 3 ORDER BY 1, 3"
        );
        let rows: Vec<(PartnerId, MemberId, AllocationId, i64)> =
            statement::<(SqlUuid, SqlUuid, SqlUuid, BigInt)>(text, binds).load(&mut &*self.connection).await?;
        let ended = |(partner, member, allocation, credits)| Ended { partner, member, allocation, credits };
        Ok(rows.into_iter().map(ended).collect())
    }

    /// Uses so many credits of members with an address, the soonest to expire first; fewer where there are no more. Units that others hold
    /// are passed over, or waited for.
    pub(super) async fn use_units(
        &self,
        address: &str,
        members: &[MemberId],
        credits: i32,
        waits: bool,
        redemption: RedemptionId,
    ) -> QueryResult<Vec<Ended>> {
        let (mut used, mut left) = (BTreeMap::<_, Ended>::new(), i64::from(credits));
        while left > 0 {
            let some = self.use_some_units(address, members, left.min(AT_ONCE), waits, redemption).await?;
            if some.is_empty() {
                break;
            }
            for ended in some {
                left -= ended.credits;
                // The allocation at the end of one part may be the first of the next.
                used.entry((ended.partner, ended.allocation)).and_modify(|sum| sum.credits += ended.credits).or_insert(ended);
            }
        }
        Ok(used.into_values().collect())
    }

    async fn use_some_units(
        &self,
        address: &str,
        members: &[MemberId],
        credits: i64,
        waits: bool,
        redemption: RedemptionId,
    ) -> QueryResult<Vec<Ended>> {
        let others = if waits { "" } else { "SKIP LOCKED" };
        let units = format!(
            "WITH units AS (
                 SELECT allocation_id, number FROM partner_credits
                 WHERE tenant_id = ? AND employee_email = ? AND status = 'available' AND expires_at > ? AND member_id = ANY (?)
                 ORDER BY expires_at, allocation_id, number LIMIT ? FOR UPDATE {others})"
        );
        let binds = vec![
            Bind::Uuid(self.tenant.uuid()),
            Bind::text(address),
            Bind::Time(self.at),
            Bind::Uuids(members.iter().map(|id| id.uuid()).collect()),
            Bind::BigInt(credits),
            Bind::Time(self.at),
            Bind::Uuid(redemption.uuid()),
            Bind::Uuid(self.tenant.uuid()),
        ];
        self.change(&units, "ended_at = ?, status = 'used', redemption_id = ?", binds).await
    }

    /// Makes the credits of a redemption available again. Their members are held.
    pub(super) async fn restore_units(&self, redemption: RedemptionId) -> QueryResult<Vec<Ended>> {
        let units = "WITH units AS (
            SELECT allocation_id, number FROM partner_credits WHERE tenant_id = ? AND redemption_id = ?
            ORDER BY expires_at, allocation_id, number FOR UPDATE)";
        let tenant = Bind::Uuid(self.tenant.uuid());
        // A trigger gives them the address that the member has by now.
        let set = "ended_at = NULL, status = 'available', redemption_id = NULL";
        self.change(units, set, vec![tenant.clone(), Bind::Uuid(redemption.uuid()), tenant]).await
    }

    /// Takes back what is unused of allocations, and gives it to the partners' balances again; gives how many credits. The partners'
    /// balances are locked.
    pub async fn revoke_units(&self, allocations: &[AllocationId]) -> QueryResult<i64> {
        let units = "WITH units AS (
            SELECT allocation_id, number FROM partner_credits
            WHERE tenant_id = ? AND allocation_id = ANY (?) AND status = 'available' AND expires_at > ?
            ORDER BY expires_at, allocation_id, number FOR UPDATE)";
        let binds = vec![
            Bind::Uuid(self.tenant.uuid()),
            Bind::Uuids(allocations.iter().map(|id| id.uuid()).collect()),
            Bind::Time(self.at),
            Bind::Time(self.at),
            Bind::Uuid(self.tenant.uuid()),
        ];
        let ended = self.change(units, "ended_at = ?, status = 'revoked'", binds).await?;
        self.post_ended(&ended, |ended| Movement::Revoke(ended.member, ended.allocation)).await
    }

    /// Expires what is past its time, a batch of it; gives how many credits.
    pub async fn expire_due(&self) -> QueryResult<i64> {
        // How many units are due is not known when the plan is made, and a guess above the truth would read all that there ever were.
        (&mut &*self.connection).batch_execute("SET LOCAL enable_seqscan = off").await?;
        let units = "WITH due AS (
            SELECT id FROM (
                SELECT id, sum(available) OVER (ORDER BY expires_at, id) - available AS before FROM (
                    SELECT id, available, expires_at FROM credit_allocations
                    WHERE tenant_id = ? AND available > 0 AND expires_at <= ? ORDER BY expires_at, id LIMIT 1000) AS first) AS summed
            WHERE before < ?),
        units AS (
            SELECT allocation_id, number FROM partner_credits
            WHERE tenant_id = ? AND allocation_id IN (SELECT id FROM due) AND status = 'available'
            ORDER BY expires_at, allocation_id, number FOR UPDATE)";
        let tenant = Bind::Uuid(self.tenant.uuid());
        let at = Bind::Time(self.at);
        let binds = vec![tenant.clone(), at.clone(), Bind::BigInt(DUE_AT_ONCE), tenant.clone(), at, tenant];
        let ended = self.change(units, "ended_at = ?, status = 'expired'", binds).await?;
        self.post_ended(&ended, |ended| Movement::Expire(ended.member, ended.allocation)).await
    }

    /// Posts what has ended; gives how many credits.
    pub(super) async fn post_ended(&self, ended: &[Ended], movement: impl Fn(&Ended) -> Movement) -> QueryResult<i64> {
        let moved: Vec<Moved> = ended
            .iter()
            .map(|ended| Moved { partner: ended.partner, credits: ended.credits, movement: movement(ended) })
            .collect();
        for some in moved.chunks(TRANSFERS_AT_ONCE) {
            self.move_credits(some).await?;
        }
        Ok(ended.iter().map(|ended| ended.credits).sum())
    }
}

/// The tenants that have credits to expire; asked as a machine, which sees no more of other tenants than this.
pub async fn tenants_with_due_credits(mut connection: &AsyncPgConnection, due_by: DateTime<Utc>) -> QueryResult<Vec<TenantId>> {
    statement::<SqlUuid>("SELECT tenants_with_due_credits(?)", vec![Bind::Time(due_by)]).load(&mut connection).await
}
