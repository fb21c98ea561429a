//! Commission rules as the API shows them, and what they would make of payments.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use async_graphql::{Context, Enum, Object, SimpleObject};
use iso_currency::Currency;

use super::rule_input::CommissionRuleInput;
use crate::{
    db,
    error::{Error, Result},
    graphql::{
        engine::{
            context::{ContextExt, missing},
            loaders::{BatchKey, batch_key},
            period::PeriodInput,
            row::Row,
            scalars::{CurrencyCode, DateTime, Decimal, Money, currency, currency_or_default},
        },
        partners::partner::Partner,
        people::user::User,
        programmes::programme::Programme,
    },
    ids::{PartnerId, ProgrammeId, RuleId},
    models::{
        commissions::{
            calculation::Terms,
            reward::Participation,
            rule::{self, RuleKind},
            simulation::{self, Outcome, Outcomes},
        },
        page::group,
        scope::Scope,
    },
};

/// The most rules that are listed at once.
const MAX_RULES: i64 = 500;
/// The most partners that a simulation lists.
const MAX_PARTNERS: usize = 500;

/// A version of a rule.
#[derive(Clone)]
pub struct CommissionRule(pub Arc<rule::Rule>);

/// One version of a rule by which commissions are calculated. A version is never edited: a change is a new one.
#[Object]
impl CommissionRule {
    /// Its id.
    pub async fn id(&self) -> RuleId {
        self.0.id
    }

    /// The partner whose rule it is. Null for a rule of all partners.
    async fn partner(&self, ctx: &Context<'_>) -> Option<Result<Row<Partner>>> {
        Some(Partner::by_id(ctx, self.0.partner_id?).await.and_then(|found| found.ok_or_else(|| missing("a rule's partner"))))
    }

    /// The programme that it is for: it decides on payments of customers that came by its links. Null for a rule of all programmes.
    async fn programme(&self, ctx: &Context<'_>) -> Option<Result<Row<Programme>>> {
        let id = self.0.programme_id?;
        Some(Programme::by_id(ctx, id).await.and_then(|found| found.ok_or_else(|| missing("a rule's programme"))))
    }

    /// The currency that it is for. Null for every one.
    async fn currency(&self) -> Option<Result<CurrencyCode>> {
        self.0.currency.as_deref().map(|code| currency(code).map(CurrencyCode))
    }

    /// Which version of the rule of that partner, programme and currency it is, from 1.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// How it makes an amount of a payment.
    async fn kind(&self) -> RuleKind {
        self.0.formula.terms.kind()
    }

    /// The share of a `PERCENTAGE` rule, as a fraction. Null for other kinds.
    async fn rate(&self) -> Option<Decimal> {
        match self.0.formula.terms {
            Terms::Percentage(rate) => Some(Decimal(rate)),
            Terms::Flat(_) | Terms::Tiered(_) => None,
        }
    }

    /// The amount of a `FLAT` rule. Null for other kinds.
    async fn flat_amount(&self) -> Option<Result<Money>> {
        match self.0.formula.terms {
            Terms::Flat(amount) => Some(self.money(amount)),
            Terms::Percentage(_) | Terms::Tiered(_) => None,
        }
    }

    /// The steps of a `TIERED` rule, from the first. Empty for other kinds.
    async fn tiers(&self) -> Result<Vec<CommissionTier>> {
        match &self.0.formula.terms {
            Terms::Tiered(tiers) => {
                tiers.iter().map(|tier| Ok(CommissionTier { above: self.money(tier.above)?, rate: Decimal(tier.rate) })).collect()
            }
            Terms::Percentage(_) | Terms::Flat(_) => Ok(Vec::new()),
        }
    }

    /// The most that one commission can be. Null where there is no such limit.
    async fn cap(&self) -> Option<Result<Money>> {
        self.0.formula.cap.map(|cap| self.money(cap))
    }

    /// For how many months after a customer's first payment it earns. Null for ever.
    async fn duration_months(&self) -> Option<i32> {
        self.0.duration_months
    }

