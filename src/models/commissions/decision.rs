//! What is decided of commissions: approved or rejected, by operators, or by time for those that are held.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{QueryResult, prelude::*, sql_types::Uuid as SqlUuid};
use diesel_async::RunQueryDsl;

use super::commission::{Commission, CommissionStatus};
use crate::{
    db::{
        self,
        schema::partner_commission_events,
        statement::{Bind, condition, statement},
    },
    ids::{CommissionId, PartnerId, TenantId},
    models::{
        ledger::{AccountKind, TransferKind, books::Books},
        scope::Scope,
    },
    money::stored_currency,
};

/// What is to be done with commissions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Approve what is pending.
    Approve,
    /// Reject what is not paid, for a reason.
    Reject(String),
}

/// Why a commission was left as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecisionFault {
    /// There is no such commission.
    NotFound,
    /// Its status does not allow it.
    Status(CommissionStatus),
    /// A payout holds it.
    InPayout,
    /// It takes another one back, and follows that.
    FollowsOriginal(CommissionId),
    /// Part of it has been taken back by a payout.
    ReversalSettled(CommissionId),
    /// All or none was asked for, and another one has a fault.
    OtherFault,
}

/// The outcome for each commission that was asked for; those without a fault are as wanted, whether or not they were before.
pub type Decided = HashMap<CommissionId, Option<DecisionFault>>;

/// That a commission's partner is at work.
const AT_WORK: &str = "EXISTS (SELECT FROM partners p WHERE p.tenant_id = partner_commission_events.tenant_id
    AND p.id = partner_commission_events.partner_id AND p.status = 'active')";
/// The most that maintenance approves in one transaction.
const DUE_AT_ONCE: i64 = 500;

impl Decision {
    /// Whether a commission can be decided so.
    fn fault(&self, commission: &Commission, reversals: &[Commission]) -> Option<DecisionFault> {
        if let Some(original) = commission.reverses_id {
            return Some(DecisionFault::FollowsOriginal(original));
        }
        match (self, commission.status) {
            (Self::Approve, CommissionStatus::Pending | CommissionStatus::Approved)
            | (Self::Reject(_), CommissionStatus::Pending | CommissionStatus::Rejected) => None,
            (Self::Approve, CommissionStatus::Paid | CommissionStatus::Rejected) | (Self::Reject(_), CommissionStatus::Paid) => {
                Some(DecisionFault::Status(commission.status))
            }
            (Self::Reject(_), CommissionStatus::Approved) if commission.payout_id.is_some() => Some(DecisionFault::InPayout),
            (Self::Reject(_), CommissionStatus::Approved) => reversals
                .iter()
                .find(|reversal| reversal.reverses_id == Some(commission.id) && reversal.payout_id.is_some())
                .map(|reversal| DecisionFault::ReversalSettled(reversal.id)),
        }
    }

    fn status(&self) -> CommissionStatus {
        match self {
            Self::Approve => CommissionStatus::Approved,
            Self::Reject(_) => CommissionStatus::Rejected,
        }
    }

    fn kind(&self) -> TransferKind {
        match self {
            Self::Approve => TransferKind::Approve,
            Self::Reject(_) => TransferKind::Reject,
        }
    }
}

