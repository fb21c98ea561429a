//! The fields that a query can begin with, and the small types that their arguments share.

use async_graphql::{Context, Enum, ID, Object};
use futures_util::future::join_all;

use super::{
    commission::{Commission, CommissionFilterInput, CommissionOrder},
    commission_rule::{CommissionRule, RuleSimulation, RuleValidity},
    commission_rule_input::CommissionRuleInput,
    context::ContextExt,
    credit::{CreditAllocation, CreditAllocationFilter},
    customer::{Customer, CustomerFilterInput, CustomerOrder},
    dashboard::Dashboard,
    explanation::CommissionExplanation,
    lead::{Lead, LeadFilterInput, LeadOrder},
    lead_figures::LeadsPoint,
    leaderboard::LeaderboardRow,
    member::{Member, MemberFilterInput, MemberOrder},
    node::{self, Node},
    pagination::Connection,
    partner::{Partner, PartnerFilterInput, PartnerOrder},
    payout::{Payout, PayoutFilterInput, PayoutOrder},
    payout_preview::PayoutPreview,
    period::PeriodInput,
    revenue::{EarningsPoint, RevenueMetrics},
    row::Row,
    scalars::{CurrencyCode, DateTime, Decimal, currency_or_default},
    viewer::Viewer,
};
use crate::{
    auth::{Permission, Role},
    error::{Error, Result},
    ids::{AllocationId, CommissionId, CustomerId, LeadId, MemberId, PartnerId, PayoutId},
    models::{event, page::PageArguments, revenue::Interval, scope::Scope},
};

/// The most ids that `nodes` takes.
const MAX_NODES: usize = 100;
/// The longest text to search for.
const MAX_SEARCH: usize = 200;

/// The root of queries.
pub struct Query;

/// Everything that can be read. All of one answer is true at the same instant.
#[Object]
impl Query {
    /// Anything by its id. Null where there is no such thing, or it is not yours.
    async fn node(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id of anything that implements `Node`.")] id: ID,
    ) -> Option<Result<Node>> {
        node::fetch(ctx, &id).await.transpose()
    }

