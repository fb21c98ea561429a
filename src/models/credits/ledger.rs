//! Credits in the ledger: what moves them, their transfers as they are read, and partners' balances.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{
    prelude::*,
    sql_types::{BigInt, Nullable, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rust_decimal::{Decimal, prelude::ToPrimitive};

use crate::{
    db::{
        schema::transfers,
        statement::{Bind, statement},
    },
    ids::{AllocationId, CreditTransferId, GrantId, MemberId, PartnerId, RedemptionId, UserId},
    models::{
        ledger::{CREDIT_UNIT, Entry, books::Books, transfer::reader},
        scope::Scope,
    },
};

crate::pg_enum! {
    /// What an account holds of credits.
    pub enum CreditAccountKind {
        /// What the tenant has granted the partner, below zero: where every credit comes from.
        Issued = "issued",
        /// What the partner has not assigned yet.
        Available = "available",
        /// What its members have and have not used yet.
        Assigned = "assigned",
        /// What its members have used.
        Used = "used",
        /// What its members have not used in time.
        Expired = "expired",
    }
}

crate::pg_enum! {
    /// Why credits move.
    pub enum CreditTransferKind {
        /// The tenant gives credits to the partner.
        Grant = "grant",
        /// The tenant takes back what is unassigned.
        Withdraw = "withdraw",
        /// The partner assigns credits to a member.
        Assign = "assign",
        /// The partner takes back what a member has not used.
        Revoke = "revoke",
        /// A member uses credits.
        Redeem = "redeem",
        /// A redemption was reversed: its members have the credits again.
        Restore = "restore",
        /// What a member has not used in time.
        Expire = "expire",
    }
}

/// Why credits move, and because of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Movement {
    /// The tenant gives.
    Grant(GrantId),
    /// The tenant takes back.
    Withdraw(GrantId),
    /// The partner takes back from a member.
    Revoke(MemberId, AllocationId),
    /// A member uses.
    Redeem(MemberId, AllocationId, RedemptionId),
    /// A member is given back what was used.
    Restore(MemberId, AllocationId, RedemptionId),
    /// A member has not used in time.
    Expire(MemberId, AllocationId),
}

/// Credits to be moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// Whose.
    pub partner: PartnerId,
    /// How many; above zero.
    pub credits: i64,
    /// Why.
    pub movement: Movement,
}

impl Moved {
    fn entry(&self) -> Entry {
        use CreditAccountKind::{Assigned, Available, Expired, Issued, Used};
        let (kind, from, to) = match self.movement {
            Movement::Grant(_) => (CreditTransferKind::Grant, Issued, Available),
            Movement::Withdraw(_) => (CreditTransferKind::Withdraw, Available, Issued),
            Movement::Revoke(..) => (CreditTransferKind::Revoke, Assigned, Available),
            Movement::Redeem(..) => (CreditTransferKind::Redeem, Assigned, Used),
            Movement::Restore(..) => (CreditTransferKind::Restore, Used, Assigned),
            Movement::Expire(..) => (CreditTransferKind::Expire, Assigned, Expired),
        };
        let (grant, member, allocation, redemption) = match self.movement {
            Movement::Grant(id) | Movement::Withdraw(id) => (Some(id.uuid()), None, None, None),
            Movement::Revoke(member, id) | Movement::Expire(member, id) => (None, Some(member.uuid()), Some(id.uuid()), None),
            Movement::Redeem(member, id, by) | Movement::Restore(member, id, by) => {
                (None, Some(member.uuid()), Some(id.uuid()), Some(by.uuid()))
            }
        };
        Entry {
            partner: self.partner.uuid(),
            unit: CREDIT_UNIT,
            from: from.as_str(),
            to: to.as_str(),
            amount: Decimal::from(self.credits),
            kind: kind.as_str(),
            attempt: 1,
            grant,
            member,
            allocation,
            redemption,
            ..Entry::default()
        }
    }
}

impl Books<'_> {
    /// Moves credits, in this order. Assigning is the database's own: see [`super::assignment`].
    pub(super) async fn move_credits(&self, moved: &[Moved]) -> QueryResult<()> {
        let entries: Vec<Entry> = moved.iter().map(Moved::entry).collect();
        self.enter(&entries).await
    }
}

/// A transfer of credits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, HasQuery)]
#[diesel(table_name = transfers)]
pub struct CreditTransfer {
    /// Its number: the order of posting.
    pub entry: i64,
    /// Whose accounts.
    #[diesel(select_expression = transfers::partner_id.assume_not_null())]
    pub partner_id: PartnerId,
    /// From where.
    pub from_kind: CreditAccountKind,
    /// To where.
    pub to_kind: CreditAccountKind,
    /// How many.
    pub amount: Decimal,
    /// Why.
    pub kind: CreditTransferKind,
    /// The grant that it is about.
    pub grant_id: Option<GrantId>,
    /// The allocation that it is about.
    pub allocation_id: Option<AllocationId>,
    /// The redemption that used them.
    pub redemption_id: Option<RedemptionId>,
    /// The balance of `from_kind` after it.
    pub from_balance: Decimal,
    /// The balance of `to_kind` after it.
    pub to_balance: Decimal,
    /// Who caused it.
    pub posted_by: Option<UserId>,
    /// When.
    pub posted_at: DateTime<Utc>,
}

