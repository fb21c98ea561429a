//! Versions of commission rules, as they are set and ended. A version is never edited: the next one ends it, or it is given an end.

use chrono::{DateTime, Utc};
use diesel::{prelude::*, result::DatabaseErrorKind};
use diesel_async::RunQueryDsl;
use iso_currency::Currency;
use uuid::Uuid;

use super::{
    calculation::Terms,
    rule::{NewRule, Rule, RuleKind},
};
use crate::{
    db::{
        QueryError,
        schema::{partner_commission_tiers, partner_commissions},
    },
    ids::{EnrolmentId, PartnerId, ProgrammeId, RuleId},
    models::{
        idempotency::{Claim, Difference, Key, Operation},
        ledger::books::Books,
        partners::partner::Partner,
        programmes::{
            enrolment::Enrolment,
            programme::{Programme, ProgrammeRateSource},
        },
        scope::Scope,
    },
};

/// Why a rule was not set, or not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleFault {
    /// There is no such rule.
    NotFound,
    /// There is no such partner.
    UnknownPartner,
    /// There is no such programme.
    UnknownProgramme,
    /// The partner does not take part in the programme.
    NotEnrolled,
    /// Another version begins at this instant, which is the new one's beginning or later.
    LaterVersion(DateTime<Utc>),
    /// Another version for the same was set at the same time.
    SetAtOnce,
    /// It ended at this instant, which is not the one that was named.
    Ended(DateTime<Utc>),
    /// The idempotency key was used for something else.
    KeyReused {
        /// The version that was set with it.
        first: RuleId,
        /// Where the requests differ.
        difference: Difference,
    },
}

/// A version: its id, its number, when it begins and when it ends.
type Version = (RuleId, i32, DateTime<Utc>, Option<DateTime<Utc>>);

