//! Lists of allocations: what they are filtered by, for one caller, for many partners and for many members at once.

use std::{collections::HashMap, hash::Hash};

use chrono::{DateTime, Utc};
use diesel::{dsl::count_star, pg::Pg, prelude::*};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::{
    credit_allocation::Allocation,
    page::{Cursor, Key, KeyKind, Lateral, Page, Slice, SortKey, group, of_parent},
    scope::Scope,
};
use crate::{
    db::schema::credit_allocations,
    ids::{MemberId, PartnerId},
};

/// Which allocations a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct AllocationFilter {
    /// Those of this partner's credits; `None` for all in scope.
    pub partner: Option<PartnerId>,
    /// Those to this member.
    pub member: Option<MemberId>,
    /// Those of which something is available at an instant, or nothing is.
    pub usable_at: Option<(bool, DateTime<Utc>)>,
    /// Those assigned at this instant or later.
    pub created_from: Option<DateTime<Utc>>,
    /// Those assigned before this instant.
    pub created_before: Option<DateTime<Utc>>,
    /// Those that expire before this instant.
    pub expires_before: Option<DateTime<Utc>>,
}

/// By when they were assigned.
pub const BY_CREATED: SortKey =
    SortKey { name: "created", column: "credit_allocations.created_at", id: "credit_allocations.id", kind: KeyKind::Time };

/// Where a partner's id is.
const OF_PARTNER: &str = "credit_allocations.partner_id";
/// Where a member's id is.
const OF_MEMBER: &str = "credit_allocations.member_id";

/// Narrows a boxed query to the allocations in scope that the filter lets through. A macro because the query's type names what it
/// selects, and the page and its count select different things.
macro_rules! filtered {
    ($query:expr, $scope:expr, $filter:expr) => {{
        let mut query = $query.filter(credit_allocations::tenant_id.eq($scope.tenant));
        for partner in [$scope.partner, $filter.partner].into_iter().flatten() {
            query = query.filter(credit_allocations::partner_id.eq(partner));
        }
        if let Some(member) = $filter.member {
            query = query.filter(credit_allocations::member_id.eq(member));
        }
        query = match $filter.usable_at {
            None => query,
            Some((true, now)) => query.filter(credit_allocations::available.gt(0)).filter(credit_allocations::expires_at.gt(now)),
            Some((false, now)) => query.filter(credit_allocations::available.eq(0).or(credit_allocations::expires_at.le(now))),
        };
        if let Some(from) = $filter.created_from {
            query = query.filter(credit_allocations::created_at.ge(from));
        }
        if let Some(before) = $filter.created_before {
            query = query.filter(credit_allocations::created_at.lt(before));
        }
        if let Some(before) = $filter.expires_before {
            query = query.filter(credit_allocations::expires_at.lt(before));
        }
        query
    }};
}

impl Allocation {
    /// One page of the allocations in scope.
    pub async fn page(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        filter: &AllocationFilter,
        page: &Page,
    ) -> QueryResult<Slice<Self>> {
        let query = Self::query().into_boxed::<Pg>();
        page.apply(filtered!(query, scope, filter)).load(&mut connection).await.map(|rows| page.slice(rows))
    }

    /// How many allocations the whole list has.
    pub async fn count(mut connection: &AsyncPgConnection, scope: Scope, filter: &AllocationFilter) -> QueryResult<i64> {
        let query = credit_allocations::table.select(count_star()).into_boxed::<Pg>();
        filtered!(query, scope, filter).get_result(&mut connection).await
    }

    /// The same page for each of many parents, whose ids are in `column`, in one statement.
    async fn page_by<Id>(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        (column, parents): (&'static str, &[Id]),
        filter: &AllocationFilter,
        page: &Page,
    ) -> QueryResult<HashMap<Id, Slice<Self>>>
    where
        Uuid: From<Id>,
        Id: From<Uuid> + Copy + Eq + Hash,
    {
        let query = Self::query().into_boxed::<Pg>();
        let inner = page.apply(filtered!(query, scope, filter).filter(of_parent(column)));
        let rows: Vec<(Uuid, Self)> = Lateral::new(parents, inner).load(&mut connection).await?;
        Ok(group(rows).into_iter().map(|(parent, rows)| (Id::from(parent), page.slice(rows))).collect())
    }

    /// How many allocations each of many parents has, in one statement.
    async fn count_by<Id>(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        (column, parents): (&'static str, &[Id]),
        filter: &AllocationFilter,
    ) -> QueryResult<HashMap<Id, i64>>
    where
        Uuid: From<Id>,
        Id: From<Uuid> + Copy + Eq + Hash,
    {
        let query = credit_allocations::table.select(count_star()).into_boxed::<Pg>();
        let inner = filtered!(query, scope, filter).filter(of_parent(column));
        let rows: Vec<(Uuid, i64)> = Lateral::new(parents, inner).load(&mut connection).await?;
        Ok(rows.into_iter().map(|(parent, count)| (Id::from(parent), count)).collect())
    }

    /// The same page for each of many partners.
    pub async fn page_by_partners(
        connection: &AsyncPgConnection,
        scope: Scope,
        partners: &[PartnerId],
        filter: &AllocationFilter,
        page: &Page,
    ) -> QueryResult<HashMap<PartnerId, Slice<Self>>> {
        Self::page_by(connection, scope, (OF_PARTNER, partners), filter, page).await
    }

    /// How many allocations each of many partners has.
    pub async fn count_by_partners(
        connection: &AsyncPgConnection,
        scope: Scope,
        partners: &[PartnerId],
        filter: &AllocationFilter,
    ) -> QueryResult<HashMap<PartnerId, i64>> {
        Self::count_by(connection, scope, (OF_PARTNER, partners), filter).await
    }

    /// The same page for each of many members.
    pub async fn page_by_members(
        connection: &AsyncPgConnection,
        scope: Scope,
        members: &[MemberId],
        filter: &AllocationFilter,
        page: &Page,
    ) -> QueryResult<HashMap<MemberId, Slice<Self>>> {
        Self::page_by(connection, scope, (OF_MEMBER, members), filter, page).await
    }

    /// How many allocations each of many members has.
    pub async fn count_by_members(
        connection: &AsyncPgConnection,
        scope: Scope,
        members: &[MemberId],
        filter: &AllocationFilter,
    ) -> QueryResult<HashMap<MemberId, i64>> {
        Self::count_by(connection, scope, (OF_MEMBER, members), filter).await
    }

    /// Where this row stands in a list.
    pub fn cursor(&self, page: &Page) -> Cursor {
        page.cursor(Key::Time(self.created_at), Uuid::from(self.id))
    }
}
