//! Commission rules: versions that are never edited, which one applies, and what it makes of a base.

use std::collections::HashMap;

use chrono::{DateTime, Months, Utc};
use diesel::{pg::Pg, prelude::*};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use iso_currency::Currency;
use rust_decimal::Decimal;

use super::calculation::{Formula, Terms, Tier};
use crate::{
    db::{
        schema::{enrolments, partner_commission_tiers, partner_commissions},
        statement::{Bind, condition},
    },
    ids::{CustomerId, PartnerId, ProgrammeId, RuleId, TenantId, UserId},
    models::{list::Conditions, scope::Scope},
    money::Money,
};

crate::pg_enum! {
    /// How a rule makes an amount of a base.
    pub enum RuleKind {
        /// A share of the base.
        Percentage = "percentage",
        /// The same amount for each payment.
        Flat = "flat",
        /// Shares that rise or fall with what the calendar month has brought, each for the part of it that lies in its step.
        Tiered = "tiered",
    }
}

crate::pg_enum! {
    /// Where a commission's rate comes from, the first of them that there is.
    pub enum RateSource {
        /// The customer's own rate.
        CustomerRate = "customer_rate",
        /// A rule of the partner's in the programme of the link that the customer came by.
        EnrolmentRule = "enrolment_rule",
        /// A rule of the partner's.
        PartnerRule = "partner_rule",
        /// A rule of that programme's, for all partners.
        ProgrammeRule = "programme_rule",
        /// A rule for all partners and programmes.
        TenantRule = "tenant_rule",
        /// The partner's default rate.
        PartnerRate = "partner_rate",
        /// The lead's rate, or the amount that an operator set for it.
        Lead = "lead",
        /// The commission that is taken back.
        Reversal = "reversal",
        /// An operator set the amount.
        Manual = "manual",
        /// It was taken out of an affiliate's wallet.
        Wallet = "wallet",
        /// Another system calculated it, and it was brought along.
        Imported = "imported",
    }
}

#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = partner_commissions)]
struct RuleRow {
    id: RuleId,
    partner_id: Option<PartnerId>,
    programme_id: Option<ProgrammeId>,
    currency: Option<String>,
    version: i32,
    kind: RuleKind,
    rate: Option<Decimal>,
    flat_amount: Option<Decimal>,
    cap: Option<Decimal>,
    duration_months: Option<i32>,
    valid_from: DateTime<Utc>,
    valid_to: Option<DateTime<Utc>>,
    created_by: Option<UserId>,
    created_at: DateTime<Utc>,
}

/// One version of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its id.
    pub id: RuleId,
    /// Whose it is; `None` for that of all partners.
    pub partner_id: Option<PartnerId>,
    /// For which programme; `None` for all.
    pub programme_id: Option<ProgrammeId>,
    /// For which currency (ISO 4217); `None` for each.
    pub currency: Option<String>,
    /// Which version, from 1.
    pub version: i32,
    /// How it makes an amount.
    pub formula: Formula,
    /// For how many months after a customer's first payment it earns.
    pub duration_months: Option<i32>,
    /// From when it holds.
    pub valid_from: DateTime<Utc>,
    /// Until when, exclusive.
    pub valid_to: Option<DateTime<Utc>>,
    /// Who set it.
    pub created_by: Option<UserId>,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// A rule to be set.
#[derive(Debug, Clone)]
pub struct NewRule {
    /// Whose; `None` for all partners.
    pub partner_id: Option<PartnerId>,
    /// For which programme; `None` for all.
    pub programme_id: Option<ProgrammeId>,
    /// For which currency.
    pub currency: Option<Currency>,
    /// How it makes an amount.
    pub formula: Formula,
    /// For how many months after a customer's first payment.
    pub duration_months: Option<i32>,
    /// From when.
    pub valid_from: DateTime<Utc>,
    /// Until when, exclusive.
    pub valid_to: Option<DateTime<Utc>>,
}