impl Books<'_> {
    /// Decides commissions, each on its own, with what takes them back; gives the outcomes, and whether anything was changed. With `all_or_none`
    /// a fault of one leaves all as they are.
    pub async fn decide(&self, ids: &[CommissionId], decision: &Decision, all_or_none: bool) -> QueryResult<(Decided, bool)> {
        let scope = Scope::tenant(self.tenant);
        let found = Commission::by_ids(self.connection, scope, ids).await?;
        let partners: Vec<PartnerId> = found.values().map(|commission| commission.partner_id).collect();
        self.lock(&partners).await?;
        // Read again under the lock.
        let found = Commission::by_ids(self.connection, scope, ids).await?;
        self.still_of(&partners, found.values().map(|commission| commission.partner_id))?;
        let reversals = Commission::reversals_of(self.connection, self.tenant, ids).await?;
        let mut decided: Decided = ids
            .iter()
            .map(|id| (*id, found.get(id).map_or(Some(DecisionFault::NotFound), |row| decision.fault(row, &reversals))))
            .collect();
        if all_or_none && decided.values().any(Option::is_some) {
            for fault in decided.values_mut() {
                fault.get_or_insert(DecisionFault::OtherFault);
            }
            return Ok((decided, false));
        }
        let is_due = |row: &&Commission| row.status != decision.status();
        let chosen = |id: Option<CommissionId>| id.is_some_and(|id| matches!(decided.get(&id), Some(None)));
        let originals = found.values().filter(|row| chosen(Some(row.id))).filter(is_due);
        let followers = reversals.iter().filter(|row| chosen(row.reverses_id) && row.payout_id.is_none()).filter(is_due);
        let changed: Vec<&Commission> = originals.chain(followers).collect();
        self.settle(&changed, decision).await?;
        let has_changed = !changed.is_empty();
        Ok((decided, has_changed))
    }

    /// Gives commissions of these partners, which are locked, their new status, and posts it.
    async fn settle(&self, commissions: &[&Commission], decision: &Decision) -> QueryResult<()> {
        let reason = match decision {
            Decision::Approve => None,
            Decision::Reject(reason) => Some(reason.as_str()),
        };
        let ids: Vec<CommissionId> = commissions.iter().map(|row| row.id).collect();
        diesel::update(
            partner_commission_events::table
                .filter(partner_commission_events::tenant_id.eq(self.tenant))
                .filter(partner_commission_events::id.eq_any(ids)),
        )
        .set((
            partner_commission_events::status.eq(decision.status()),
            partner_commission_events::rejection_reason.eq(reason),
            partner_commission_events::decided_by.eq(self.by),
            partner_commission_events::decided_at.eq(self.at),
            partner_commission_events::updated_at.eq(self.at),
        ))
        .execute(&mut &*self.connection)
        .await?;
        let to = match decision {
            Decision::Approve => AccountKind::Payable,
            Decision::Reject(_) => AccountKind::Expense,
        };
        let posting =
            |row: &&Commission| Ok(row.posting(stored_currency(&row.currency)?, row.status.account(), to, decision.kind()));
        let postings = commissions.iter().map(posting).collect::<QueryResult<Vec<_>>>()?;
        self.post(&postings).await?;
        match reason {
            Some(reason) => self.give_back(commissions, reason).await,
            None => Ok(()),
        }
    }

    /// Approves what has been held long enough, of one partner at a time; gives how many were looked at, or `None` when nothing is due. What is due
    /// to a partner that is not at work waits until it is, and what a person should look at by now waits for one.
    pub async fn approve_due(&self) -> QueryResult<Option<usize>> {
        let next: Option<PartnerId> = partner_commission_events::table
            .filter(partner_commission_events::tenant_id.eq(self.tenant))
            .filter(condition(AT_WORK, Vec::new()))
            .filter(partner_commission_events::status.eq(CommissionStatus::Pending))
            .filter(partner_commission_events::due_at.le(self.at))
            .order(partner_commission_events::due_at)
            .select(partner_commission_events::partner_id)
            .first(&mut &*self.connection)
            .await
            .optional()?;
        let Some(partner) = next else { return Ok(None) };
        self.lock(&[partner]).await?;
        let due: Vec<Commission> = Commission::query()
            .filter(partner_commission_events::tenant_id.eq(self.tenant))
            .filter(condition(AT_WORK, Vec::new()))
            .filter(partner_commission_events::partner_id.eq(partner))
            .filter(partner_commission_events::status.eq(CommissionStatus::Pending))
            .filter(partner_commission_events::due_at.le(self.at))
            .order((partner_commission_events::due_at, partner_commission_events::id))
            .limit(DUE_AT_ONCE)
            .load(&mut &*self.connection)
            .await?;
        let flagged = self.flag_late(&due).await?;
        let due: Vec<&Commission> = due.iter().filter(|row| !flagged.contains(&row.id)).collect();
        let ids: Vec<CommissionId> = due.iter().map(|row| row.id).collect();
        let reversals = Commission::reversals_of(self.connection, self.tenant, &ids).await?;
        let pending = reversals.iter().filter(|row| row.status == CommissionStatus::Pending);
        let changed: Vec<&Commission> = due.into_iter().chain(pending).collect();
        self.settle(&changed, &Decision::Approve).await?;
        Ok(Some(changed.len() + flagged.len()))
    }
}

/// The tenants that have commissions to approve by time; asked as a machine, which sees no more of other tenants than this.
pub async fn tenants_with_due_commissions(mut connection: &db::Connection, due_by: DateTime<Utc>) -> QueryResult<Vec<TenantId>> {
    statement::<SqlUuid>("SELECT tenants_with_due_commissions(?)", vec![Bind::Time(due_by)]).load(&mut connection).await
}
