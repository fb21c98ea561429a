//! Taking payouts through their steps: compare and set under lock, with what each step does to commissions and accounts.

use diesel::{
    QueryResult,
    prelude::*,
    sql_types::{BigInt, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use rust_decimal::Decimal;

use super::{
    payout::Payout,
    status::{
        NewPayoutChange, PayoutChange, PayoutStatus,
        way::{self, Way},
    },
};
use crate::{
    db::{
        schema::{partner_commission_events, partner_payouts},
        statement::{Bind, statement},
    },
    ids::{PayoutChangeId, PayoutId},
    models::{
        commissions::commission::CommissionStatus,
        ledger::{self, AccountKind, Purse, TransferKind, books::Books},
        partners::profile::{PaymentMethod, Profile},
        scope::Scope,
    },
    money::stored_currency,
};

/// A step of a payout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PayoutStep {
    /// Releases it for payment.
    Release,
    /// Sends it off.
    Start,
    /// It has arrived, with the payment's reference.
    Complete(String),
    /// It could not be paid, for a reason.
    Fail(String),
    /// Tries it again.
    Retry,
    /// Gives it up, for a reason if there is one.
    Cancel(Option<String>),
    /// It arrived and came back, for a reason.
    Return(String),
}

/// Why a payout was left as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PayoutStepFault {
    /// There is no such payout.
    NotFound,
    /// Its status does not allow the step.
    Status(PayoutStatus),
    /// It was completed with another reference.
    OtherReference(String),
    /// So many of its commissions are no longer its own to pay: rejected, in another payout, another partner's, or refunded by now.
    CommissionsGone(i64),
    /// Less is owed to the partner by now.
    NotOwed {
        /// What is owed, what the payout holds included; below zero for a debt.
        owed: Decimal,
    },
    /// The partner's profile does not say where a payment by the payout's method is to go.
    NoDestination {
        /// The payout's method.
        method: PaymentMethod,
        /// What the profile lacks, in words.
        lacks: &'static str,
    },
}

impl PayoutStep {
    /// From where it goes, and where to.
    fn way(&self) -> Way {
        match self {
            Self::Release => way::RELEASE,
            Self::Start => way::START,
            Self::Complete(_) => way::COMPLETE,
            Self::Fail(_) => way::FAIL,
            Self::Retry => way::RETRY,
            Self::Cancel(_) => way::CANCEL,
            Self::Return(_) => way::RETURN,
        }
    }

    fn note(&self) -> Option<&str> {
        match self {
            Self::Complete(note) | Self::Fail(note) | Self::Return(note) => Some(note),
            Self::Cancel(note) => note.as_deref(),
            Self::Release | Self::Start | Self::Retry => None,
        }
    }
}

