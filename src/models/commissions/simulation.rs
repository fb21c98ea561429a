//! What a period would have earned under another rule: its real payments, replayed one by one, nothing written.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use diesel::{
    QueryResult,
    sql_types::{Bool, Nullable, Numeric, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::TryStreamExt;
use iso_currency::Currency;
use rust_decimal::Decimal;

use super::{
    rate::Assessment,
    rule::{NewRule, RateSource, Rule},
};
use crate::{
    db::statement::{Bind, statement},
    ids::{PartnerId, ProgrammeId, RuleId, TenantId},
    models::calendar::TimeZone,
    money::Money,
};

/// What one partner earned in one currency, and would have earned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How many payments.
    pub payments: i64,
    /// How many of them fall under the rule; others have a rate or rule that goes before it.
    pub affected: i64,
    /// What was earned.
    pub actual: Decimal,
    /// What would have been.
    pub simulated: Decimal,
}

impl Outcome {
    /// Adds another of the same currency.
    pub fn add(&mut self, other: &Self) {
        self.payments += other.payments;
        self.affected += other.affected;
        self.actual += other.actual;
        self.simulated += other.simulated;
    }
}

/// Outcomes by partner and currency.
pub type Outcomes = HashMap<(PartnerId, Currency), Outcome>;

struct Replayed {
    partner: PartnerId,
    currency: Currency,
    base: Decimal,
    amount: Decimal,
    programme: Option<ProgrammeId>,
    source: RateSource,
    rule_has_currency: bool,
    at: DateTime<Utc>,
    first_payment: DateTime<Utc>,
}

impl NewRule {
    /// As it would be, were it set.
    fn candidate(&self) -> Rule {
        Rule {
            id: RuleId::new(),
            partner_id: self.partner_id,
            programme_id: self.programme_id,
            currency: self.currency.map(|currency| currency.code().to_owned()),
            version: 0,
            formula: self.formula.clone(),
            duration_months: self.duration_months,
            valid_from: self.valid_from,
            valid_to: self.valid_to,
            created_by: None,
            created_at: self.valid_from,
        }
    }

    /// Whether a payment would fall under it: its own rate or rule does not go before.
    fn applies_to(&self, payment: &Replayed) -> bool {
        let own = match payment.source {
            RateSource::EnrolmentRule => (true, true, payment.rule_has_currency),
            RateSource::PartnerRule => (true, false, payment.rule_has_currency),
            RateSource::ProgrammeRule => (false, true, payment.rule_has_currency),
            RateSource::TenantRule => (false, false, payment.rule_has_currency),
            RateSource::PartnerRate => (false, false, false),
            RateSource::CustomerRate
            | RateSource::Lead
            | RateSource::Reversal
            | RateSource::Manual
            | RateSource::Wallet
            | RateSource::Imported => {
                return false;
            }
        };
        self.currency.is_none_or(|currency| currency == payment.currency)
            && self.programme_id.is_none_or(|programme| Some(programme) == payment.programme)
            && (self.partner_id.is_some(), self.programme_id.is_some(), self.currency.is_some()) >= own
    }
}

type Columns = (SqlUuid, Text, Numeric, Numeric, Nullable<SqlUuid>, Text, Bool, Timestamptz, Nullable<Timestamptz>);
type Row = (PartnerId, String, Decimal, Decimal, Option<ProgrammeId>, RateSource, bool, DateTime<Utc>, Option<DateTime<Utc>>);

/// Replays a period's payments, refunds left out of both sums; of a shared commission the whole. Tiers see each month from its first day, by the order of payment.
pub async fn simulate(
    mut connection: &AsyncPgConnection,
    tenant: TenantId,
    zone: TimeZone,
    rule: &NewRule,
    (from, before): (DateTime<Utc>, DateTime<Utc>),
) -> QueryResult<Outcomes> {
    let partner = if rule.partner_id.is_some() { "AND e.partner_id = ?" } else { "" };
    let mut binds = vec![Bind::Uuid(tenant.uuid()), Bind::Time(zone.start_of(zone.month_of(from))), Bind::Time(before)];
    binds.extend(rule.partner_id.map(|partner| Bind::Uuid(partner.uuid())));
    let first_payment = match rule.duration_months {
        Some(_) => "(SELECT min(i.paid_at) FROM invoices i WHERE i.tenant_id = e.tenant_id AND i.customer_id = e.customer_id)",
        None => "e.event_date",
    };
    let rows = statement::<Columns>(
        format!(
            "SELECT e.partner_id, e.currency, e.base, coalesce(s.whole, e.amount), l.programme_id, e.source, r.currency IS NOT NULL, e.event_date, {first_payment}
             FROM partner_commission_events e LEFT JOIN partner_commissions r ON r.tenant_id = e.tenant_id AND r.id = e.rule_id
             LEFT JOIN links l ON l.tenant_id = e.tenant_id AND l.id = e.link_id
             LEFT JOIN commission_splits s ON s.tenant_id = e.tenant_id AND s.commission_id = e.id
             WHERE e.tenant_id = ? AND e.event_date >= ? AND e.event_date < ? {partner}
                 AND e.event_type = 'invoice_payment' AND e.status <> 'rejected'
             ORDER BY e.partner_id, e.event_date, e.id"
        ),
        binds,
    )
    .load_stream::<Row>(&mut connection)
    .await?;
    let candidate = rule.candidate();
    let replay = Replay { rule, candidate, zone, from, month_bases: HashMap::new(), outcomes: Outcomes::new() };
    let replay = rows
        .try_fold(replay, async |mut replay, (partner, code, base, amount, programme, source, rule_has_currency, at, first)| {
            if let Some(currency) = Currency::from_code(&code) {
                let first_payment = first.unwrap_or(at);
                let payment =
                    Replayed { partner, currency, base, amount, programme, source, rule_has_currency, at, first_payment };
                replay.take(&payment);
            }
            Ok(replay)
        })
        .await?;
    Ok(replay.outcomes)
}

struct Replay<'r> {
    rule: &'r NewRule,
    candidate: Rule,
    zone: TimeZone,
    from: DateTime<Utc>,
    /// The base so far of the partner's month at hand; there is one for each currency.
    month_bases: HashMap<Currency, (PartnerId, NaiveDate, Decimal)>,
    outcomes: Outcomes,
}

impl Replay<'_> {
    fn take(&mut self, payment: &Replayed) {
        let month = self.zone.month_of(payment.at);
        let so_far = self.month_bases.entry(payment.currency).or_insert((payment.partner, month, Decimal::ZERO));
        if (so_far.0, so_far.1) != (payment.partner, month) {
            *so_far = (payment.partner, month, Decimal::ZERO);
        }
        let month_base = so_far.2;
        so_far.2 += payment.base;
        if payment.at < self.from {
            return;
        }
        let outcome = self.outcomes.entry((payment.partner, payment.currency)).or_default();
        outcome.payments += 1;
        outcome.actual += payment.amount;
        if !self.rule.applies_to(payment) {
            outcome.simulated += payment.amount;
            return;
        }
        let amount = Money { amount: payment.base, currency: payment.currency };
        let is_past = self.candidate.is_past_duration(payment.first_payment, payment.at);
        outcome.affected += 1;
        outcome.simulated += Assessment::by_rule(self.candidate.clone(), amount, month_base, is_past).calculation.amount;
    }
}
