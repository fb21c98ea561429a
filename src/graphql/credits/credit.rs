//! Allocations, grants and redemptions of credits as the API shows them.

use std::sync::Arc;

use async_graphql::{Context, InputObject, Object};

use super::ledger::CreditTransfer;
use crate::{
    error::Result,
    graphql::{
        engine::{
            context::{ContextExt, missing},
            lists::{self, Shown},
            loaders::batch_key,
            pagination::{Connection, Listed, TotalCount},
            period::{PeriodInput, bounds},
            row::{Row, plain},
            scalars::{DateTime, EmailAddress},
        },
        members::member::Member,
        partners::partner::Partner,
        people::user::User,
    },
    ids::{AllocationId, GrantId, MemberId, PartnerId, RedemptionId},
    models::{
        credits::{
            allocation::{Allocation, Unused},
            correction::Extension,
            grant::Grant,
            list::{AllocationFilter, BY_CREATED},
            redemption::Redemption,
        },
        page::{Page, PageArguments},
    },
};

/// An allocation.
#[derive(Clone)]
pub struct CreditAllocation(pub Arc<Allocation>);

/// Credits assigned to one member in one go, and what has become of them. What is past its time is expired from that second on.
#[Object]
impl CreditAllocation {
    /// Its id.
    pub async fn id(&self) -> AllocationId {
        self.0.id
    }

    /// The partner whose credits they were.
    async fn partner(&self, ctx: &Context<'_>) -> Result<Row<Partner>> {
        Partner::by_id(ctx, self.0.partner_id).await?.ok_or_else(|| missing("an allocation's partner"))
    }

    /// The member to whom they were assigned.
    async fn member(&self, ctx: &Context<'_>) -> Result<Row<Member>> {
        Member::by_id(ctx, self.0.member_id).await?.ok_or_else(|| missing("an allocation's member"))
    }

    /// Who assigned them. Null where no person did, and where it was a person of another organisation than yours.
    async fn assigned_by(&self, ctx: &Context<'_>) -> Option<Result<User>> {
        User::by_id(ctx, self.0.assigned_by?).await.transpose()
    }

    /// How many were assigned: the sum of the other four.
    async fn credits(&self) -> i32 {
        self.0.credits
    }

    /// How many are neither used, expired nor taken back. An inactive member, and one of a partner that is not active, cannot use them.
    async fn available(&self, ctx: &Context<'_>) -> i32 {
        self.unused(ctx).available
    }

    /// How many were used.
    async fn used(&self) -> i32 {
        self.0.used
    }

    /// How many were not used in time.
    async fn expired(&self, ctx: &Context<'_>) -> i32 {
        self.unused(ctx).expired
    }

    /// How many were taken back.
    async fn revoked(&self) -> i32 {
        self.0.revoked
    }

    /// For how many days of 24 hours they were assigned; see `extensions` for more time.
    async fn valid_days(&self) -> i32 {
        self.0.valid_days
    }

    /// The first instant at which they can no longer be used.
    async fn expires_at(&self) -> DateTime {
        self.0.expires_at.into()
    }

    /// How it was given more time, the first one first. Empty where it never was.
    async fn extensions(&self, ctx: &Context<'_>) -> Result<Vec<CreditExtension>> {
        let extensions = ctx.load(ExtensionsByAllocation(self.0.id)).await?.unwrap_or_default();
        Ok(extensions.iter().cloned().map(CreditExtension).collect())
    }

    /// How they have moved in the ledger, in the order of posting.
    async fn transfers(&self, ctx: &Context<'_>) -> Result<Vec<CreditTransfer>> {
        CreditTransfer::of_allocation(ctx, self.0.id).await
    }

    /// When they were assigned.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }
}

/// An extension.
struct CreditExtension(Extension);

/// More time that an allocation was given.
#[Object]
impl CreditExtension {
    /// When it would have expired.
    async fn from(&self) -> DateTime {
        self.0.from_expires_at.into()
    }

    /// When it expires since.
    async fn to(&self) -> DateTime {
        self.0.to_expires_at.into()
    }

    /// Who did it. Null where no person did, and where it was a person of another organisation than yours.
    async fn extended_by(&self, ctx: &Context<'_>) -> Option<Result<User>> {
        User::by_id(ctx, self.0.extended_by?).await.transpose()
    }

    /// When.
    async fn at(&self) -> DateTime {
        self.0.created_at.into()
    }
}

/// A grant.
#[derive(Clone)]
pub struct CreditGrant(pub Arc<Grant>);

/// Credits that the tenant has given to a partner, or taken back while they were unassigned.
#[Object]
impl CreditGrant {
    /// Its id.
    pub async fn id(&self) -> GrantId {
        self.0.id
    }

    /// To whom.
    async fn partner(&self, ctx: &Context<'_>) -> Result<Row<Partner>> {
        Partner::by_id(ctx, self.0.partner_id).await?.ok_or_else(|| missing("a grant's partner"))
    }

    /// How many; below zero where they were taken back.
    async fn credits(&self) -> i32 {
        self.0.credits
    }

    /// Why.
    async fn reason(&self) -> &str {
        &self.0.reason
    }

    /// Who did it. Null where it was a person of another organisation than yours.
    async fn granted_by(&self, ctx: &Context<'_>) -> Option<Result<User>> {
        User::by_id(ctx, self.0.granted_by?).await.transpose()
    }

    /// When.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }
}

/// A redemption.
#[derive(Clone)]
pub struct CreditRedemption(pub Arc<Redemption>);