impl Books<'_> {
    /// Takes a payout one step, and gives whether it is taken now: one that was the last already succeeds and changes nothing, so a retry is
    /// safe.
    pub async fn step_payout(&self, id: PayoutId, step: &PayoutStep) -> QueryResult<Result<bool, PayoutStepFault>> {
        // Whose books to lock; they are always locked before any row is.
        let partner = partner_payouts::table
            .filter(partner_payouts::tenant_id.eq(self.tenant))
            .filter(partner_payouts::id.eq(id))
            .select(partner_payouts::partner_id)
            .first(&mut &*self.connection)
            .await
            .optional()?;
        let Some(partner) = partner else { return Ok(Err(PayoutStepFault::NotFound)) };
        if matches!(step, PayoutStep::Complete(_) | PayoutStep::Return(_)) {
            self.lock_leads(id).await?;
        }
        self.lock(&[partner]).await?;
        let Some(payout) = Payout::lock(self.connection, self.tenant, id).await? else {
            return Ok(Err(PayoutStepFault::NotFound));
        };
        let (from, to) = step.way();
        if !from.contains(&payout.status) {
            return Ok(self.repeated(&payout, step).await?.map(|()| false));
        }
        let attempt = payout.attempt + i32::from(*step == PayoutStep::Retry);
        if let Some(fault) = self.hindrance(&payout, step).await? {
            return Ok(Err(fault));
        }
        if *step == PayoutStep::Retry {
            self.take_again(&payout).await?;
        }
        self.write_step(&payout, step, attempt).await?;
        self.follow(&payout, to).await?;
        self.book_step(&payout, to, attempt).await?;
        Ok(Ok(true))
    }

    /// Locks the leads whose commissions a payout holds, before the books are: that they are paid is noted with them, by a trigger.
    async fn lock_leads(&self, payout: PayoutId) -> QueryResult<()> {
        statement::<SqlUuid>(
            "SELECT l.id FROM partner_leads l WHERE l.tenant_id = ? AND l.id IN (
                 SELECT e.lead_id FROM partner_commission_events e WHERE e.tenant_id = ? AND e.payout_id = ? AND e.lead_id IS NOT NULL)
             ORDER BY l.id FOR NO KEY UPDATE OF l",
            vec![Bind::Uuid(self.tenant.uuid()), Bind::Uuid(self.tenant.uuid()), Bind::Uuid(payout.uuid())],
        )
        .execute(&mut &*self.connection)
        .await
        .map(drop)
    }

    /// A step from a status that it does not go from: fine where it is the last one that was taken.
    async fn repeated(&self, payout: &Payout, step: &PayoutStep) -> QueryResult<Result<(), PayoutStepFault>> {
        let history = PayoutChange::by_payouts(self.connection, Scope::tenant(self.tenant), &[payout.id]).await?;
        let last = history.get(&payout.id).and_then(|steps| steps.last());
        let (from, to) = step.way();
        let was_taken =
            last.is_some_and(|last| last.to_status == to && last.from_status.is_some_and(|status| from.contains(&status)));
        Ok(match step {
            PayoutStep::Complete(reference) if was_taken => match &payout.payment_reference {
                Some(first) if first != reference => Err(PayoutStepFault::OtherReference(first.clone())),
                _ => Ok(()),
            },
            _ if was_taken => Ok(()),
            _ => Err(PayoutStepFault::Status(payout.status)),
        })
    }

    async fn write_step(&self, payout: &Payout, step: &PayoutStep, attempt: i32) -> QueryResult<()> {
        let to = step.way().1;
        // One that came back was not paid after all.
        let reference = match step {
            PayoutStep::Complete(reference) => Some(Some(reference)),
            PayoutStep::Return(_) => Some(None),
            _ => None,
        };
        let failure = match step {
            PayoutStep::Fail(reason) | PayoutStep::Return(reason) => Some(partner_payouts::failure_reason.eq(reason)),
            _ => None,
        };
        let row =
            partner_payouts::table.filter(partner_payouts::tenant_id.eq(self.tenant)).filter(partner_payouts::id.eq(payout.id));
        diesel::update(row)
            .set((
                partner_payouts::status.eq(to),
                partner_payouts::attempt.eq(attempt),
                partner_payouts::completed_at.eq((to == PayoutStatus::Completed).then_some(self.at)),
                reference.map(|reference| partner_payouts::payment_reference.eq(reference)),
                failure,
                partner_payouts::updated_at.eq(self.at),
            ))
            .execute(&mut &*self.connection)
            .await?;
        let change = NewPayoutChange {
            tenant_id: self.tenant,
            id: PayoutChangeId::new(),
            partner_id: payout.partner_id,
            payout_id: payout.id,
            from_status: Some(payout.status),
            to_status: to,
            changed_by: self.by,
            note: step.note(),
            created_at: self.at,
        };
        PayoutChange::insert(self.connection, &change).await
    }

    /// What the step means for the payout's commissions.
    async fn follow(&self, payout: &Payout, to: PayoutStatus) -> QueryResult<()> {
        let rows = partner_commission_events::table
            .filter(partner_commission_events::tenant_id.eq(self.tenant))
            .filter(partner_commission_events::payout_id.eq(payout.id));
        match to {
            PayoutStatus::Completed => {
                diesel::update(rows)
                    .set((
                        partner_commission_events::status.eq(CommissionStatus::Paid),
                        partner_commission_events::updated_at.eq(self.at),
                    ))
                    .execute(&mut &*self.connection)
                    .await?;
            }
            PayoutStatus::Failed | PayoutStatus::Cancelled => {
                diesel::update(rows)
                    .set((
                        partner_commission_events::status.eq(CommissionStatus::Approved),
                        partner_commission_events::payout_id.eq(None::<PayoutId>),
                        partner_commission_events::updated_at.eq(self.at),
                    ))
                    .execute(&mut &*self.connection)
                    .await?;
            }
            PayoutStatus::Pending | PayoutStatus::Ready | PayoutStatus::Processing => {}
        }
        Ok(())
    }

    /// What the step means for the partner's accounts.
    async fn book_step(&self, payout: &Payout, to: PayoutStatus, attempt: i32) -> QueryResult<()> {
        use AccountKind::{InPayout, Paid, Payable};
        match (payout.status, to) {
            (PayoutStatus::Completed, PayoutStatus::Failed) => {
                self.move_payout(payout, attempt, Paid, Payable, TransferKind::Return).await
            }
            (PayoutStatus::Failed, PayoutStatus::Ready) => {
                self.move_payout(payout, attempt, Payable, InPayout, TransferKind::Hold).await
            }
            (_, PayoutStatus::Completed) => self.move_payout(payout, attempt, InPayout, Paid, TransferKind::Pay).await,
            (from, PayoutStatus::Failed | PayoutStatus::Cancelled) if from.is_live() => {
                self.move_payout(payout, attempt, InPayout, Payable, TransferKind::Release).await
            }
            _ => Ok(()),
        }
    }

    /// Why a payout cannot be sent on its way as it was made. Whatever brings it nearer to being paid asks this: release, start, retry.
    async fn hindrance(&self, payout: &Payout, step: &PayoutStep) -> QueryResult<Option<PayoutStepFault>> {
        let others = match step {
            PayoutStep::Release | PayoutStep::Start => "false",
            // It has given its commissions back, and others may have taken them: payouts, or partners to whom they were moved.
            PayoutStep::Retry => "e.status <> 'approved' OR e.payout_id IS NOT NULL OR e.partner_id <> i.partner_id",
            PayoutStep::Complete(_) | PayoutStep::Fail(_) | PayoutStep::Cancel(_) | PayoutStep::Return(_) => return Ok(None),
        };
        if let Some(fault) = self.gone(payout, others).await? {
            return Ok(Some(fault));
        }
        if let Some(fault) = self.not_owed(payout, step).await? {
            return Ok(Some(fault));
        }
        let profiles = Profile::by_partners(self.connection, Scope::tenant(self.tenant), &[payout.partner_id]).await?;
        let lacks = profiles.get(&payout.partner_id).and_then(|profile| profile.lacks(payout.payment_method));
        Ok(lacks.map(|lacks| PayoutStepFault::NoDestination { method: payout.payment_method, lacks }))
    }

    /// Whether commissions of the payout are no longer its own to pay: those that `others` says, and those refunded since it was made.
    async fn gone(&self, payout: &Payout, others: &str) -> QueryResult<Option<PayoutStepFault>> {
        // What was refunded after the payout was made is taken back by commissions that are still free, where no failed refund has given
        // it back. LATERAL: an EXISTS beside an OR would be hashed, from all refunds of the tenant.
        let gone: i64 = statement::<BigInt>(
            format!(
                "SELECT count(*) FROM partner_payout_items i
                 JOIN partner_commission_events e ON e.tenant_id = i.tenant_id AND e.id = i.event_id
                 LEFT JOIN LATERAL (
                     SELECT sum(r.amount) AS amount FROM partner_commission_events r
                     WHERE r.tenant_id = e.tenant_id AND r.reverses_id = e.id AND r.event_type = 'refund' AND r.status = 'approved'
                         AND r.payout_id IS NULL AND NOT EXISTS (SELECT FROM partner_payout_items o
                             WHERE o.tenant_id = r.tenant_id AND o.payout_id = i.payout_id AND o.event_id = r.id)) back ON true
                 WHERE i.tenant_id = ? AND i.payout_id = ? AND ({others} OR back.amount < 0)"
            ),
            vec![Bind::Uuid(self.tenant.uuid()), Bind::Uuid(payout.id.uuid())],
        )
        .get_result(&mut &*self.connection)
        .await?;
        Ok((gone > 0).then_some(PayoutStepFault::CommissionsGone(gone)))
    }

    /// Whether less is owed to the partner by now than the payout pays. However a debt arose, it stands in the books as a balance below
    /// zero of what is payable, where a live payout's own amount is no longer.
    async fn not_owed(&self, payout: &Payout, step: &PayoutStep) -> QueryResult<Option<PayoutStepFault>> {
        let purse = Purse { partner: payout.partner_id, currency: stored_currency(&payout.currency)? };
        let balances = ledger::balances(self.connection, Scope::tenant(self.tenant), &[purse]).await?;
        let payable = balances.get(&purse).copied().unwrap_or_default().payable;
        let owed = if *step == PayoutStep::Retry { payable } else { payable + payout.total_amount };
        Ok((owed < payout.total_amount).then_some(PayoutStepFault::NotOwed { owed }))
    }

    /// Takes the commissions that the payout was made of once more.
    async fn take_again(&self, payout: &Payout) -> QueryResult<()> {
        statement::<BigInt>(
            "UPDATE partner_commission_events e SET payout_id = ?, updated_at = ? FROM partner_payout_items i
             WHERE i.tenant_id = ? AND i.payout_id = ? AND e.tenant_id = i.tenant_id AND e.id = i.event_id",
            vec![Bind::Uuid(payout.id.uuid()), Bind::Time(self.at), Bind::Uuid(self.tenant.uuid()), Bind::Uuid(payout.id.uuid())],
        )
        .execute(&mut &*self.connection)
        .await
        .map(drop)
    }
}
