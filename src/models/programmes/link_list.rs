//! Lists of links: what they are filtered by, for one caller and below partners and programmes.

use diesel::prelude::*;
use uuid::Uuid;

use super::link::Link;
use crate::{
    db::schema::links,
    ids::{PartnerId, ProgrammeId},
    models::{
        list::{Conditions, list, list_below},
        page::{Cursor, Key, KeyKind, Page, SortKey, finds},
        scope::Scope,
    },
};

/// Which links a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct LinkFilter {
    /// Those of this partner; `None` for all in scope.
    pub partner: Option<PartnerId>,
    /// Those that lead to the shop of this programme.
    pub programme: Option<ProgrammeId>,
    /// Those that are archived, or those that are not.
    pub is_archived: Option<bool>,
    /// Those whose key, address, title, external id or coupon code has every word of this.
    pub search: Option<String>,
}

/// By when they were made.
pub const BY_CREATED: SortKey = SortKey { name: "created", column: "links.created_at", id: "links.id", kind: KeyKind::Time };

impl LinkFilter {
    /// What holds for each of them.
    pub(super) fn conditions(&self, scope: Scope) -> Conditions<'_, links::table> {
        Conditions::of(links::tenant_id.eq(scope.tenant))
            .and_if([scope.partner, self.partner].into_iter().flatten(), |partner| links::partner_id.eq(partner))
            .and_if(self.programme, |programme| links::programme_id.eq(programme))
            .and_if(self.is_archived, |is_archived| links::archived_at.is_not_null().eq(is_archived))
            .and_if(&self.search, |search| finds("links", search))
    }
}

list!(LinkFilter => Link; links);
list_below!(LinkFilter => Link; links; PartnerId, "links.partner_id");
list_below!(LinkFilter => Link; links; ProgrammeId, "links.programme_id");

impl Link {
    /// Where this row stands in a list.
    pub fn cursor(&self, page: &Page) -> Cursor {
        page.cursor(Key::Time(self.created_at), Uuid::from(self.id))
    }
}
