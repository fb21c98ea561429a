//! What a query can begin with of commissions and their rules.

use async_graphql::{Context, Object};

use super::{
    commission::Commission,
    explanation::{CommissionExplanation, SaleToTry},
    list::{CommissionFilterInput, CommissionOrder},
    rule::{CommissionRule, RuleSimulation, RuleValidity},
    rule_input::CommissionRuleInput,
};
use crate::{
    auth::Permission,
    error::Result,
    graphql::engine::{
        context::ContextExt,
        pagination::Connection,
        period::PeriodInput,
        row::Row,
        scalars::{CurrencyCode, DateTime, Decimal},
    },
    ids::{CommissionId, CustomerId, PartnerId, ProgrammeId},
    models::page::PageArguments,
};

#[derive(Default)]
pub struct CommissionQueries;

#[Object]
impl CommissionQueries {
    /// The rules by which commissions are calculated: those of all partners, of programmes that you take part in, and your partner's; for
    /// operators all of them; at most 500. Those of all partners and programmes come first, the newest version of each before the others.
    async fn commission_rules(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only this partner's, and those of all partners.")] partner_id: Option<PartnerId>,
        #[graphql(desc = "Only this programme's, and those of all programmes.")] programme_id: Option<ProgrammeId>,
        #[graphql(default_with = "RuleValidity::InForce", desc = "Those in force, or all versions.")] validity: RuleValidity,
    ) -> Result<Option<Vec<CommissionRule>>> {
        CommissionRule::list(ctx, partner_id, programme_id, validity).await.map(Some)
    }

    /// What a payment would earn a partner that manages the customer, and why; nothing is written. Null where there is no such partner, customer or programme, or it is not yours.
    async fn calculate_commission(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The partner that would earn it.")] partner_id: PartnerId,
        #[graphql(desc = "The customer who would pay.")] customer_id: CustomerId,
        #[graphql(desc = "How much would be paid.")] amount: Decimal,
        #[graphql(desc = "In which currency; the tenant's default where it is not given.")] currency: Option<CurrencyCode>,
        #[graphql(desc = "When; now where it is not given.")] at: Option<DateTime>,
        #[graphql(
            desc = "As a sale of this programme; where it is not given, of that by whose link the customer came to the partner."
        )]
        programme_id: Option<ProgrammeId>,
    ) -> Option<Result<CommissionExplanation>> {
        let sale =
            SaleToTry { partner: partner_id, customer: customer_id, programme: programme_id, amount: amount.0, currency, at };
        CommissionExplanation::calculate(ctx, sale).await.transpose()
    }

    /// What a period's real payments would have earned had another rule held all the time (its `validFrom` and `validTo` are not looked
    /// at): replayed one by one, nothing written. Needs `COMMISSIONS_MANAGE`.
    async fn simulate_commission_rule(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The rule to try.")] rule: CommissionRuleInput,
        #[graphql(desc = "The period whose payments are replayed.")] period: PeriodInput,
    ) -> Result<Option<RuleSimulation>> {
        ctx.require(Permission::CommissionsManage)?;
        RuleSimulation::run(ctx, rule, period).await.map(Some)
    }

    /// A commission. Null where there is no such commission, or it is not yours.
    async fn commission(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: CommissionId,
    ) -> Option<Result<Row<Commission>>> {
        Commission::by_id(ctx, id).await.transpose()
    }

    /// The commissions of the partner that you act for, or for operators and services of all partners. The latest first where no order is given.
    async fn commissions(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
        #[graphql(desc = "Which commissions to show; all of them where it is not given.")] filter: Option<CommissionFilterInput>,
        #[graphql(desc = "How to order them.")] order_by: Option<CommissionOrder>,
    ) -> Result<Option<Connection<Commission>>> {
        Commission::paginate(ctx, PageArguments { first, after, last, before }, filter, order_by).await.map(Some)
    }
}
