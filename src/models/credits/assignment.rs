//! Assigning credits to members, and taking them back. The assignment itself is the database's function `assign_partner_credits()`, which
//! other programs reach by `allocate_partner_credit()`.

use diesel::{
    prelude::*,
    sql_types::{BigInt, Nullable, Text, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::allocation::Allocation;
use crate::{
    db::{
        QueryError,
        schema::credit_allocations,
        statement::{Bind, statement},
    },
    ids::{AllocationId, MemberId, PartnerId, UserId},
    models::{
        ledger::books::Books,
        members::member::{Member, MemberChanges, MemberStatus},
        scope::Scope,
    },
    validation::{FaultCode, Wrong},
};

/// The most credits that are assigned at once.
pub const MAX_CREDITS: i32 = 100_000;
/// The most allocations of which credits are taken back in one statement.
const ALLOCATIONS_AT_ONCE: usize = 10_000;
/// The most days for which credits are assigned: ten years of 365 days.
pub const MAX_DAYS: i32 = 3_650;

/// A number of credits that can be moved at once.
pub fn credits_at_once(credits: i32) -> Result<i32, Wrong> {
    let message = || format!("Must be from 1 to {MAX_CREDITS}; it is {credits}.");
    Some(credits)
        .filter(|credits| (1..=MAX_CREDITS).contains(credits))
        .ok_or_else(|| Wrong { code: FaultCode::InvalidAmount, message: message() })
}

/// A number of days for which credits can be assigned.
pub fn valid_days(days: i32) -> Result<i32, Wrong> {
    let message = || format!("Must be from 1 to {MAX_DAYS}; it is {days}.");
    Some(days)
        .filter(|days| (1..=MAX_DAYS).contains(days))
        .ok_or_else(|| Wrong { code: FaultCode::OutOfRange, message: message() })
}

/// Credits to be assigned.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// To whom.
    pub member: MemberId,
    /// How many.
    pub credits: i32,
    /// For how many days of 24 hours.
    pub valid_days: i32,
    /// Its idempotency key, one of the partner's.
    pub key: Option<String>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assigned {
    /// The allocation: the first one where the key was used before.
    pub id: AllocationId,
    /// Whether it was there before.
    pub is_replay: bool,
}

/// Why nothing was assigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssignmentFault {
    /// The number of credits is not one that can be assigned.
    Amount,
    /// The number of days is not one for which they can be assigned.
    Days,
    /// The partner is not active, or not there.
    Partner,
    /// The partner has no such member.
    UnknownMember,
    /// The member is inactive.
    Inactive,
    /// The partner has too few.
    Insufficient {
        /// How many it has.
        balance: i64,
    },
    /// The key was used for something else.
    KeyReused(AllocationId),
}

impl Books<'_> {
    /// Assigns credits to one member of a partner's.
    pub async fn assign_to_member(
        &self,
        partner: PartnerId,
        assignment: Assignment,
    ) -> QueryResult<Result<Assigned, AssignmentFault>> {
        self.act_for_tenant().await?;
        // One row for each assignment.
        self.assign_credits(partner, &[assignment]).await?.pop().ok_or(QueryError::NotFound)
    }

    /// Assigns credits to members of a partner's, in their order, in one statement; what came of each. Runs as a machine of the tenant.
    pub async fn assign_credits(
        &self,
        partner: PartnerId,
        assignments: &[Assignment],
    ) -> QueryResult<Vec<Result<Assigned, AssignmentFault>>> {
        let integers = |number: fn(&Assignment) -> i32| Bind::Integers(assignments.iter().map(number).collect());
        let key = |assignment: &Assignment| assignment.key.clone().unwrap_or_default();
        let rows: Vec<(String, Option<AllocationId>, Option<i64>)> = statement::<(Text, Nullable<SqlUuid>, Nullable<BigInt>)>(
            "SELECT done.outcome, done.allocation, done.balance
             FROM unnest(?, ?, ?, ?, ?) WITH ORDINALITY AS new (member, credits, days, id, key, place)
             CROSS JOIN LATERAL assign_partner_credits(?, ?, new.member, new.credits, new.days, new.id, nullif(new.key, ''), nullif(?, ?), ?) AS done
             ORDER BY place",
            vec![
                Bind::Uuids(assignments.iter().map(|assignment| assignment.member.uuid()).collect()),
                integers(|assignment| assignment.credits),
                integers(|assignment| assignment.valid_days),
                Bind::Uuids(assignments.iter().map(|_| AllocationId::new().uuid()).collect()),
                Bind::Texts(assignments.iter().map(key).collect()),
                Bind::Uuid(self.tenant.uuid()),
                Bind::Uuid(partner.uuid()),
                Bind::Uuid(self.by.map_or(Uuid::nil(), UserId::uuid)),
                Bind::Uuid(Uuid::nil()),
                Bind::Time(self.at),
            ],
        )
        .load(&mut &*self.connection)
        .await?;
        rows.into_iter().map(|(outcome, id, balance)| outcome_of(&outcome, id, balance.unwrap_or_default())).collect()
    }

    /// Takes back what is unused of an allocation in scope; gives how many credits, or `None` where there is no such allocation. Does
    /// nothing the second time.
    pub async fn revoke_credits(&self, scope: Scope, id: AllocationId) -> QueryResult<Option<i64>> {
        self.act_for_tenant().await?;
        let allocations = Allocation::by_ids(self.connection, scope, &[id]).await?;
        let Some(allocation) = allocations.get(&id) else { return Ok(None) };
        self.lock_credits(allocation.partner_id).await?;
        // Before its credits: who uses some holds the member and then takes credits.
        Member::lock(self.connection, scope, allocation.member_id).await?;
        self.revoke_units(&[id]).await.map(Some)
    }

    /// Makes a member inactive, and takes back its unused credits if that is wanted; gives how many, and whether anything was not so before.
    /// `None` where there is no such member in scope.
    pub async fn deactivate_member(&self, scope: Scope, id: MemberId, revokes: bool) -> QueryResult<Option<(i64, bool)>> {
        self.act_for_tenant().await?;
        let members = Member::by_ids(self.connection, scope, &[id]).await?;
        let Some(member) = members.get(&id) else { return Ok(None) };
        self.lock_credits(member.partner_id).await?;
        let Some(member) = Member::lock(self.connection, scope, id).await? else { return Ok(None) };
        let was_working = member.status != MemberStatus::Inactive;
        if was_working {
            let changes = MemberChanges { status: Some(MemberStatus::Inactive), ..MemberChanges::default() };
            member.update(self.connection, self.tenant, &changes, self.at).await?;
        }
        if !revokes {
            return Ok(Some((0, was_working)));
        }
        let unused: Vec<(AllocationId, i32)> = credit_allocations::table
            .filter(credit_allocations::tenant_id.eq(self.tenant))
            .filter(credit_allocations::member_id.eq(id))
            .filter(credit_allocations::available.gt(0))
            .filter(credit_allocations::expires_at.gt(self.at))
            .order((credit_allocations::expires_at, credit_allocations::id))
            .select((credit_allocations::id, credit_allocations::available))
            .load(&mut &*self.connection)
            .await?;
        let mut returned = 0;
        let mut unused = unused.into_iter().peekable();
        // Some at a time: a statement has its time limit, and what it costs grows with credits and with allocations.
        while unused.peek().is_some() {
            let (mut credits, mut count) = (0, 0);
            let some: Vec<AllocationId> = std::iter::from_fn(|| {
                let (id, available) = unused.next_if(|_| credits < MAX_CREDITS && count < ALLOCATIONS_AT_ONCE)?;
                (credits, count) = (credits + available, count + 1);
                Some(id)
            })
            .collect();
            returned += self.revoke_units(&some).await?;
        }
        Ok(Some((returned, was_working || returned > 0)))
    }
}

/// What the database's function has said. See its comment.
fn outcome_of(outcome: &str, id: Option<AllocationId>, balance: i64) -> QueryResult<Result<Assigned, AssignmentFault>> {
    Ok(match (outcome, id) {
        ("assigned", Some(id)) => Ok(Assigned { id, is_replay: false }),
        ("replayed", Some(id)) => Ok(Assigned { id, is_replay: true }),
        ("key_reused", Some(id)) => Err(AssignmentFault::KeyReused(id)),
        ("invalid_amount", _) => Err(AssignmentFault::Amount),
        ("invalid_days", _) => Err(AssignmentFault::Days),
        ("partner_not_found" | "partner_inactive", _) => Err(AssignmentFault::Partner),
        ("member_not_found", _) => Err(AssignmentFault::UnknownMember),
        ("member_inactive", _) => Err(AssignmentFault::Inactive),
        ("insufficient_credits", _) => Err(AssignmentFault::Insufficient { balance }),
        _ => return Err(diesel::result::Error::DeserializationError(format!("assign_partner_credits: {outcome:?}").into())),
    })
}
