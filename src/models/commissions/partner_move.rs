//! Moving a lead, or a commission that is not paid, from one partner to another: in the ledger, and in the history with its reason.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{
    prelude::*,
    sql_types::{BigInt, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::commission::{Commission, CommissionStatus};
use crate::{
    db::{
        schema::{partner_commission_events, partner_leads, partner_moves},
        statement::{Bind, statement},
    },
    ids::{CommissionId, LeadId, MoveId, PartnerId, UserId},
    models::{
        leads::lead::Lead,
        ledger::{AccountKind, Posting, Source, TransferKind, books::Books},
        page::group,
        partners::{partner::Partner, status::PartnerStatus},
        scope::Scope,
    },
    money::stored_currency,
};

/// A move of a lead or commission.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = partner_moves)]
pub struct Move {
    /// Its id.
    pub id: MoveId,
    /// The lead that was moved.
    pub lead_id: Option<LeadId>,
    /// The commission that was moved by itself.
    pub commission_id: Option<CommissionId>,
    /// Whose it was.
    pub from_partner_id: PartnerId,
    /// Whose it is since.
    pub to_partner_id: PartnerId,
    /// Why.
    pub reason: String,
    /// Who moved it.
    pub moved_by: Option<UserId>,
    /// Who acted in their name.
    pub impersonator: Option<String>,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// Why something stays where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoveFault {
    /// There is no such lead or commission.
    NotFound,
    /// There is no such partner to move it to.
    UnknownPartner,
    /// The partner to move it to is closed.
    Closed,
    /// The commission is paid or rejected.
    Status(CommissionStatus),
    /// A payout holds the commission.
    InPayout,
    /// The commission takes another one back, and follows that.
    FollowsOriginal(CommissionId),
    /// The commission is that of a lead, and follows it.
    FollowsLead(LeadId),
    /// Part of the commission has been taken back by a payout.
    ReversalSettled(CommissionId),
}

impl Move {
    /// Those of `ids` that may be seen: by staff all, by a partner those that brought something to it.
    pub async fn by_ids(mut connection: &AsyncPgConnection, scope: Scope, ids: &[MoveId]) -> QueryResult<HashMap<MoveId, Self>> {
        let query = Self::query().filter(partner_moves::tenant_id.eq(scope.tenant)).filter(partner_moves::id.eq_any(ids));
        let rows: Vec<Self> = query.load(&mut connection).await?;
        Ok(rows.into_iter().filter(|row| scope.includes(row.to_partner_id)).map(|row| (row.id, row)).collect())
    }

    /// Each lead's moves that may be seen, the first one first: by staff all, by a partner those that brought the lead to it.
    pub async fn by_leads(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        leads: &[LeadId],
    ) -> QueryResult<HashMap<LeadId, Vec<Self>>> {
        let query = Self::query().filter(partner_moves::tenant_id.eq(scope.tenant)).filter(partner_moves::lead_id.eq_any(leads));
        let rows: Vec<Self> = query.order((partner_moves::created_at, partner_moves::id)).load(&mut connection).await?;
        let rows = rows.into_iter().filter(|row| scope.includes(row.to_partner_id));
        Ok(group(rows.filter_map(|row| Some((row.lead_id?, row))).collect()))
    }

    /// The same of commissions that were moved by themselves.
    pub async fn by_commissions(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        commissions: &[CommissionId],
    ) -> QueryResult<HashMap<CommissionId, Vec<Self>>> {
        let query = Self::query()
            .filter(partner_moves::tenant_id.eq(scope.tenant))
            .filter(partner_moves::commission_id.eq_any(commissions));
        let rows: Vec<Self> = query.order((partner_moves::created_at, partner_moves::id)).load(&mut connection).await?;
        let rows = rows.into_iter().filter(|row| scope.includes(row.to_partner_id));
        Ok(group(rows.filter_map(|row| Some((row.commission_id?, row))).collect()))
    }
}

impl Books<'_> {
    /// Moves a commission, with what takes it back, to another partner; whether it was not that one's already.
    pub async fn move_commission(&self, id: CommissionId, to: PartnerId, reason: &str) -> QueryResult<Result<bool, MoveFault>> {
        let Some(from) = self.commission(id).await?.map(|row| row.partner_id) else { return Ok(Err(MoveFault::NotFound)) };
        if from == to {
            return Ok(Ok(false));
        }
        self.lock(&[from, to]).await?;
        let Some(row) = self.commission(id).await? else { return Ok(Err(MoveFault::NotFound)) };
        self.still_of(&[from], [row.partner_id])?;
        let reversals = Commission::reversals_of(self.connection, self.tenant, &[id]).await?;
        if let Some(fault) = self.closed_to(to).await?.or_else(|| commission_stays(&row, &reversals)) {
            return Ok(Err(fault));
        }
        let rows: Vec<&Commission> = [&row].into_iter().chain(&reversals).collect();
        let ids: Vec<CommissionId> = rows.iter().map(|row| row.id).collect();
        // All in one statement: what takes a commission back is its partner's.
        diesel::update(
            partner_commission_events::table
                .filter(partner_commission_events::tenant_id.eq(self.tenant))
                .filter(partner_commission_events::id.eq_any(&ids)),
        )
        .set((partner_commission_events::partner_id.eq(to), partner_commission_events::updated_at.eq(self.at)))
        .execute(&mut &*self.connection)
        .await?;
        self.post_moves(&rows, from, to).await?;
        self.record_move(None, Some(id), from, to, reason).await.map(|()| Ok(true))
    }

    /// Moves a lead, with its history and what it has earned, to another partner; whether it was not that one's already.
    pub async fn move_lead(&self, id: LeadId, to: PartnerId, reason: &str) -> QueryResult<Result<bool, MoveFault>> {
        let Some(lead) = Lead::lock_key(self.connection, Scope::tenant(self.tenant), id).await? else {
            return Ok(Err(MoveFault::NotFound));
        };
        let from = lead.partner_id;
        if from == to {
            return Ok(Ok(false));
        }
        self.lock(&[from, to]).await?;
        let earned = Commission::by_lead(self.connection, self.tenant, id).await?;
        if let Some(fault) = self.closed_to(to).await? {
            return Ok(Err(fault));
        }
        match &earned {
            Some(row) if row.status == CommissionStatus::Paid => return Ok(Err(MoveFault::Status(row.status))),
            Some(row) if row.payout_id.is_some() => return Ok(Err(MoveFault::InPayout)),
            _ => {}
        }
        // Its history and its commission follow by their foreign keys.
        diesel::update(partner_leads::table.filter(partner_leads::tenant_id.eq(self.tenant)).filter(partner_leads::id.eq(id)))
            .set((partner_leads::partner_id.eq(to), partner_leads::updated_at.eq(self.at)))
            .execute(&mut &*self.connection)
            .await?;
        if let Some(row) = earned.filter(|row| row.status != CommissionStatus::Rejected) {
            self.post_moves(&[&row], from, to).await?;
        }
        self.record_move(Some(id), None, from, to, reason).await.map(|()| Ok(true))
    }

    async fn commission(&self, id: CommissionId) -> QueryResult<Option<Commission>> {
        Ok(Commission::by_ids(self.connection, Scope::tenant(self.tenant), &[id]).await?.remove(&id))
    }

    /// Why nothing can be moved to a partner whose books are locked.
    async fn closed_to(&self, to: PartnerId) -> QueryResult<Option<MoveFault>> {
        let partners = Partner::by_ids(self.connection, Scope::tenant(self.tenant), &[to]).await?;
        Ok(match partners.get(&to) {
            None => Some(MoveFault::UnknownPartner),
            Some(partner) => (partner.status == PartnerStatus::Closed).then_some(MoveFault::Closed),
        })
    }

    /// Takes what commissions hold out of one partner's accounts and into the same ones of another's.
    async fn post_moves(&self, rows: &[&Commission], from: PartnerId, to: PartnerId) -> QueryResult<()> {
        let ids: Vec<_> = rows.iter().map(|row| row.id.uuid()).collect();
        let before: Vec<(CommissionId, i64)> = statement::<(SqlUuid, BigInt)>(
            "SELECT event_id, count(*) FROM transfers WHERE tenant_id = ? AND event_id = ANY (?) AND kind = 'move_out' GROUP BY 1",
            vec![Bind::Uuid(self.tenant.uuid()), Bind::Uuids(ids)],
        )
        .load(&mut &*self.connection)
        .await?;
        let before: HashMap<CommissionId, i64> = before.into_iter().collect();
        let mut postings = Vec::with_capacity(rows.len() * 2);
        for (partner, kind) in [(from, TransferKind::MoveOut), (to, TransferKind::MoveIn)] {
            for row in rows {
                let move_number = before.get(&row.id).map_or(1, |count| i32::try_from(count + 1).unwrap_or(i32::MAX));
                let (account, expense) = (row.status.account(), AccountKind::Expense);
                let (from, to) = if kind == TransferKind::MoveOut { (account, expense) } else { (expense, account) };
                let (currency, source) = (stored_currency(&row.currency)?, Source::Move(row.id, move_number));
                postings.push(Posting { partner, currency, from, to, amount: row.amount, kind, source });
            }
        }
        self.post(&postings).await
    }

    async fn record_move(
        &self,
        lead: Option<LeadId>,
        commission: Option<CommissionId>,
        from: PartnerId,
        to: PartnerId,
        reason: &str,
    ) -> QueryResult<()> {
        diesel::insert_into(partner_moves::table)
            .values((
                partner_moves::tenant_id.eq(self.tenant),
                partner_moves::id.eq(MoveId::new()),
                partner_moves::lead_id.eq(lead),
                partner_moves::commission_id.eq(commission),
                partner_moves::from_partner_id.eq(from),
                partner_moves::to_partner_id.eq(to),
                partner_moves::reason.eq(reason),
                partner_moves::moved_by.eq(self.by),
                partner_moves::created_at.eq(self.at),
            ))
            .execute(&mut &*self.connection)
            .await
            .map(drop)
    }
}

/// Why a commission cannot be moved by itself.
fn commission_stays(row: &Commission, reversals: &[Commission]) -> Option<MoveFault> {
    if let Some(original) = row.reverses_id {
        return Some(MoveFault::FollowsOriginal(original));
    }
    if let Some(lead) = row.lead_id {
        return Some(MoveFault::FollowsLead(lead));
    }
    match row.status {
        CommissionStatus::Paid | CommissionStatus::Rejected => Some(MoveFault::Status(row.status)),
        CommissionStatus::Pending | CommissionStatus::Approved if row.payout_id.is_some() => Some(MoveFault::InPayout),
        CommissionStatus::Pending | CommissionStatus::Approved => {
            reversals.iter().find(|reversal| reversal.payout_id.is_some()).map(|reversal| MoveFault::ReversalSettled(reversal.id))
        }
    }
}