    /// Several things by their ids, in the order of the ids; null in the place of each that is not there, or not yours.
    async fn nodes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most 100 ids, of one kind or several.")] ids: Vec<ID>,
    ) -> Result<Option<Vec<Option<Result<Node>>>>> {
        if ids.len() > MAX_NODES {
            return Err(Error::BadUserInput(format!("`ids` takes at most {MAX_NODES} ids; there are {}.", ids.len())));
        }
        Ok(Some(join_all(ids.iter().map(async |id| node::fetch(ctx, id).await.transpose())).await))
    }

    /// Where the order of changes stands in this answer. Subscribe with it as `since`, and you are told of every change that is not in the
    /// answer yet, and perhaps once more of one that was made just before and is.
    async fn event_cursor(&self, ctx: &Context<'_>) -> Result<String> {
        let reading = ctx.read().await?;
        ctx.request().shared.cursors.encode(event::last_position(&reading).await?)
    }

    /// Who is asking: the user, the tenant, the partner they act for, and what they may do.
    async fn me(&self) -> Viewer {
        Viewer
    }

    /// What the home page of the partner that you act for shows, in one query.
    async fn dashboard(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The period of its figures; the month so far where it is not given.")] period: Option<PeriodInput>,
    ) -> Result<Option<Dashboard>> {
        Dashboard::of_viewer(ctx, period).map(Some)
    }

    /// A partner. Null where there is no such partner, or it is not yours.
    async fn partner(&self, ctx: &Context<'_>, #[graphql(desc = "Its id.")] id: PartnerId) -> Option<Result<Row<Partner>>> {
        Partner::by_id(ctx, id).await.transpose()
    }

    /// All partners of the tenant; for operators and services. The newest first where no order is given.
    async fn partners(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
        #[graphql(desc = "Which partners to show; all of them where it is not given.")] filter: Option<PartnerFilterInput>,
        #[graphql(desc = "How to order them.")] order_by: Option<PartnerOrder>,
    ) -> Result<Option<Connection<Partner>>> {
        if !matches!(ctx.viewer().role, Role::Operator | Role::Service) {
            return Err(Error::Forbidden(
                "Only operators and services can list partners. Your own is `me { partner }`.".to_owned(),
            ));
        }
        Partner::paginate(ctx, PageArguments { first, after, last, before }, filter, order_by).await.map(Some)
    }

    /// A lead. Null where there is no such lead, or it is not yours.
    async fn lead(&self, ctx: &Context<'_>, #[graphql(desc = "Its id.")] id: LeadId) -> Option<Result<Row<Lead>>> {
        Lead::by_id(ctx, id).await.transpose()
    }

    /// The leads of the partner that you act for, or for operators of all partners. The newest first where no order is given.
    async fn leads(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
        #[graphql(desc = "Which leads to show; all of them where it is not given.")] filter: Option<LeadFilterInput>,
        #[graphql(desc = "How to order them.")] order_by: Option<LeadOrder>,
    ) -> Result<Option<Connection<Lead>>> {
        Lead::paginate(ctx, PageArguments { first, after, last, before }, filter, order_by).await.map(Some)
    }

    /// A customer. Null where there is no such customer, or your partner neither manages it nor ever did.
    async fn customer(&self, ctx: &Context<'_>, #[graphql(desc = "Its id.")] id: CustomerId) -> Option<Result<Row<Customer>>> {
        Customer::by_id(ctx, id).await.transpose()
    }

    /// The customers that your partner manages or once did; for operators and services all. The newest first where no order is given.
    async fn customers(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
        #[graphql(desc = "Which customers to show; all of them where it is not given.")] filter: Option<CustomerFilterInput>,
        #[graphql(desc = "How to order them.")] order_by: Option<CustomerOrder>,
    ) -> Result<Option<Connection<Customer>>> {
        Customer::paginate(ctx, PageArguments { first, after, last, before }, filter, order_by).await.map(Some)
    }

    /// The rules by which commissions are calculated: the programme's and your partner's, or for operators those of all partners; at
    /// most 500. The programme's come first, the newest version of each before the others.
    async fn commission_rules(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only this partner's, and the programme's.")] partner_id: Option<PartnerId>,
        #[graphql(default_with = "RuleValidity::InForce", desc = "Those in force, or all versions.")] validity: RuleValidity,
    ) -> Result<Option<Vec<CommissionRule>>> {
        CommissionRule::list(ctx, partner_id, validity).await.map(Some)
    }

    /// What a payment would earn a partner that manages the customer, and why; nothing is written. Null where there is no such partner or customer, or it is not yours.
    async fn calculate_commission(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The partner that would earn it.")] partner_id: PartnerId,
        #[graphql(desc = "The customer who would pay.")] customer_id: CustomerId,
        #[graphql(desc = "How much would be paid.")] amount: Decimal,
        #[graphql(desc = "In which currency; the tenant's default where it is not given.")] currency: Option<CurrencyCode>,
        #[graphql(desc = "When; now where it is not given.")] at: Option<DateTime>,
    ) -> Option<Result<CommissionExplanation>> {
        CommissionExplanation::calculate(ctx, partner_id, customer_id, amount.0, currency, at).await.transpose()
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

    /// A payout. Null where there is no such payout, or it is not yours.
    async fn payout(&self, ctx: &Context<'_>, #[graphql(desc = "Its id.")] id: PayoutId) -> Option<Result<Row<Payout>>> {
        Payout::by_id(ctx, id).await.transpose()
    }

    /// The payouts to the partner that you act for, or for operators and services to all partners. The newest first where no order is given.
    async fn payouts(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
        #[graphql(desc = "Which payouts to show; all of them where it is not given.")] filter: Option<PayoutFilterInput>,
        #[graphql(desc = "How to order them.")] order_by: Option<PayoutOrder>,
    ) -> Result<Option<Connection<Payout>>> {
        Payout::paginate(ctx, PageArguments { first, after, last, before }, filter, order_by).await.map(Some)
    }

    /// What a payout would hold if it were made now; nothing is written. Null where there is no such partner, or it is not yours.
    async fn preview_payout(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Who would be paid.")] partner_id: PartnerId,
        #[graphql(desc = "In which currency; the tenant's default where it is not given.")] currency: Option<CurrencyCode>,
        #[graphql(desc = "The period: what was earned before its end is taken. It has both bounds.")] period: PeriodInput,
    ) -> Option<Result<PayoutPreview>> {
        let currency = match currency_or_default(ctx, currency) {
            Ok(currency) => currency,
            Err(error) => return Some(Err(error)),
        };
        PayoutPreview::of(ctx, partner_id, currency, period).await.transpose()
    }

    /// A member. Null where there is no such member, or it is not yours.
    async fn member(&self, ctx: &Context<'_>, #[graphql(desc = "Its id.")] id: MemberId) -> Option<Result<Row<Member>>> {
        Member::by_id(ctx, id).await.transpose()
    }

    /// The members of the partner that you act for, or for operators and services of all partners. The newest first where no order is given.
    async fn members(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
        #[graphql(desc = "Which members to show; all of them where it is not given.")] filter: Option<MemberFilterInput>,
        #[graphql(desc = "How to order them.")] order_by: Option<MemberOrder>,
    ) -> Result<Option<Connection<Member>>> {
        Member::paginate(ctx, PageArguments { first, after, last, before }, filter, order_by).await.map(Some)
    }

    /// Credits assigned to a member. Null where there is no such allocation, or it is not yours.
    async fn credit_allocation(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: AllocationId,
    ) -> Option<Result<Row<CreditAllocation>>> {
        CreditAllocation::by_id(ctx, id).await.transpose()
    }

    /// The credits that the partner for which you act has assigned, or for operators and services all partners. The latest first.
    async fn credit_allocations(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
        #[graphql(desc = "Which allocations to show; all of them where it is not given.")] filter: Option<CreditAllocationFilter>,
    ) -> Result<Option<Connection<CreditAllocation>>> {
        CreditAllocation::paginate(ctx, PageArguments { first, after, last, before }, filter).await.map(Some)
    }

    /// Totals for one period and currency: of the partner that you act for, or for operators of all partners or one.
    async fn revenue_metrics(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The period; the month so far where it is not given.")] period: Option<PeriodInput>,
        #[graphql(desc = "In which currency; the tenant's default where it is not given.")] currency: Option<CurrencyCode>,
        #[graphql(desc = "Only this partner's.")] partner_id: Option<PartnerId>,
    ) -> Result<Option<RevenueMetrics>> {
        let period = PeriodInput::or_month(ctx, period)?;
        RevenueMetrics::of(ctx, figures_scope(ctx, partner_id).await?, currency_or_default(ctx, currency)?, period)
            .await
            .map(Some)
    }

    /// What was earned and paid over time, in one currency: by the partner that you act for, or for operators by all partners or one.
    async fn earnings_over_time(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "Interval::Month", desc = "How time is divided.")] interval: Interval,
        #[graphql(desc = "The period; the last 30 days, 12 weeks or 12 months where it is not given.")] period: Option<
            PeriodInput,
        >,
        #[graphql(desc = "In which currency; the tenant's default where it is not given.")] currency: Option<CurrencyCode>,
        #[graphql(desc = "Only this partner's.")] partner_id: Option<PartnerId>,
    ) -> Result<Option<Vec<EarningsPoint>>> {
        let scope = figures_scope(ctx, partner_id).await?;
        EarningsPoint::over_time(ctx, scope, currency_or_default(ctx, currency)?, interval, period).await.map(Some)
    }

    /// How many leads were sent over time, and what has become of them: by the partner that you act for, or for operators and services by all
    /// partners or one. Refused for a period in which more than 100,000 were.
    async fn leads_over_time(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "Interval::Month", desc = "How time is divided.")] interval: Interval,
        #[graphql(desc = "The period; the last 30 days, 12 weeks or 12 months where it is not given.")] period: Option<
            PeriodInput,
        >,
        #[graphql(desc = "Only this partner's.")] partner_id: Option<PartnerId>,
    ) -> Result<Option<Vec<LeadsPoint>>> {
        LeadsPoint::over_time(ctx, figures_scope(ctx, partner_id).await?, interval, period).await.map(Some)
    }

    /// The partners that have earned most in one currency, the first at the top; for operators and services. `Partner.rank` is one's own place.
    async fn leaderboard(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 10, desc = "How many: 1 to 100.")] first: i32,
        #[graphql(desc = "In which currency; the tenant's default where it is not given.")] currency: Option<CurrencyCode>,
    ) -> Result<Option<Vec<LeaderboardRow>>> {
        if !matches!(ctx.viewer().role, Role::Operator | Role::Service) {
            return Err(Error::Forbidden(
                "Only operators and services see what all partners have earned. Your own place is `me { partner { rank } }`."
                    .to_owned(),
            ));
        }
        LeaderboardRow::list(ctx, currency_or_default(ctx, currency)?, first).await.map(Some)
    }
}

