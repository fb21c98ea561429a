//! Changes of leads: the steps through the pipeline, what they are worth and earn, and what a conversion books. Whatever changes a lead
//! comes through here: the API, an import, another system's report.

use chrono::{DateTime, Utc};
use diesel::QueryResult;
use rust_decimal::Decimal;

use super::{
    lead::{Lead, LeadChanges, commission},
    status::LeadStatus,
};
use crate::{
    ids::{LeadId, PartnerId},
    models::{
        ledger::books::Books,
        partners::{partner::Partner, status::PartnerStatus},
        scope::Scope,
    },
    money::stored_currency,
};

/// Why a lead was left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeadFault {
    /// There is no such lead.
    NotFound,
    /// A lead of the first status cannot be given the second.
    NoStep(LeadStatus, LeadStatus),
    /// Its partner is closed and earns nothing more.
    PartnerClosed,
    /// It was changed at this instant, after the caller had read it.
    ChangedSince(DateTime<Utc>),
    /// The client was erased then, and is not named again.
    Erased(DateTime<Utc>),
}

/// What a lead is worth, and what its partner earns by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Term {
    /// The deal's value.
    DealValue,
    /// The commission.
    Commission,
}

/// The terms that a lead is to have; `None` leaves one as it is. Amounts are rounded to the lead's currency.
#[derive(Debug, Clone, Copy, Default)]
pub struct NewTerms {
    /// What the deal is worth; `Some(None)` where that is not known.
    pub deal_value: Option<Option<Decimal>>,
    /// The commission, set by hand; `Some(None)` lets it follow from the deal's value again.
    pub commission: Option<Option<Decimal>>,
}

impl NewTerms {
    /// Without what is so already.
    fn changing(self, lead: &Lead) -> Self {
        let by_hand = lead.commission_fixed.then_some(lead.commission);
        Self {
            deal_value: self.deal_value.filter(|value| *value != lead.deal_value),
            commission: self.commission.filter(|amount| *amount != by_hand),
        }
    }
}

impl Lead {
    /// Those of the new terms that differ from the lead's and cannot change any longer: a lead's terms are settled once it has
    /// converted, for an operator once something is booked for it.
    pub fn settled_terms(&self, terms: NewTerms, by_operator: bool) -> Vec<Term> {
        let is_open = self.status != LeadStatus::Converted || (by_operator && self.commission.is_zero());
        if is_open {
            return Vec::new();
        }
        let NewTerms { deal_value, commission } = terms.changing(self);
        [deal_value.map(|_| Term::DealValue), commission.map(|_| Term::Commission)].into_iter().flatten().collect()
    }

    /// Adds the new terms to changes of the lead. The commission follows from the deal's value unless it is set by hand.
    fn apply(&self, terms: NewTerms, changes: &mut LeadChanges) -> QueryResult<()> {
        let NewTerms { deal_value, commission: by_hand } = terms.changing(self);
        changes.deal_value = deal_value;
        match by_hand {
            Some(Some(by_hand)) => {
                changes.commission = Some(by_hand);
                changes.commission_fixed = Some(true);
            }
            None if self.commission_fixed || deal_value.is_none() => {}
            Some(None) | None => {
                let currency = stored_currency(&self.currency)?;
                changes.commission = Some(commission(deal_value.unwrap_or(self.deal_value), self.commission_rate, currency));
                changes.commission_fixed = by_hand.map(|_| false);
            }
        }
        Ok(())
    }
}

impl Books<'_> {
    /// Takes a lead one step and records it with the note; one that converts earns its commission. Gives whether it took the step now: one
    /// that has the status already stays as it is, so a retry is safe.
    pub async fn step_lead(
        &self,
        scope: Scope,
        id: LeadId,
        to: LeadStatus,
        note: Option<&str>,
    ) -> QueryResult<Result<bool, LeadFault>> {
        if to == LeadStatus::Converted
            && let Some(lead) = Lead::lock(self.connection, scope, id).await?
            && lead.status.next().contains(&to)
            && !self.lock_earning(scope, lead.partner_id).await?
        {
            return Ok(Err(LeadFault::PartnerClosed));
        }
        let Some(before) = Lead::step(self.connection, scope, id, to, self.by, note).await? else {
            return Ok(Err(LeadFault::NotFound));
        };
        if before == to {
            return Ok(Ok(false));
        }
        if !before.next().contains(&to) {
            return Ok(Err(LeadFault::NoStep(before, to)));
        }
        if to == LeadStatus::Converted {
            let books = self.after_locks();
            books.book_conversion(scope, id, books.at).await?;
        }
        Ok(Ok(true))
    }

    /// Changes a lead, which the caller has locked, and its terms, none of which is settled. Gives whether anything was not so already.
    /// `expected` is its `updated_at` when the caller decided on the changes.
    pub async fn change_lead(
        &self,
        scope: Scope,
        lead: &Lead,
        mut changes: LeadChanges,
        terms: NewTerms,
        expected: Option<DateTime<Utc>>,
    ) -> QueryResult<Result<bool, LeadFault>> {
        lead.apply(terms, &mut changes)?;
        if let Some(erased) = lead.erased_at
            && changes.name_client(lead)
        {
            return Ok(Err(LeadFault::Erased(erased)));
        }
        if !changes.differ_from(lead) {
            return Ok(Ok(false));
        }
        if expected.is_some_and(|expected| expected != lead.updated_at) {
            return Ok(Err(LeadFault::ChangedSince(lead.updated_at)));
        }
        // A lead whose value was not known when it converted had nothing to book then.
        let earns_since = lead.converted_at.filter(|_| changes.commission.is_some_and(|commission| !commission.is_zero()));
        if earns_since.is_some() && !self.lock_earning(scope, lead.partner_id).await? {
            return Ok(Err(LeadFault::PartnerClosed));
        }
        lead.update(self.connection, &changes).await?;
        if let Some(converted_at) = earns_since {
            self.after_locks().book_conversion(scope, lead.id, converted_at).await?;
        }
        Ok(Ok(true))
    }

    /// Locks a partner's books, before the partner's own row is (the lead's may be locked), and says whether it can still earn: a closed one
    /// cannot.
    async fn lock_earning(&self, scope: Scope, partner: PartnerId) -> QueryResult<bool> {
        self.lock(&[partner]).await?;
        let found = Partner::by_ids(self.connection, scope, &[partner]).await?;
        Ok(found.get(&partner).is_none_or(|partner| partner.status != PartnerStatus::Closed))
    }

    /// Books what a converted lead earns, in the tenant's name: a partner may take the step, and writes no books.
    async fn book_conversion(&self, scope: Scope, id: LeadId, at: DateTime<Utc>) -> QueryResult<()> {
        let Some(lead) = Lead::lock(self.connection, scope, id).await? else { return Ok(()) };
        self.act_for_tenant().await?;
        self.record_conversion(&lead, at).await.map(drop)
    }
}