/// A payment that may earn a commission.
#[derive(Debug, Clone, Copy)]
pub struct Payment {
    /// The partner that manages the customer.
    pub partner: PartnerId,
    /// The programme of the link that the customer came by.
    pub programme: Option<ProgrammeId>,
    /// Who paid.
    pub customer: CustomerId,
    /// How much.
    pub amount: Money,
    /// When.
    pub at: DateTime<Utc>,
}

impl Terms {
    /// Their kind.
    pub fn kind(&self) -> RuleKind {
        match self {
            Self::Percentage(_) => RuleKind::Percentage,
            Self::Flat(_) => RuleKind::Flat,
            Self::Tiered(_) => RuleKind::Tiered,
        }
    }
}

impl Rule {
    fn of(row: RuleRow, tiers: Vec<Tier>) -> Self {
        let terms = match row.kind {
            RuleKind::Percentage => Terms::Percentage(row.rate.unwrap_or_default()),
            RuleKind::Flat => Terms::Flat(row.flat_amount.unwrap_or_default()),
            RuleKind::Tiered => Terms::Tiered(tiers),
        };
        Self {
            id: row.id,
            partner_id: row.partner_id,
            programme_id: row.programme_id,
            currency: row.currency,
            version: row.version,
            formula: Formula { terms, cap: row.cap },
            duration_months: row.duration_months,
            valid_from: row.valid_from,
            valid_to: row.valid_to,
            created_by: row.created_by,
            created_at: row.created_at,
        }
    }

    async fn with_tiers(mut connection: &AsyncPgConnection, tenant: TenantId, rows: Vec<RuleRow>) -> QueryResult<Vec<Self>> {
        let tiered: Vec<RuleId> = rows.iter().filter(|row| row.kind == RuleKind::Tiered).map(|row| row.id).collect();
        let mut tiers = HashMap::<RuleId, Vec<Tier>>::new();
        if !tiered.is_empty() {
            let found: Vec<(RuleId, Decimal, Decimal)> = partner_commission_tiers::table
                .filter(partner_commission_tiers::tenant_id.eq(tenant))
                .filter(partner_commission_tiers::rule_id.eq_any(tiered))
                .order((partner_commission_tiers::rule_id, partner_commission_tiers::above))
                .select((partner_commission_tiers::rule_id, partner_commission_tiers::above, partner_commission_tiers::rate))
                .load(&mut connection)
                .await?;
            for (rule, above, rate) in found {
                tiers.entry(rule).or_default().push(Tier { above, rate });
            }
        }
        Ok(rows
            .into_iter()
            .map(|row| {
                let tiers = tiers.remove(&row.id).unwrap_or_default();
                Self::of(row, tiers)
            })
            .collect())
    }