/// The use of credits, as a service has reported it. Partners see its transfers in their ledgers and not the redemption.
#[Object]
impl CreditRedemption {
    /// Its id.
    pub async fn id(&self) -> RedemptionId {
        self.0.id
    }

    /// The address of the member who used them, in lower case.
    async fn email(&self) -> EmailAddress {
        EmailAddress(self.0.employee_email.clone())
    }

    /// The member that was named. Null where an address was.
    async fn member(&self, ctx: &Context<'_>) -> Option<Result<Row<Member>>> {
        Member::by_id(ctx, self.0.member_id?).await.transpose()
    }

    /// How many credits were used.
    async fn credits(&self) -> i32 {
        self.0.credits
    }

    /// When its credits were given back. Null while it stands.
    async fn reversed_at(&self) -> Option<DateTime> {
        self.0.reversed_at.map(DateTime)
    }

    /// Why they were given back. Null while it stands.
    async fn reversal_reason(&self) -> Option<&str> {
        self.0.reversal_reason.as_deref()
    }

    /// From which allocations, one transfer for each; and back, where it was reversed.
    async fn transfers(&self, ctx: &Context<'_>) -> Result<Vec<CreditTransfer>> {
        CreditTransfer::of_redemption(ctx, self.0.id).await
    }

    /// When.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }
}

/// Which allocations to show.
#[derive(InputObject, Default)]
pub struct CreditAllocationFilter {
    /// Only those of this partner's credits.
    partner_id: Option<PartnerId>,
    /// Only those to this member.
    member_id: Option<MemberId>,
    /// True for only those of which something is available, false for only those of which nothing is.
    usable: Option<bool>,
    /// Only those assigned in this period.
    created: Option<PeriodInput>,
    /// Only those that expire in this period.
    expires: Option<PeriodInput>,
}

impl CreditAllocationFilter {
    fn checked(self, ctx: &Context<'_>) -> Result<AllocationFilter> {
        let (created_from, created_before) = bounds(ctx, "created", self.created)?;
        let (expires_from, expires_before) = bounds(ctx, "expires", self.expires)?;
        Ok(AllocationFilter {
            partner: self.partner_id,
            member: self.member_id,
            usable_at: self.usable.map(|usable| (usable, ctx.as_of())),
            created_from,
            created_before,
            expires_from,
            expires_before,
        })
    }
}

plain!(CreditAllocation: id, credits, available, used, expired, revoked, valid_days, expires_at, created_at);

impl From<Arc<Allocation>> for CreditAllocation {
    fn from(row: Arc<Allocation>) -> Self {
        Self(row)
    }
}

impl CreditAllocation {
    /// The allocation of that id, if the viewer may see it.
    pub async fn by_id(ctx: &Context<'_>, id: AllocationId) -> Result<Option<Row<Self>>> {
        Ok(ctx.load(AllocationById(id)).await?.map(|row| Row(Self(row))))
    }

    /// One page of the allocations that the viewer may see, the latest first.
    pub async fn paginate(
        ctx: &Context<'_>,
        arguments: PageArguments,
        filter: Option<CreditAllocationFilter>,
    ) -> Result<Connection<Self>> {
        let page = Page::new(BY_CREATED, true, arguments)?;
        lists::root(ctx, filter.unwrap_or_default().checked(ctx)?, page).await
    }

    /// One page of what a partner has assigned, fetched together with those of its siblings.
    pub async fn of_partner(
        ctx: &Context<'_>,
        partner: PartnerId,
        arguments: PageArguments,
        filter: Option<CreditAllocationFilter>,
    ) -> Result<Connection<Self>> {
        let page = Page::new(BY_CREATED, true, arguments)?;
        lists::nested(ctx, partner, filter.unwrap_or_default().checked(ctx)?, page).await
    }

    /// One page of what a member was assigned, fetched together with those of its siblings.
    pub async fn of_member(
        ctx: &Context<'_>,
        member: MemberId,
        arguments: PageArguments,
        filter: Option<CreditAllocationFilter>,
    ) -> Result<Connection<Self>> {
        let page = Page::new(BY_CREATED, true, arguments)?;
        lists::nested(ctx, member, filter.unwrap_or_default().checked(ctx)?, page).await
    }

    fn unused(&self, ctx: &Context<'_>) -> Unused {
        self.0.at(ctx.as_of())
    }
}

impl CreditGrant {
    /// The grant of that id, if the viewer may see it.
    pub async fn by_id(ctx: &Context<'_>, id: GrantId) -> Result<Option<Self>> {
        Ok(ctx.load(GrantById(id)).await?.map(Self))
    }
}

impl CreditRedemption {
    /// The redemption of that id, if the viewer may see it.
    pub async fn by_id(ctx: &Context<'_>, id: RedemptionId) -> Result<Option<Self>> {
        Ok(ctx.load(RedemptionById(id)).await?.map(Self))
    }
}

batch_key!(AllocationById(AllocationId) -> Arc<Allocation>, Allocation::by_ids);

batch_key!(ExtensionsByAllocation(AllocationId) -> Arc<[Extension]>, Extension::by_allocations);

batch_key!(GrantById(GrantId) -> Arc<Grant>, Grant::by_ids);

batch_key!(RedemptionById(RedemptionId) -> Arc<Redemption>, Redemption::by_ids);

impl Listed for CreditAllocation {
    type Beside = TotalCount;
}

impl Shown for AllocationFilter {}