impl Books<'_> {
    /// Sets a rule, once for each key. Gives the version's id and whether it is new.
    pub async fn set_rule(&self, scope: Scope, key: &Key, new: &NewRule) -> QueryResult<Result<(RuleId, bool), RuleFault>> {
        let id = RuleId::new();
        match key.claim(self.connection, Operation::SetCommissionRule, self.tenant, None, id.uuid()).await? {
            Claim::First => {}
            Claim::Replay(first) => return Ok(Ok((first.into(), false))),
            Claim::Reused { first, difference } => {
                return Ok(Err(RuleFault::KeyReused { first: first.into(), difference }));
            }
        }
        if let Some(partner) = new.partner_id
            && Partner::by_ids(self.connection, scope, &[partner]).await?.is_empty()
        {
            return Ok(Err(RuleFault::UnknownPartner));
        }
        if let Some(programme) = new.programme_id {
            if Programme::by_ids(self.connection, scope, &[programme]).await?.is_empty() {
                return Ok(Err(RuleFault::UnknownProgramme));
            }
            if new.partner_id.is_none() {
                self.note_rate_source(programme, ProgrammeRateSource::Operator).await?;
            }
        }
        Ok(self.add_rule_version(id, new).await?.map(|()| (id, true)))
    }

    /// Sets a rule: a new version of this id that holds from `valid_from` on, and ends the one before it there.
    pub async fn add_rule_version(&self, id: RuleId, new: &NewRule) -> QueryResult<Result<(), RuleFault>> {
        let enrolment = match (new.partner_id, new.programme_id) {
            (Some(partner), Some(programme)) => {
                let Some(enrolment) = Enrolment::of(self.connection, Scope::tenant(self.tenant), partner, programme).await?
                else {
                    return Ok(Err(RuleFault::NotEnrolled));
                };
                Some(enrolment.id)
            }
            _ => None,
        };
        let scope = match enrolment {
            Some(enrolment) => enrolment.uuid(),
            None => new.programme_id.map(ProgrammeId::uuid).or(new.partner_id.map(PartnerId::uuid)).unwrap_or(self.tenant.uuid()),
        };
        let versions = self.lock_versions(scope, new.currency).await?;
        let overlaps = |from: DateTime<Utc>, to: Option<DateTime<Utc>>| {
            to.is_none_or(|to| to > new.valid_from && to > from) && new.valid_to.is_none_or(|end| end > from)
        };
        for &(other, _, from, to) in &versions {
            if !overlaps(from, to) {
                continue;
            }
            if from >= new.valid_from {
                return Ok(Err(RuleFault::LaterVersion(from)));
            }
            if let Err(fault) = self.close(other, new.valid_from).await? {
                return Ok(Err(fault));
            }
        }
        let number = versions.as_slice().first().map_or(1, |(_, last, ..)| last + 1);
        unless_set_at_once(self.insert_version(id, number, new, enrolment).await)
    }

    /// The versions of the same scope and currency, the last one first. They are locked until the transaction ends.
    async fn lock_versions(&self, scope: Uuid, currency: Option<Currency>) -> QueryResult<Vec<Version>> {
        partner_commissions::table
            .filter(partner_commissions::tenant_id.eq(self.tenant))
            .filter(partner_commissions::scope_id.eq(scope))
            .filter(partner_commissions::scope_currency.eq(currency.map_or("", |currency| currency.code())))
            .select((
                partner_commissions::id,
                partner_commissions::version,
                partner_commissions::valid_from,
                partner_commissions::valid_to,
            ))
            .order(partner_commissions::version.desc())
            .for_no_key_update()
            .load(&mut &*self.connection)
            .await
    }

    async fn insert_version(&self, id: RuleId, number: i32, new: &NewRule, enrolment: Option<EnrolmentId>) -> QueryResult<()> {
        let (kind, rate, flat) = match &new.formula.terms {
            Terms::Percentage(rate) => (RuleKind::Percentage, Some(*rate), None),
            Terms::Flat(amount) => (RuleKind::Flat, None, Some(*amount)),
            Terms::Tiered(_) => (RuleKind::Tiered, None, None),
        };
        diesel::insert_into(partner_commissions::table)
            .values((
                partner_commissions::tenant_id.eq(self.tenant),
                partner_commissions::id.eq(id),
                partner_commissions::partner_id.eq(new.partner_id),
                partner_commissions::programme_id.eq(new.programme_id),
                partner_commissions::enrolment_id.eq(enrolment),
                partner_commissions::currency.eq(new.currency.map(|currency| currency.code())),
                partner_commissions::version.eq(number),
                partner_commissions::kind.eq(kind),
                partner_commissions::rate.eq(rate),
                partner_commissions::flat_amount.eq(flat),
                partner_commissions::cap.eq(new.formula.cap),
                partner_commissions::duration_months.eq(new.duration_months),
                partner_commissions::valid_from.eq(new.valid_from),
                partner_commissions::valid_to.eq(new.valid_to),
                partner_commissions::created_by.eq(self.by),
            ))
            .execute(&mut &*self.connection)
            .await?;
        let Terms::Tiered(tiers) = &new.formula.terms else { return Ok(()) };
        let rows = tiers.iter().map(|tier| {
            (
                partner_commission_tiers::tenant_id.eq(self.tenant),
                partner_commission_tiers::rule_id.eq(id),
                partner_commission_tiers::above.eq(tier.above),
                partner_commission_tiers::rate.eq(tier.rate),
            )
        });
        let insert = diesel::insert_into(partner_commission_tiers::table).values(rows.collect::<Vec<_>>());
        insert.execute(&mut &*self.connection).await.map(drop)
    }

    /// Ends a rule at an instant, exclusive, or now where none is named; one that has not begun by then never holds. Gives whether it is
    /// ended now: one that holds no longer stays as it is, unless another end is named.
    pub async fn end_rule(&self, scope: Scope, id: RuleId, named: Option<DateTime<Utc>>) -> QueryResult<Result<bool, RuleFault>> {
        let found = Rule::by_ids(self.connection, scope, &[id]).await?;
        let Some(rule) = found.get(&id) else { return Ok(Err(RuleFault::NotFound)) };
        // What an operator has ended, the commission-rate service does not begin again.
        if let (Some(programme), None) = (rule.programme_id, rule.partner_id) {
            self.note_rate_source(programme, ProgrammeRateSource::Operator).await?;
        }
        let at = named.unwrap_or(self.at).max(rule.valid_from);
        match rule.valid_to {
            Some(end) if end <= at && named.is_some() && end != at => Ok(Err(RuleFault::Ended(end))),
            Some(end) if end <= at => Ok(Ok(false)),
            Some(_) | None => Ok(self.close(id, at).await?.map(|()| true)),
        }
    }

    async fn close(&self, id: RuleId, at: DateTime<Utc>) -> QueryResult<Result<(), RuleFault>> {
        let version = partner_commissions::table
            .filter(partner_commissions::tenant_id.eq(self.tenant))
            .filter(partner_commissions::id.eq(id));
        let closing = diesel::update(version).set(partner_commissions::valid_to.eq(at));
        unless_set_at_once(closing.execute(&mut &*self.connection).await.map(drop))
    }
}

/// Recognises what was refused because another version for the same was set at the same time.
fn unless_set_at_once(written: QueryResult<()>) -> QueryResult<Result<(), RuleFault>> {
    match written {
        Err(QueryError::DatabaseError(DatabaseErrorKind::UniqueViolation | DatabaseErrorKind::ExclusionViolation, info))
            if info.constraint_name().is_some_and(|name| name.starts_with("partner_commissions_")) =>
        {
            Ok(Err(RuleFault::SetAtOnce))
        }
        written => written.map(Ok),
    }
}