    /// Those in scope: a partner's are its own, those of all partners, and those of the programmes that it takes part in.
    fn in_scope(scope: Scope) -> Conditions<'static, partner_commissions::table> {
        Conditions::of(partner_commissions::tenant_id.eq(scope.tenant))
            .and_if(scope.partner, |own| {
                partner_commissions::partner_id.is_null().or(partner_commissions::partner_id.assume_not_null().eq(own))
            })
            .and_if(scope.partner, |own| {
                let enrolled = enrolments::table
                    .filter(enrolments::tenant_id.eq(scope.tenant))
                    .filter(enrolments::partner_id.eq(own))
                    .filter(enrolments::programme_id.nullable().eq(partner_commissions::programme_id));
                partner_commissions::programme_id.is_null().or(diesel::dsl::exists(enrolled))
            })
    }

    /// Those of `ids` that are in scope.
    pub async fn by_ids(mut connection: &AsyncPgConnection, scope: Scope, ids: &[RuleId]) -> QueryResult<HashMap<RuleId, Self>> {
        let query = RuleRow::query().into_boxed::<Pg>();
        let rows: Vec<RuleRow> =
            Self::in_scope(scope).narrow(query).filter(partner_commissions::id.eq_any(ids)).load(&mut connection).await?;
        let rules = Self::with_tiers(connection, scope.tenant, rows).await?;
        Ok(rules.into_iter().map(|rule| (rule.id, rule)).collect())
    }

    /// Rules in scope, those of all partners and programmes first, then by partner, programme and currency, the newest version first.
    /// `partner` and `programme` leave out those of others; `at` leaves out those that do not hold then.
    pub async fn list(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        partner: Option<PartnerId>,
        programme: Option<ProgrammeId>,
        at: Option<DateTime<Utc>>,
        limit: i64,
    ) -> QueryResult<Vec<Self>> {
        let mut query = Self::in_scope(scope).narrow(RuleRow::query().into_boxed::<Pg>());
        if let Some(only) = partner {
            query = query.filter(partner_commissions::partner_id.is_null().or(partner_commissions::partner_id.eq(only)));
        }
        if let Some(only) = programme {
            query = query.filter(partner_commissions::programme_id.is_null().or(partner_commissions::programme_id.eq(only)));
        }
        if let Some(at) = at {
            query = query
                .filter(partner_commissions::valid_from.le(at))
                .filter(partner_commissions::valid_to.is_null().or(partner_commissions::valid_to.gt(at)));
        }
        let rows = query
            .order((
                partner_commissions::partner_id.asc().nulls_first(),
                partner_commissions::programme_id.asc().nulls_first(),
                partner_commissions::scope_currency,
                partner_commissions::version.desc(),
            ))
            .limit(limit)
            .load(&mut connection)
            .await?;
        Self::with_tiers(connection, scope.tenant, rows).await
    }

    /// The rule that a payment falls under: the partner's in the programme, the partner's, the programme's, the one for all; of each, one
    /// for its currency before one for every one.
    pub async fn holding(mut connection: &AsyncPgConnection, tenant: TenantId, payment: Payment) -> QueryResult<Option<Self>> {
        let mut scopes = vec![Bind::Uuid(tenant.uuid()), Bind::Uuid(payment.partner.uuid())];
        let mut scope_ids = "?, ?".to_owned();
        if let Some(programme) = payment.programme {
            scope_ids += ", ?, (SELECT e.id FROM enrolments e WHERE e.tenant_id = ? AND e.partner_id = ? AND e.programme_id = ?)";
            let [tenant, partner, programme] = [tenant.uuid(), payment.partner.uuid(), programme.uuid()];
            scopes.extend([programme, tenant, partner, programme].map(Bind::Uuid));
        }
        let row: Option<RuleRow> = RuleRow::query()
            .filter(partner_commissions::tenant_id.eq(tenant))
            .filter(condition(format!("partner_commissions.scope_id = ANY (ARRAY[{scope_ids}])"), scopes))
            .filter(partner_commissions::scope_currency.eq_any([payment.amount.currency.code(), ""]))
            .filter(partner_commissions::valid_from.le(payment.at))
            .filter(partner_commissions::valid_to.is_null().or(partner_commissions::valid_to.gt(payment.at)))
            .order((
                partner_commissions::enrolment_id.is_null(),
                partner_commissions::partner_id.is_null(),
                partner_commissions::programme_id.is_null(),
                partner_commissions::currency.is_null(),
            ))
            .first(&mut connection)
            .await
            .optional()?;
        Ok(Self::with_tiers(connection, tenant, row.into_iter().collect()).await?.pop())
    }

    /// What it is as the source of a rate.
    pub fn source(&self) -> RateSource {
        match (self.partner_id, self.programme_id) {
            (Some(_), Some(_)) => RateSource::EnrolmentRule,
            (Some(_), None) => RateSource::PartnerRule,
            (None, Some(_)) => RateSource::ProgrammeRule,
            (None, None) => RateSource::TenantRule,
        }
    }

    /// Whether it no longer earns for a customer who paid first at that instant.
    pub fn is_past_duration(&self, first_payment: DateTime<Utc>, at: DateTime<Utc>) -> bool {
        let Some(months) = self.duration_months else { return false };
        let months = Months::new(u32::try_from(months).unwrap_or(0));
        first_payment.checked_add_months(months).is_some_and(|end| at >= end)
    }
}
