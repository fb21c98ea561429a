//! Partners as the API shows them.

use std::sync::Arc;

use async_graphql::{Context, Object};

use super::{
    application::PartnerApplication, partner_user::PartnerUser, profile::PartnerProfile, rank::rank, stats::PartnerStats,
};
use crate::{
    auth::Readable,
    error::Result,
    graphql::{
        commissions::commission::Commission,
        commissions::list::{CommissionFilterInput, CommissionOrder},
        credits::{
            credit::{CreditAllocation, CreditAllocationFilter},
            ledger::{CreditFigures, CreditTransfer},
        },
        engine::{
            context::ContextExt,
            json::leaf_enums,
            pagination::Connection,
            period::PeriodInput,
            row::{Row, plain},
            scalars::{CurrencyCode, Date, DateTime, Decimal},
        },
        imports::imported::ImportedFrom,
        leads::lead::{Lead, LeadFilterInput, LeadOrder},
        ledger::{
            balances::{PartnerBalances, purse},
            transfer::{Transfer, readable, reads_ledgers},
        },
        members::member::{Member, MemberCounts, MemberFilterInput, MemberOrder},
        payouts::payout::{Payout, PayoutFilterInput, PayoutOrder},
        people::invitation::Invitation,
        programmes::{
            enrolment::{Enrolment, EnrolmentFilterInput, EnrolmentOrder},
            figures::LinkFigures,
            link::{Link, LinkFilterInput, LinkOrder},
        },
    },
    ids::PartnerId,
    models::{
        self, imports::facts::ImportKind, page::PageArguments, partners::status::PartnerStatus, programmes::figures::FiguresOf,
    },
};

/// A partner.
#[derive(Clone)]
pub struct Partner(pub Arc<models::partners::partner::Partner>);

/// An organisation that sells for the tenant.
#[Object]
impl Partner {
    /// Its id.
    pub async fn id(&self) -> PartnerId {
        self.0.id
    }

    /// Its company's name.
    async fn company_name(&self) -> &str {
        &self.0.company_name
    }

    /// Whether it may work.
    async fn status(&self) -> PartnerStatus {
        self.0.status
    }

    /// Why it has its status, as the operator who gave it said. Null where nothing was said.
    async fn status_reason(&self) -> Option<&str> {
        self.0.status_reason.as_deref()
    }

    /// The default share of a sale, as a fraction: "0.1000" is ten per cent.
    async fn commission_rate(&self) -> Decimal {
        Decimal(self.0.commission_rate)
    }

    /// What it has achieved so far.
    async fn stats(&self, ctx: &Context<'_>) -> Result<Row<PartnerStats>> {
        ctx.require_acting_for(self.0.id)?;
        Ok(Row(self.achievements()))
    }

    /// How it is paid and reached. Null to callers that may not read it: only its owners and operators may.
    async fn profile(&self, ctx: &Context<'_>) -> Result<Option<PartnerProfile>> {
        ctx.require_acting_for(self.0.id)?;
        if !ctx.viewer().may_read(Readable::Profiles) {
            return Ok(None);
        }
        PartnerProfile::by_partner(ctx, self.0.id).await
    }

    /// What it said of itself when it applied. Null where it has not, and to callers that may not read it: only its owners and operators may.
    async fn application(&self, ctx: &Context<'_>) -> Result<Option<PartnerApplication>> {
        ctx.require_acting_for(self.0.id)?;
        if !ctx.viewer().may_read(Readable::Applications) {
            return Ok(None);
        }
        PartnerApplication::by_partner(ctx, self.0.id).await
    }

    /// The people who act for it, in the order in which they joined.
    async fn users(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whether to show those too who were removed.", default)] include_removed: bool,
    ) -> Result<Vec<PartnerUser>> {
        ctx.require_acting_for(self.0.id)?;
        PartnerUser::of_partner(ctx, self.0.id, include_removed).await
    }

    /// Who was invited to act for it, the latest first.
    async fn invitations(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
    ) -> Result<Option<Connection<Invitation>>> {
        ctx.require_acting_for(self.0.id)?;
        Invitation::of_partner(ctx, self.0.id, PageArguments { first, after, last, before }).await.map(Some)
    }