/// Whose figures are asked for: a partner's must be one that the viewer may see.
async fn figures_scope(ctx: &Context<'_>, partner: Option<PartnerId>) -> Result<Scope> {
    let scope = ctx.viewer().scope();
    let Some(partner) = partner else { return Ok(scope) };
    match Partner::by_id(ctx, partner).await? {
        Some(_) => Ok(Scope { partner: Some(partner), ..scope }),
        None => Err(Error::NotFound("There is no partner of this id.".to_owned())),
    }
}

/// The direction of an order.
#[derive(Enum, Clone, Copy, PartialEq, Eq, Default)]
pub enum OrderDirection {
    /// The smallest, oldest or alphabetically first at the start.
    Asc,
    /// The largest, newest or alphabetically last at the start.
    #[default]
    Desc,
}

impl OrderDirection {
    /// Whether large comes first.
    pub fn is_descending(self) -> bool {
        self == Self::Desc
    }
}

/// A text to search for; blank is none.
pub fn search_text(text: Option<String>) -> Result<Option<String>> {
    let Some(text) = text else { return Ok(None) };
    if text.chars().count() > MAX_SEARCH || text.contains('\0') {
        return Err(Error::BadUserInput(format!("`search` takes at most {MAX_SEARCH} characters, none of them NUL.")));
    }
    Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
}