/// A number of credits as the ledger holds it.
pub fn whole(credits: Decimal) -> i64 {
    credits.to_i64().unwrap_or_default()
}

reader! {
    CreditTransfer, CreditTransferId, transfers::unit.eq(CREDIT_UNIT);
    /// Each allocation's transfers, in the order of posting.
    by_allocations(allocation_id: AllocationId),
    /// Each redemption's transfers, in the order of posting.
    by_redemptions(redemption_id: RedemptionId),
}

/// A partner's credits at an instant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CreditFigures {
    /// Unassigned.
    pub balance: i64,
    /// With members, and can still be used.
    pub assigned: i64,
    /// Used by members.
    pub used: i64,
    /// Not used in time.
    pub expired: i64,
}

/// Each partner's credits at an instant, whether or not maintenance has run; one that never had any has none.
pub async fn figures(
    mut connection: &AsyncPgConnection,
    scope: Scope,
    partners: &[PartnerId],
    now: DateTime<Utc>,
) -> QueryResult<HashMap<PartnerId, CreditFigures>> {
    let tenant = Bind::Uuid(scope.tenant.uuid());
    let rows: Vec<(PartnerId, i64, i64, i64, i64, i64)> = statement::<(SqlUuid, BigInt, BigInt, BigInt, BigInt, BigInt)>(
        "SELECT partner.id, held.available, held.assigned, held.used, held.expired, due.credits FROM unnest(?) AS partner (id)
         CROSS JOIN LATERAL (
             SELECT coalesce(sum(balance) FILTER (WHERE kind = 'available'), 0)::bigint AS available,
                 coalesce(sum(balance) FILTER (WHERE kind = 'assigned'), 0)::bigint AS assigned,
                 coalesce(sum(balance) FILTER (WHERE kind = 'used'), 0)::bigint AS used,
                 coalesce(sum(balance) FILTER (WHERE kind = 'expired'), 0)::bigint AS expired
             FROM accounts WHERE tenant_id = ? AND partner_id = partner.id AND unit = 'CREDIT') AS held
         CROSS JOIN LATERAL (
             SELECT coalesce(sum(available), 0) AS credits FROM credit_allocations
             WHERE tenant_id = ? AND partner_id = partner.id AND available > 0 AND expires_at <= ?) AS due",
        vec![Bind::Uuids(partners.iter().map(|id| id.uuid()).collect()), tenant.clone(), tenant, Bind::Time(now)],
    )
    .load(&mut connection)
    .await?;
    let visible = rows.into_iter().filter(|(partner, ..)| scope.includes(*partner));
    let figures = visible.map(|(partner, balance, assigned, used, expired, due)| {
        (partner, CreditFigures { balance, assigned: assigned - due, used, expired: expired + due })
    });
    Ok(figures.collect())
}

/// What has become of a member's credits at an instant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemberCredits {
    /// Neither used, expired nor taken back.
    pub available: i64,
    /// Used.
    pub used: i64,
    /// Not used in time.
    pub expired: i64,
}

/// Each member's credits at an instant, whether or not maintenance has run; one that never had any has none.
pub async fn credits_by_members(
    mut connection: &AsyncPgConnection,
    scope: Scope,
    members: &[MemberId],
    now: DateTime<Utc>,
) -> QueryResult<HashMap<MemberId, MemberCredits>> {
    let tenant = Bind::Uuid(scope.tenant.uuid());
    let rows: Vec<(MemberId, Option<PartnerId>, i64, i64, i64, i64)> =
        statement::<(SqlUuid, Nullable<SqlUuid>, BigInt, BigInt, BigInt, BigInt)>(
            "SELECT member.id, held.partner, held.assigned, held.used, held.expired, due.credits FROM unnest(?) AS member (id)
             CROSS JOIN LATERAL (
                 SELECT (array_agg(partner_id))[1] AS partner, coalesce(sum(balance) FILTER (WHERE kind = 'assigned'), 0)::bigint AS assigned,
                     coalesce(sum(balance) FILTER (WHERE kind = 'used'), 0)::bigint AS used,
                     coalesce(sum(balance) FILTER (WHERE kind = 'expired'), 0)::bigint AS expired
                 FROM member_accounts WHERE tenant_id = ? AND member_id = member.id) AS held
             CROSS JOIN LATERAL (
                 SELECT coalesce(sum(available), 0) AS credits FROM credit_allocations
                 WHERE tenant_id = ? AND member_id = member.id AND available > 0 AND expires_at <= ?) AS due",
            vec![Bind::Uuids(members.iter().map(|id| id.uuid()).collect()), tenant.clone(), tenant, Bind::Time(now)],
        )
        .load(&mut connection)
        .await?;
    let visible = rows.into_iter().filter(|(_, partner, ..)| partner.is_some_and(|partner| scope.includes(partner)));
    let credits = visible.map(|(member, _, assigned, used, expired, due)| {
        (member, MemberCredits { available: assigned - due, used, expired: expired + due })
    });
    Ok(credits.collect())
}