    /// From when it holds.
    async fn valid_from(&self) -> DateTime {
        self.0.valid_from.into()
    }

    /// Until when it holds, exclusive; the same as `validFrom` for one that was ended before it began. Null while no end is known.
    async fn valid_to(&self) -> Option<DateTime> {
        self.0.valid_to.map(DateTime)
    }

    /// What it says, in a few words.
    async fn description(&self) -> String {
        self.0.formula.describe(self.0.currency.as_deref())
    }

    /// Who set it. Null where the commission-rate service knew it, and where it is a person of another organisation than yours.
    async fn created_by(&self, ctx: &Context<'_>) -> Option<Result<User>> {
        User::by_id(ctx, self.0.created_by?).await.transpose()
    }

    /// When it was set.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }
}

/// A step of a tiered rule: the part of the calendar month's payments that lies above `above`, up to the next step, earns `rate`.
#[derive(SimpleObject)]
pub struct CommissionTier {
    /// Where the step begins.
    above: Money,
    /// The share that it earns, as a fraction.
    rate: Decimal,
}

/// Which rules to list.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum RuleValidity {
    /// Those that hold now.
    InForce,
    /// All versions, past and future ones too.
    All,
}

/// What a rule would have made of a period's payments.
#[derive(SimpleObject)]
pub struct RuleSimulation {
    /// All partners together, for each currency.
    totals: Vec<SimulatedTotal>,
    /// Each partner, the largest difference first; at most 500.
    partners: Vec<SimulatedEarnings>,
}

/// What a period's payments earned in one currency, and what they would have earned.
#[derive(SimpleObject)]
pub struct SimulatedTotal {
    /// How many payments there were.
    payments: i64,
    /// How many of them fall under the rule. The others have a customer's own rate, or a rule that goes before it.
    affected_payments: i64,
    /// What they earned, refunds left out.
    actual: Money,
    /// What they would have earned, refunds left out.
    simulated: Money,
    /// The second less the first.
    difference: Money,
}

/// What a period's payments earned a partner in one currency, and what they would have earned.
#[derive(SimpleObject)]
pub struct SimulatedEarnings {
    /// The partner.
    partner: Row<Partner>,
    /// How many payments the partner's customers made.
    payments: i64,
    /// How many of them fall under the rule. The others have a customer's own rate, or a rule that goes before it.
    affected_payments: i64,
    /// What they earned, refunds left out.
    actual: Money,
    /// What they would have earned, refunds left out.
    simulated: Money,
    /// The second less the first.
    difference: Money,
}

impl CommissionRule {
    /// The rule by which payments in a programme earn now, in general or for a partner; in the tenant's default currency where none is given.
    pub async fn reward(ctx: &Context<'_>, of: Participation, currency: Option<CurrencyCode>) -> Result<Option<Self>> {
        let currency = currency_or_default(ctx, currency)?;
        Ok(ctx.load(Reward { of, currency, at: ctx.now() }).await?.map(Self))
    }

    fn money(&self, amount: rust_decimal::Decimal) -> Result<Money> {
        Money::stored(amount, self.0.currency.as_deref().unwrap_or_default())
    }

    /// The rule of that id, if the viewer may see it.
    pub async fn by_id(ctx: &Context<'_>, id: RuleId) -> Result<Option<Self>> {
        Ok(ctx.load(RuleById(id)).await?.map(Self))
    }

    /// The rules that the viewer may see: those of all partners and programmes first, then by partner, programme and currency, the newest
    /// version first.
    pub async fn list(
        ctx: &Context<'_>,
        partner: Option<PartnerId>,
        programme: Option<ProgrammeId>,
        validity: RuleValidity,
    ) -> Result<Vec<Self>> {
        let at = (validity == RuleValidity::InForce).then(|| ctx.now());
        let reading = ctx.read().await?;
        let rules = rule::Rule::list(&reading, ctx.viewer().scope(), partner, programme, at, MAX_RULES).await?;
        Ok(rules.into_iter().map(|rule| Self(Arc::new(rule))).collect())
    }
}

