//! Lists of allocations: what they are filtered by, for one caller, for many partners and for many members at once.

use std::hash::Hash;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use uuid::Uuid;

use super::allocation::Allocation;
use crate::{
    db::schema::credit_allocations,
    ids::{MemberId, PartnerId},
    models::{
        list::{Conditions, list, list_below},
        page::{Cursor, Key, KeyKind, Page, SortKey},
        scope::Scope,
    },
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
    /// Those that expire at this instant or later.
    pub expires_from: Option<DateTime<Utc>>,
    /// Those that expire before this instant.
    pub expires_before: Option<DateTime<Utc>>,
}

/// By when they were assigned.
pub const BY_CREATED: SortKey =
    SortKey { name: "created", column: "credit_allocations.created_at", id: "credit_allocations.id", kind: KeyKind::Time };

impl AllocationFilter {
    /// What holds for each of them.
    fn conditions(&self, scope: Scope) -> Conditions<'_, credit_allocations::table> {
        Conditions::of(credit_allocations::tenant_id.eq(scope.tenant))
            .and_if([scope.partner, self.partner].into_iter().flatten(), |partner| credit_allocations::partner_id.eq(partner))
            .and_if(self.member, |member| credit_allocations::member_id.eq(member))
            .and_if(self.usable_at.filter(|(is_usable, _)| *is_usable), |(_, now)| {
                credit_allocations::available.gt(0).and(credit_allocations::expires_at.gt(now))
            })
            .and_if(self.usable_at.filter(|(is_usable, _)| !*is_usable), |(_, now)| {
                credit_allocations::available.eq(0).or(credit_allocations::expires_at.le(now))
            })
            .and_if(self.created_from, |from| credit_allocations::created_at.ge(from))
            .and_if(self.created_before, |before| credit_allocations::created_at.lt(before))
            .and_if(self.expires_from, |from| credit_allocations::expires_at.ge(from))
            .and_if(self.expires_before, |before| credit_allocations::expires_at.lt(before))
    }
}

list!(AllocationFilter => Allocation; credit_allocations);
list_below!(AllocationFilter => Allocation; credit_allocations; PartnerId, "credit_allocations.partner_id");
list_below!(AllocationFilter => Allocation; credit_allocations; MemberId, "credit_allocations.member_id");

impl Allocation {
    /// Where this row stands in a list.
    pub fn cursor(&self, page: &Page) -> Cursor {
        page.cursor(Key::Time(self.created_at), Uuid::from(self.id))
    }
}
