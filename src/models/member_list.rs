//! Lists of members: what they are filtered by, for one caller and for many partners at once.

use std::collections::HashMap;

use diesel::{dsl::count_star, pg::Pg, prelude::*};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::{
    member::{Member, MemberStatus},
    page::{Cursor, Key, KeyKind, Lateral, Page, Slice, SortKey, finds, group, of_parent},
    scope::Scope,
};
use crate::{db::schema::partner_members, ids::PartnerId};

/// Which members a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct MemberFilter {
    /// Those of this partner; `None` for all in scope.
    pub partner: Option<PartnerId>,
    /// Those of these statuses, which may be none at all; of whichever where it is not given.
    pub statuses: Option<Vec<MemberStatus>>,
    /// Those whose name or e-mail address has every word of this.
    pub search: Option<String>,
}

/// By when they were added.
pub const BY_CREATED: SortKey =
    SortKey { name: "created", column: "partner_members.created_at", id: "partner_members.id", kind: KeyKind::Time };

/// Narrows a boxed query to the members in scope that the filter lets through. A macro because the query's type names what it
/// selects, and the page and its count select different things.
macro_rules! filtered {
    ($query:expr, $scope:expr, $filter:expr) => {{
        let mut query = $query.filter(partner_members::tenant_id.eq($scope.tenant));
        for partner in [$scope.partner, $filter.partner].into_iter().flatten() {
            query = query.filter(partner_members::partner_id.eq(partner));
        }
        query = match $filter.statuses.as_deref() {
            None => query,
            Some([status]) => query.filter(partner_members::status.eq(*status)),
            Some(statuses) => query.filter(partner_members::status.eq_any(statuses)),
        };
        if let Some(search) = &$filter.search {
            query = query.filter(finds("partner_members", search));
        }
        query
    }};
}

impl Member {
    /// One page of the members in scope.
    pub async fn page(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        filter: &MemberFilter,
        page: &Page,
    ) -> QueryResult<Slice<Self>> {
        let query = Self::query().into_boxed::<Pg>();
        page.apply(filtered!(query, scope, filter)).load(&mut connection).await.map(|rows| page.slice(rows))
    }

    /// How many members the whole list has.
    pub async fn count(mut connection: &AsyncPgConnection, scope: Scope, filter: &MemberFilter) -> QueryResult<i64> {
        let query = partner_members::table.select(count_star()).into_boxed::<Pg>();
        filtered!(query, scope, filter).get_result(&mut connection).await
    }

    /// The same page for each of many partners, in one statement.
    pub async fn page_by_partners(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        partners: &[PartnerId],
        filter: &MemberFilter,
        page: &Page,
    ) -> QueryResult<HashMap<PartnerId, Slice<Self>>> {
        let query = Self::query().into_boxed::<Pg>();
        let inner = page.apply(filtered!(query, scope, filter).filter(of_parent("partner_members.partner_id")));
        let rows: Vec<(PartnerId, Self)> = Lateral::new(partners, inner).load(&mut connection).await?;
        Ok(group(rows).into_iter().map(|(partner, rows)| (partner, page.slice(rows))).collect())
    }

    /// How many members each of many partners has, in one statement.
    pub async fn count_by_partners(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        partners: &[PartnerId],
        filter: &MemberFilter,
    ) -> QueryResult<HashMap<PartnerId, i64>> {
        let query = partner_members::table.select(count_star()).into_boxed::<Pg>();
        let inner = filtered!(query, scope, filter).filter(of_parent("partner_members.partner_id"));
        let rows: Vec<(PartnerId, i64)> = Lateral::new(partners, inner).load(&mut connection).await?;
        Ok(rows.into_iter().collect())
    }

    /// Where this row stands in a list.
    pub fn cursor(&self, page: &Page) -> Cursor {
        page.cursor(Key::Time(self.created_at), Uuid::from(self.id))
    }
}