impl RuleSimulation {
    /// Replays a period under a rule.
    pub async fn run(ctx: &Context<'_>, rule: CommissionRuleInput, period: PeriodInput) -> Result<Self> {
        let span = period.span(ctx)?;
        let rule = rule.checked("rule", ctx.now()).map_err(|faults| Error::BadUserInput(faults.to_string()))?;
        if let Some(partner) = rule.partner_id
            && Partner::by_id(ctx, partner).await?.is_none()
        {
            return Err(Error::NotFound("There is no partner of this id.".to_owned()));
        }
        if let Some(programme) = rule.programme_id
            && Programme::by_id(ctx, programme).await?.is_none()
        {
            return Err(Error::NotFound("There is no programme of this id.".to_owned()));
        }
        let reading = ctx.read().await?;
        let tenant = &ctx.viewer().tenant;
        let outcomes = simulation::simulate(&reading, tenant.id, tenant.time_zone, &rule, (span.from, span.before)).await?;
        drop(reading);
        let mut sums = BTreeMap::<&str, (Currency, Outcome)>::new();
        for ((_, currency), outcome) in &outcomes {
            sums.entry(currency.code()).or_insert((*currency, Outcome::default())).1.add(outcome);
        }
        let totals = sums.into_values().map(|(currency, outcome)| SimulatedTotal {
            payments: outcome.payments,
            affected_payments: outcome.affected,
            actual: Money::of(outcome.actual, currency),
            simulated: Money::of(outcome.simulated, currency),
            difference: Money::of(outcome.simulated - outcome.actual, currency),
        });
        Ok(Self { totals: totals.collect(), partners: SimulatedEarnings::list(ctx, outcomes).await? })
    }
}

impl SimulatedEarnings {
    /// A simulation's outcomes, the largest difference first.
    async fn list(ctx: &Context<'_>, outcomes: Outcomes) -> Result<Vec<Self>> {
        let mut outcomes: Vec<_> = outcomes.into_iter().collect();
        let gap = |outcome: &Outcome| outcome.simulated - outcome.actual;
        outcomes.sort_by_key(|((partner, currency), outcome)| (-gap(outcome).abs(), *partner, currency.code()));
        outcomes.truncate(MAX_PARTNERS);
        let partners = outcomes.iter().map(|((partner, _), _)| Partner::by_id(ctx, *partner));
        let partners = futures_util::future::try_join_all(partners).await?;
        let rows = outcomes.iter().zip(partners).map(|(((_, currency), outcome), partner)| {
            Ok(Self {
                partner: partner.ok_or_else(|| missing("a commission's partner"))?,
                payments: outcome.payments,
                affected_payments: outcome.affected,
                actual: Money::of(outcome.actual, *currency),
                simulated: Money::of(outcome.simulated, *currency),
                difference: Money::of(gap(outcome), *currency),
            })
        });
        rows.collect()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Reward {
    of: Participation,
    currency: Currency,
    at: chrono::DateTime<chrono::Utc>,
}

impl BatchKey for Reward {
    type Value = Arc<rule::Rule>;

    /// Two statements for each currency that the document asks for.
    async fn fetch(connection: &db::Connection, scope: Scope, keys: &[Self]) -> db::QueryResult<HashMap<Self, Arc<rule::Rule>>> {
        let mut found = HashMap::new();
        for ((currency, at), of) in group(keys.iter().map(|key| ((key.currency, key.at), key.of)).collect()) {
            let rules = rule::Rule::rewards(connection, scope, &of, currency, at).await?;
            found.extend(rules.into_iter().map(|(of, rule)| (Self { of, currency, at }, Arc::new(rule))));
        }
        Ok(found)
    }
}

batch_key!(RuleById(RuleId) -> Arc<rule::Rule>, rule::Rule::by_ids);
