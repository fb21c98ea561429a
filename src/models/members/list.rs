//! Lists of members: what they are filtered by, for one caller and for many partners at once.

use diesel::prelude::*;
use uuid::Uuid;

use super::member::{Member, MemberStatus};
use crate::{
    db::schema::partner_members,
    ids::PartnerId,
    models::{
        list::{Conditions, list, list_below},
        page::{Cursor, Key, KeyKind, Page, SortKey, finds},
        scope::Scope,
    },
};

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
/// By last and first name, without regard to case.
pub const BY_NAME: SortKey =
    SortKey { name: "name", column: "partner_members.name_sort", id: "partner_members.id", kind: KeyKind::Text };
/// By e-mail address, as addresses are compared.
pub const BY_EMAIL: SortKey =
    SortKey { name: "email", column: "partner_members.email_key", id: "partner_members.id", kind: KeyKind::Text };

impl MemberFilter {
    /// What holds for each of them.
    fn conditions(&self, scope: Scope) -> Conditions<'_, partner_members::table> {
        Conditions::of(partner_members::tenant_id.eq(scope.tenant))
            .and_if([scope.partner, self.partner].into_iter().flatten(), |partner| partner_members::partner_id.eq(partner))
            .and_one_of(
                self.statuses.as_deref(),
                |status| partner_members::status.eq(status),
                |statuses| partner_members::status.eq_any(statuses),
            )
            .and_if(&self.search, |search| finds("partner_members", search))
    }
}

list!(MemberFilter => Member; partner_members);
list_below!(MemberFilter => Member; partner_members; PartnerId, "partner_members.partner_id");

impl Member {
    /// Where this row stands in a list of that order.
    pub fn cursor(&self, page: &Page) -> Cursor {
        let key = match page.sort() {
            sort if sort == BY_NAME => Key::Text(self.name_sort.clone()),
            sort if sort == BY_EMAIL => Key::Text(self.email_key.clone()),
            _ => Key::Time(self.created_at),
        };
        page.cursor(key, Uuid::from(self.id))
    }
}
