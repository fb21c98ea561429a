//! Why an amount is what it is, as the API shows it.

use std::sync::Arc;

use async_graphql::{Context, Object, SimpleObject};
use iso_currency::Currency;

use super::rule::CommissionRule;
use crate::{
    error::{Error, Result},
    graphql::{
        billing::customer::Customer,
        engine::{
            context::ContextExt,
            scalars::{CurrencyCode, DateTime, Decimal, Money, currency_or_default},
        },
        partners::partner::Partner,
        programmes::programme::Programme,
    },
    ids::{CustomerId, PartnerId, ProgrammeId},
    models::{
        self,
        billing::account::CustomerAccount,
        commissions::{
            calculation::{self, StepKind},
            rate::Assessment,
            rule::{Payment, RateSource},
        },
    },
    money::{self, minor_units},
    validation::positive_amount,
};

/// A sale that has not happened.
pub struct SaleToTry {
    /// The partner that would earn by it.
    pub partner: PartnerId,
    /// Who would pay.
    pub customer: CustomerId,
    /// In which programme; where it is `None`, that by whose link the customer came to the partner.
    pub programme: Option<ProgrammeId>,
    /// How much.
    pub amount: rust_decimal::Decimal,
    /// In which currency; the tenant's default where it is `None`.
    pub currency: Option<CurrencyCode>,
    /// When; now where it is `None`.
    pub at: Option<DateTime>,
}

/// An explanation.
pub struct CommissionExplanation(pub models::commissions::explanation::Explanation);

/// Why a commission is what it is: what went in, each step, and how it was rounded.
#[Object]
impl CommissionExplanation {
    /// All of it in one sentence, for people.
    async fn sentence(&self) -> &str {
        &self.0.sentence
    }

    /// Where the rate or amount comes from. The first of these that there is decides: the customer's own rate, the partner's rule in the
    /// programme, the partner's rule, the programme's rule, the rule for all partners, the partner's default rate.
    async fn source(&self) -> RateSource {
        self.0.source
    }

    /// The version of the rule that decided. Null where none did.
    async fn rule(&self) -> Option<CommissionRule> {
        self.0.rule.clone().map(|rule| CommissionRule(Arc::new(rule)))
    }

    /// What the commission is a share of; for a refund what has been refunded in all. Null for an amount set by hand.
    async fn base(&self) -> Option<Money> {
        self.0.base.map(|base| self.money(base))
    }

    /// The rate, as a fraction. Null where there is not a single one.
    async fn rate(&self) -> Option<Decimal> {
        self.0.rate.map(Decimal)
    }

    /// For tiers: what the partner's calendar month had brought before. Null otherwise.
    async fn month_base(&self) -> Option<Money> {
        self.0.month_base.map(|base| self.money(base))
    }

    /// The steps; their amounts together are `amount`. Empty where nothing was calculated.
    async fn steps(&self) -> Vec<CalculationStep> {
        self.0.steps.iter().map(|step| CalculationStep::new(step, self.0.amount.currency)).collect()
    }

    /// The amount: rounded once, at the end, half to even, to the currency's minor unit.
    async fn amount(&self) -> Money {
        Money(self.0.amount)
    }
}

impl CommissionExplanation {
    /// What a payment would earn; none where the viewer may not see the partner or the customer.
    pub async fn calculate(
        ctx: &Context<'_>,
        SaleToTry { partner, customer, programme, amount, currency, at }: SaleToTry,
    ) -> Result<Option<Self>> {
        let currency = currency_or_default(ctx, currency)?;
        let amount = positive_amount(amount, minor_units(currency))
            .map_err(|wrong| Error::BadUserInput(format!("`amount`: {}", wrong.message)))?;
        if Partner::by_id(ctx, partner).await?.is_none() || Customer::by_id(ctx, customer).await?.is_none() {
            return Ok(None);
        }
        if let Some(programme) = programme
            && Programme::by_id(ctx, programme).await?.is_none()
        {
            return Ok(None);
        }
        let amount = money::Money::rounded(amount, currency);
        let at = at.map_or_else(|| ctx.now(), |at| at.0);
        let reading = ctx.read().await?;
        let tenant = ctx.viewer().tenant.id;
        let account = CustomerAccount::at(&reading, tenant, customer, at).await?.map(|managed| managed.account);
        let managed = account.as_ref().filter(|account| account.partner_id == partner);
        let programme = programme.or_else(|| managed.and_then(|account| account.origin.programme_id));
        let payment = Payment { partner, programme, customer, amount, at };
        let assessment = Assessment::of(&reading, tenant, payment, account.as_ref()).await?;
        Ok(Some(Self(models::commissions::explanation::Explanation::of_assessment(assessment, amount))))
    }

    fn money(&self, amount: rust_decimal::Decimal) -> Money {
        Money::of(amount, self.0.amount.currency)
    }
}

/// One step of a calculation.
#[derive(SimpleObject)]
pub struct CalculationStep {
    /// What it does.
    kind: StepKind,
    /// In words.
    description: String,
    /// The part of the base that it is about. Null where it is about none.
    base: Option<Money>,
    /// The rate, as a fraction. Null where there is none.
    rate: Option<Decimal>,
    /// What it adds, not rounded; below zero for what it takes off.
    amount: Decimal,
}

impl CalculationStep {
    /// A step in a currency.
    pub fn new(step: &calculation::CalculationStep, currency: Currency) -> Self {
        Self {
            kind: step.kind,
            description: step.to_string(),
            base: step.base.map(|base| Money::of(base, currency)),
            rate: step.rate.map(Decimal),
            amount: Decimal(step.amount.normalize()),
        }
    }
}
