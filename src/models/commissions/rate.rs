//! What a payment earns, and by what: the customer's own rate, a rule, or the partner's default rate.

use chrono::{DateTime, Utc};
use diesel::{
    prelude::*,
    sql_types::{Nullable, Numeric, Timestamptz},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rust_decimal::Decimal;

use super::{
    calculation::{Calculation, Formula, Terms},
    rule::{Payment, RateSource, Rule},
};
use crate::{
    db::{
        schema::partners,
        statement::{Bind, statement},
    },
    ids::{CustomerId, TenantId},
    models::billing::account::CustomerAccount,
    money::Money,
};

/// What a payment earns, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    /// Where the rate comes from.
    pub source: RateSource,
    /// The rule, where one applies.
    pub rule: Option<Rule>,
    /// The rate, where there is a single one.
    pub rate: Option<Decimal>,
    /// What the partner's calendar month had brought before, where tiers look at it.
    pub month_base: Option<Decimal>,
    /// Whether the rule's duration has passed, so that nothing is earned.
    pub is_past_duration: bool,
    /// How the amount follows.
    pub calculation: Calculation,
}

impl Assessment {
    /// What a rate earns.
    pub fn by_rate(source: RateSource, rate: Decimal, amount: Money) -> Self {
        let calculation = Formula::percentage(rate).calculate(amount, Decimal::ZERO);
        Self { source, rule: None, rate: Some(rate), month_base: None, is_past_duration: false, calculation }
    }

    /// What a rule earns.
    pub fn by_rule(rule: Rule, amount: Money, month_base: Decimal, is_past_duration: bool) -> Self {
        let calculation =
            if is_past_duration { Calculation::nothing(amount) } else { rule.formula.calculate(amount, month_base) };
        let (rate, month_base) = match rule.formula.terms {
            Terms::Percentage(rate) => (Some(rate), None),
            Terms::Flat(_) => (None, None),
            Terms::Tiered(_) => (None, Some(month_base)),
        };
        Self { source: rule.source(), rule: Some(rule), rate, month_base, is_past_duration, calculation }
    }

    /// Assesses a payment by what holds at its instant: the customer's own rate, else the rule that it falls under
    /// ([`Rule::holding`]), else the partner's default rate. `account` is the period of the
    /// customer's that the instant falls into.
    pub async fn of(
        mut connection: &AsyncPgConnection,
        tenant: TenantId,
        payment: Payment,
        account: Option<&CustomerAccount>,
    ) -> QueryResult<Self> {
        if let Some(rate) =
            account.filter(|account| account.partner_id == payment.partner).and_then(|account| account.commission_rate)
        {
            return Ok(Self::by_rate(RateSource::CustomerRate, rate, payment.amount));
        }
        let Some(rule) = Rule::holding(connection, tenant, payment).await? else {
            let rate: Decimal = partners::table
                .filter(partners::tenant_id.eq(tenant))
                .filter(partners::id.eq(payment.partner))
                .select(partners::commission_rate)
                .first(&mut connection)
                .await?;
            return Ok(Self::by_rate(RateSource::PartnerRate, rate, payment.amount));
        };
        let is_past_duration = match rule.duration_months {
            Some(_) => {
                let first = first_payment(connection, tenant, payment.customer).await?;
                rule.is_past_duration(first.map_or(payment.at, |first| first.min(payment.at)), payment.at)
            }
            None => false,
        };
        let month_base = match rule.formula.terms {
            Terms::Tiered(_) => month_base(connection, tenant, payment).await?,
            Terms::Percentage(_) | Terms::Flat(_) => Decimal::ZERO,
        };
        Ok(Self::by_rule(rule, payment.amount, month_base, is_past_duration))
    }
}

/// When a customer paid first.
async fn first_payment(
    mut connection: &AsyncPgConnection,
    tenant: TenantId,
    customer: CustomerId,
) -> QueryResult<Option<DateTime<Utc>>> {
    statement::<Nullable<Timestamptz>>(
        "SELECT min(paid_at) FROM invoices WHERE tenant_id = ? AND customer_id = ?",
        vec![Bind::Uuid(tenant.uuid()), Bind::Uuid(customer.uuid())],
    )
    .get_result(&mut connection)
    .await
}

/// What a partner's calendar month has brought so far, in the payment's currency.
async fn month_base(mut connection: &AsyncPgConnection, tenant: TenantId, payment: Payment) -> QueryResult<Decimal> {
    let found: Option<Decimal> = statement::<Numeric>(
        "SELECT base FROM commission_totals WHERE tenant_id = ? AND partner_id = ? AND currency = ? AND grain = 'month'
             AND starts_on = date_trunc('month', ? AT TIME ZONE (SELECT time_zone FROM tenants WHERE id = ?))::date",
        vec![
            Bind::Uuid(tenant.uuid()),
            Bind::Uuid(payment.partner.uuid()),
            Bind::text(payment.amount.currency.code()),
            Bind::Time(payment.at),
            Bind::Uuid(tenant.uuid()),
        ],
    )
    .get_result(&mut connection)
    .await
    .optional()?;
    Ok(found.unwrap_or_default())
}
