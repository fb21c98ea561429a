//! Lists of sign-ups: what they are filtered by, for one caller and below links.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use uuid::Uuid;

use super::sign_up::SignUp;
use crate::{
    db::schema::link_sign_ups,
    ids::{LinkId, PartnerId, ProgrammeId},
    models::{
        list::{Conditions, list, list_below},
        page::{Cursor, Key, KeyKind, Page, SortKey},
        scope::Scope,
    },
};

/// Which sign-ups a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct SignUpFilter {
    /// Those by links of this partner; `None` for all in scope.
    pub partner: Option<PartnerId>,
    /// Those by links to the shop of this programme.
    pub programme: Option<ProgrammeId>,
    /// Those by this link.
    pub link: Option<LinkId>,
    /// Those that count, or those that do not.
    pub is_counted: Option<bool>,
    /// Those from this instant on.
    pub from: Option<DateTime<Utc>>,
    /// Those before this instant.
    pub before: Option<DateTime<Utc>>,
}

/// By when they were.
pub const BY_TIME: SortKey = SortKey { name: "at", column: "link_sign_ups.at", id: "link_sign_ups.id", kind: KeyKind::Time };

impl SignUpFilter {
    /// What holds for each of them.
    fn conditions(&self, scope: Scope) -> Conditions<'_, link_sign_ups::table> {
        Conditions::of(link_sign_ups::tenant_id.eq(scope.tenant))
            .and_if([scope.partner, self.partner].into_iter().flatten(), |partner| link_sign_ups::partner_id.eq(partner))
            .and_if(self.programme, |programme| link_sign_ups::programme_id.eq(programme))
            .and_if(self.link, |link| link_sign_ups::link_id.eq(link))
            .and_if(self.is_counted, |is_counted| link_sign_ups::is_counted.eq(is_counted))
            .and_if(self.from, |from| link_sign_ups::at.ge(from))
            .and_if(self.before, |before| link_sign_ups::at.lt(before))
    }
}

list!(SignUpFilter => SignUp; link_sign_ups);
list_below!(SignUpFilter => SignUp; link_sign_ups; LinkId, "link_sign_ups.link_id");

impl SignUp {
    /// Where this row stands in a list.
    pub fn cursor(&self, page: &Page) -> Cursor {
        page.cursor(Key::Time(self.at), Uuid::from(self.id))
    }
}
