//! Members as the API shows them.

use std::{collections::HashMap, sync::Arc};

use async_graphql::{Context, Enum, InputObject, Object};
use chrono::Utc;

use crate::{
    db,
    error::Result,
    graphql::{
        credits::credit::{CreditAllocation, CreditAllocationFilter},
        engine::{
            arguments::{OrderDirection, search_text},
            context::{ContextExt, missing},
            json::leaf_enums,
            lists::{self, Shown},
            loaders::{BatchKey, batch_key},
            pagination::{Connection, Listed, TotalCount},
            row::{Row, plain},
            scalars::{DateTime, EmailAddress},
        },
        partners::partner::Partner,
        people::user::User,
    },
    ids::{MemberId, PartnerId},
    models::{
        credits::ledger::{MemberCredits, credits_by_members},
        members::{
            list::{BY_CREATED, BY_EMAIL, BY_NAME, MemberFilter},
            member::{self, MemberStatus},
        },
        page::{Page, PageArguments},
        scope::Scope,
    },
};

/// A member.
#[derive(Clone)]
pub struct Member(pub Arc<member::Member>);

/// An employee or client of a partner, to whom it can assign credits.
#[Object]
impl Member {
    /// Its id.
    pub async fn id(&self) -> MemberId {
        self.0.id
    }

    /// The partner whose member it is.
    async fn partner(&self, ctx: &Context<'_>) -> Result<Row<Partner>> {
        Partner::by_id(ctx, self.0.partner_id).await?.ok_or_else(|| missing("a member's partner"))
    }

    /// The user who has signed in with the member's address. Null until then, and where it is a person of another organisation than yours.
    async fn user(&self, ctx: &Context<'_>) -> Option<Result<User>> {
        User::by_id(ctx, self.0.user_id?).await.transpose()
    }

    /// The first name.
    async fn first_name(&self) -> &str {
        &self.0.first_name
    }

    /// The last name. Null where none is known.
    async fn last_name(&self) -> Option<&str> {
        self.0.last_name.as_deref()
    }

    /// The e-mail address: no other member of the partner has it, in upper or lower case.
    async fn email(&self) -> EmailAddress {
        EmailAddress(self.0.email.clone())
    }

    /// What has become of it.
    async fn status(&self) -> MemberStatus {
        self.0.status
    }

    /// How many credits it has been assigned in all, those taken back left out.
    async fn credits_assigned(&self) -> i32 {
        self.0.credits_assigned
    }

    /// How many of them are neither used nor expired. A member that is inactive, or of a partner that is not active, cannot use them.
    async fn credits_available(&self, ctx: &Context<'_>) -> Result<i64> {
        Ok(self.credits(ctx).await?.available)
    }

    /// How many of them it has used.
    async fn credits_used(&self, ctx: &Context<'_>) -> Result<i64> {
        Ok(self.credits(ctx).await?.used)
    }

    /// How many of them it has not used in time.
    async fn credits_expired(&self, ctx: &Context<'_>) -> Result<i64> {
        Ok(self.credits(ctx).await?.expired)
    }

    /// The credits that it has been assigned, the latest first.
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
        CreditAllocation::of_member(ctx, self.0.id, PageArguments { first, after, last, before }, filter).await.map(Some)
    }

    /// When it was added.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When what is said of it here last changed.
    async fn updated_at(&self) -> DateTime {
        self.0.updated_at.into()
    }

    /// When the person was erased, and their name replaced by a pseudonym. Null where they were not.
    async fn erased_at(&self) -> Option<DateTime> {
        self.0.erased_at.map(DateTime)
    }
}

/// A partner's members by status.
pub struct MemberCounts(member::MemberCounts);

/// How many members a partner has.
#[Object]
impl MemberCounts {
    /// All of them.
    async fn total(&self) -> i32 {
        self.0.invited + self.0.active + self.0.inactive
    }

    /// Those that were added and have not signed in yet.
    async fn invited(&self) -> i32 {
        self.0.invited
    }

    /// Those that have signed in.
    async fn active(&self) -> i32 {
        self.0.active
    }

    /// Those that are no longer given credits.
    async fn inactive(&self) -> i32 {
        self.0.inactive
    }
}

impl MemberCounts {
    /// A partner's.
    pub async fn of_partner(ctx: &Context<'_>, partner: PartnerId) -> Result<Self> {
        Ok(Self(ctx.load(CountsByPartner(partner)).await?.unwrap_or_default()))
    }
}