    /// The leads that it has sent. The newest first where no order is given.
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
        ctx.require_acting_for(self.0.id)?;
        Lead::of_partner(ctx, self.0.id, PageArguments { first, after, last, before }, filter, order_by).await.map(Some)
    }

    /// Its commissions. The latest first where no order is given.
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
        ctx.require_acting_for(self.0.id)?;
        Commission::of_partner(ctx, self.0.id, PageArguments { first, after, last, before }, filter, order_by).await.map(Some)
    }

    /// Its payouts. The newest first where no order is given.
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
        ctx.require_acting_for(self.0.id)?;
        Payout::of_partner(ctx, self.0.id, PageArguments { first, after, last, before }, filter, order_by).await.map(Some)
    }

    /// Its ledger in one currency: every transfer between its accounts with the balances after it, the latest first. Null to
    /// callers that may not read it: only its owners and operators may.
    async fn ledger(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "In which currency; the tenant's default where it is not given.")] currency: Option<CurrencyCode>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
    ) -> Option<Result<Connection<Transfer>>> {
        if let Err(error) = ctx.require_acting_for(self.0.id) {
            return Some(Err(error));
        }
        match readable(ctx, currency)? {
            Ok(currency) => {
                Some(Transfer::of_partner(ctx, self.0.id, currency, PageArguments { first, after, last, before }).await)
            }
            Err(error) => Some(Err(error)),
        }
    }

    /// What its accounts hold now. Null to callers that may not read its ledger.
    async fn balances(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "In which currency; the tenant's default where it is not given.")] currency: Option<CurrencyCode>,
    ) -> Option<Result<PartnerBalances>> {
        if let Err(error) = ctx.require_acting_for(self.0.id) {
            return Some(Err(error));
        }
        match readable(ctx, currency)? {
            Ok(currency) => Some(PartnerBalances::now(ctx, purse(self.0.id, currency)).await),
            Err(error) => Some(Err(error)),
        }
    }

    /// What its accounts hold now, in every currency in which it has ever earned something. Null to callers that may not read its ledger.
    async fn wallet(&self, ctx: &Context<'_>) -> Option<Result<Vec<PartnerBalances>>> {
        if let Err(error) = ctx.require_acting_for(self.0.id) {
            return Some(Err(error));
        }
        if !reads_ledgers(ctx) {
            return None;
        }
        Some(PartnerBalances::all(ctx, self.0.id).await)
    }

    /// What its accounts held at the end of a day, as days end in the tenant's time zone. Null to callers that may not read its ledger.
    async fn balance_at(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The day.")] date: Date,
        #[graphql(desc = "In which currency; the tenant's default where it is not given.")] currency: Option<CurrencyCode>,
    ) -> Option<Result<PartnerBalances>> {
        if let Err(error) = ctx.require_acting_for(self.0.id) {
            return Some(Err(error));
        }
        match readable(ctx, currency)? {
            Ok(currency) => Some(PartnerBalances::on(ctx, purse(self.0.id, currency), date.0).await),
            Err(error) => Some(Err(error)),
        }
    }

    /// How many credits it can still assign.
    async fn credit_balance(&self, ctx: &Context<'_>) -> Result<i64> {
        ctx.require_acting_for(self.0.id)?;
        Ok(CreditFigures::of_partner(ctx, self.0.id).await?.unassigned())
    }

    /// Where its credits are: with it, with its members, used, expired.
    async fn credits(&self, ctx: &Context<'_>) -> Result<CreditFigures> {
        ctx.require_acting_for(self.0.id)?;
        CreditFigures::of_partner(ctx, self.0.id).await
    }

    /// Its ledger of credits: every transfer between its accounts with the balances after it, the latest first. Null to callers that may not
    /// read it: only its owners and operators may.
    async fn credit_ledger(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
    ) -> Option<Result<Connection<CreditTransfer>>> {
        if let Err(error) = ctx.require_acting_for(self.0.id) {
            return Some(Err(error));
        }
        CreditTransfer::of_partner(ctx, self.0.id, PageArguments { first, after, last, before }).await
    }

    /// The credits that it has assigned, the latest first.
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
        ctx.require_acting_for(self.0.id)?;
        CreditAllocation::of_partner(ctx, self.0.id, PageArguments { first, after, last, before }, filter).await.map(Some)
    }

    /// Its links. The newest first where no order is given.
    async fn links(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
        #[graphql(desc = "Which links to show; all of them where it is not given.")] filter: Option<LinkFilterInput>,
        #[graphql(desc = "How to order them.")] order_by: Option<LinkOrder>,
    ) -> Result<Option<Connection<Link>>> {
        ctx.require_acting_for(self.0.id)?;
        Link::below(ctx, self.0.id, PageArguments { first, after, last, before }, filter, order_by).await.map(Some)
    }

    /// What has come of its links, since the beginning or in a period, whose bounds are rounded down to a quarter of an hour.
    async fn link_figures(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The period; since the beginning where it is not given.")] period: Option<PeriodInput>,
        #[graphql(desc = "In which currency the amounts are; the tenant's default where it is not given.")] currency: Option<
            CurrencyCode,
        >,
    ) -> Result<Option<LinkFigures>> {
        ctx.require_acting_for(self.0.id)?;
        LinkFigures::of(ctx, FiguresOf::Partner, self.0.id, period, currency).map(Some)
    }

    /// Its parts in programmes. The newest first where no order is given.
    async fn enrolments(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
        #[graphql(desc = "Which enrolments to show; all of them where it is not given.")] filter: Option<EnrolmentFilterInput>,
        #[graphql(desc = "How to order them.")] order_by: Option<EnrolmentOrder>,
    ) -> Result<Option<Connection<Enrolment>>> {
        ctx.require_acting_for(self.0.id)?;
        Enrolment::below(ctx, self.0.id, PageArguments { first, after, last, before }, filter, order_by).await.map(Some)
    }

    /// Its members. The newest first where no order is given.
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
        ctx.require_acting_for(self.0.id)?;
        Member::of_partner(ctx, self.0.id, PageArguments { first, after, last, before }, filter, order_by).await.map(Some)
    }

    /// How many members it has.
    async fn member_counts(&self, ctx: &Context<'_>) -> Result<MemberCounts> {
        ctx.require_acting_for(self.0.id)?;
        MemberCounts::of_partner(ctx, self.0.id).await
    }

    /// Its rank by what partners have earned in the tenant's default currency; equal amounts share one. Null while it has earned nothing.
    async fn rank(&self, ctx: &Context<'_>) -> Result<Option<i64>> {
        ctx.require_acting_for(self.0.id)?;
        rank(ctx, self.0.id).await
    }

    /// Which row of another system it was imported as. Null where it was not, and for all but operators.
    async fn imported_from(&self, ctx: &Context<'_>) -> Option<Result<ImportedFrom>> {
        ImportedFrom::of(ctx, ImportKind::Partner, self.0.id).await.transpose()
    }

    /// When it joined.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When what is said of it here last changed.
    async fn updated_at(&self) -> DateTime {
        self.0.updated_at.into()
    }
}

plain!(Partner: id, company_name, status, status_reason, commission_rate, created_at, updated_at);
leaf_enums!(PartnerStatus);