/// Which members to show.
#[derive(InputObject, Default)]
#[graphql(name = "MemberFilter")]
pub struct MemberFilterInput {
    /// Only those of this partner.
    partner_id: Option<PartnerId>,
    /// Only those of one of these statuses; of an empty list there are none.
    status: Option<Vec<MemberStatus>>,
    /// Only those whose name or e-mail address has every word of this text, in any order, without regard to case, accents and compatibility forms.
    search: Option<String>,
}

impl MemberFilterInput {
    fn checked(self) -> Result<MemberFilter> {
        Ok(MemberFilter { partner: self.partner_id, statuses: self.status, search: search_text(self.search)? })
    }
}

/// How to order members.
#[derive(InputObject, Default)]
pub struct MemberOrder {
    /// By what.
    field: MemberOrderField,
    /// In which direction.
    #[graphql(default)]
    direction: OrderDirection,
}

/// What members can be ordered by.
#[derive(Enum, Clone, Copy, PartialEq, Eq, Default)]
pub enum MemberOrderField {
    /// When they were added.
    #[default]
    CreatedAt,
    /// Their last name, or where they have none the first, without regard to case.
    Name,
    /// Their e-mail address, without regard to case.
    Email,
}

impl MemberOrder {
    fn page(&self, arguments: PageArguments) -> Result<Page> {
        let sort = match self.field {
            MemberOrderField::CreatedAt => BY_CREATED,
            MemberOrderField::Name => BY_NAME,
            MemberOrderField::Email => BY_EMAIL,
        };
        Page::new(sort, self.direction.is_descending(), arguments)
    }
}

plain!(Member: id, first_name, last_name, email, status, credits_assigned, created_at, updated_at, erased_at);
leaf_enums!(MemberStatus);

impl From<Arc<member::Member>> for Member {
    fn from(row: Arc<member::Member>) -> Self {
        Self(row)
    }
}

impl Member {
    /// The member of that id, if the viewer may see it.
    pub async fn by_id(ctx: &Context<'_>, id: MemberId) -> Result<Option<Row<Self>>> {
        Ok(ctx.load(MemberById(id)).await?.map(|row| Row(Self(row))))
    }

    async fn credits(&self, ctx: &Context<'_>) -> Result<MemberCredits> {
        Ok(ctx.load(CreditsOfMember(self.0.id, ctx.as_of())).await?.unwrap_or_default())
    }

    /// One page of the members that the viewer may see.
    pub async fn paginate(
        ctx: &Context<'_>,
        arguments: PageArguments,
        filter: Option<MemberFilterInput>,
        order: Option<MemberOrder>,
    ) -> Result<Connection<Self>> {
        let page = order.unwrap_or_default().page(arguments)?;
        lists::root(ctx, filter.unwrap_or_default().checked()?, page).await
    }

    /// One page of a partner's members, fetched together with those of its siblings.
    pub async fn of_partner(
        ctx: &Context<'_>,
        partner: PartnerId,
        arguments: PageArguments,
        filter: Option<MemberFilterInput>,
        order: Option<MemberOrder>,
    ) -> Result<Connection<Self>> {
        let page = order.unwrap_or_default().page(arguments)?;
        lists::nested(ctx, partner, filter.unwrap_or_default().checked()?, page).await
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct CreditsOfMember(MemberId, chrono::DateTime<Utc>);

impl BatchKey for CreditsOfMember {
    type Value = MemberCredits;

    /// All at the request's one instant, and so one statement.
    async fn fetch(connection: &db::Connection, scope: Scope, keys: &[Self]) -> db::QueryResult<HashMap<Self, MemberCredits>> {
        let Some(&Self(_, now)) = keys.first() else { return Ok(HashMap::new()) };
        let members: Vec<MemberId> = keys.iter().map(|key| key.0).collect();
        let found = credits_by_members(connection, scope, &members, now).await?;
        Ok(found.into_iter().map(|(member, credits)| (Self(member, now), credits)).collect())
    }
}

batch_key!(MemberById(MemberId) -> Arc<member::Member>, member::Member::by_ids);

batch_key!(CountsByPartner(PartnerId) -> member::MemberCounts, member::MemberCounts::by_partners);

impl Listed for Member {
    type Beside = TotalCount;
}

impl Shown for MemberFilter {}
