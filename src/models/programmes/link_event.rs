//! What has come of links, event by event: clicks, sign-ups and sales as one list.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{pg::Pg, prelude::*};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use crate::{
    ids::{ClickId, CommissionId, LinkEventId, LinkId, PartnerId, SignUpId},
    models::{
        list::{Conditions, list},
        page::{Cursor, Key, KeyKind, Page, SortKey},
        scope::Scope,
    },
};

diesel::table! {
    /// The view `link_events`.
    link_events (tenant_id, id) {
        /// The tenant.
        tenant_id -> Uuid,
        /// The id of the click, the sign-up or the commission.
        id -> Uuid,
        /// What it was.
        kind -> Text,
        /// The link.
        link_id -> Uuid,
        /// The partner.
        partner_id -> Uuid,
        /// When.
        at -> Timestamptz,
        /// Whether figures count it.
        is_counted -> Bool,
    }
}

crate::pg_enum! {
    /// What has come of a link.
    pub enum LinkEventKind {
        /// It was followed.
        Click = "click",
        /// Somebody who came by it signed up.
        SignUp = "sign_up",
        /// A customer who came by it paid.
        Sale = "sale",
    }
}

/// One thing that has come of a link.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = link_events)]
pub struct LinkEvent {
    /// The id of the click, the sign-up or the sale's commission.
    pub id: LinkEventId,
    /// What it was.
    pub kind: LinkEventKind,
    /// The link.
    pub link_id: LinkId,
    /// Whose it is: the link's partner, or that of a sale's commission.
    pub partner_id: PartnerId,
    /// When.
    pub at: DateTime<Utc>,
    /// Whether figures count it.
    pub is_counted: bool,
}

/// Which events a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct LinkEventFilter {
    /// Those of these kinds; of all where it is not given.
    pub kinds: Option<Vec<LinkEventKind>>,
    /// Those of this partner; `None` for all in scope.
    pub partner: Option<PartnerId>,
    /// Those of this link.
    pub link: Option<LinkId>,
    /// Those that figures count, or those that they do not.
    pub is_counted: Option<bool>,
    /// Those from this instant on.
    pub from: Option<DateTime<Utc>>,
    /// Those before this instant.
    pub before: Option<DateTime<Utc>>,
}

/// By when they were.
pub const BY_TIME: SortKey = SortKey { name: "at", column: "link_events.at", id: "link_events.id", kind: KeyKind::Time };

impl LinkEventFilter {
    /// Why it is refused, if it is: there is no index of the clicks of all partners. `within` stands before the names of its fields.
    pub fn refusal(&self, scope: Scope, within: &str) -> Option<String> {
        let has_clicks = self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&LinkEventKind::Click));
        let is_of_all = has_clicks && self.link.is_none() && self.partner.or(scope.partner).is_none();
        is_of_all.then(|| {
            format!(
                "Clicks of all partners are not one list: give `{within}partnerId` or `{within}linkId`, or `{within}kind` without CLICK."
            )
        })
    }

    /// What holds for each of them.
    fn conditions(&self, scope: Scope) -> Conditions<'_, link_events::table> {
        Conditions::of(link_events::tenant_id.eq(scope.tenant))
            .and_if([scope.partner, self.partner].into_iter().flatten(), |partner| link_events::partner_id.eq(partner))
            .and_if(self.link, |link| link_events::link_id.eq(link))
            .and_one_of(self.kinds.as_deref(), |kind| link_events::kind.eq(kind), |kinds| link_events::kind.eq_any(kinds))
            .and_if(self.is_counted, |is_counted| link_events::is_counted.eq(is_counted))
            .and_if(self.from, |from| link_events::at.ge(from))
            .and_if(self.before, |before| link_events::at.lt(before))
    }
}

list!(LinkEventFilter => LinkEvent; link_events);

impl LinkEvent {
    /// Those of `ids` that are in scope.
    pub async fn by_ids(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        ids: &[LinkEventId],
    ) -> QueryResult<HashMap<LinkEventId, Self>> {
        let all = LinkEventFilter::default();
        let query = all.conditions(scope).narrow(Self::query().into_boxed::<Pg>()).filter(link_events::id.eq_any(ids));
        let rows: Vec<Self> = query.load(&mut connection).await?;
        Ok(rows.into_iter().map(|row| (row.id, row)).collect())
    }

    /// The click, if it was one.
    pub fn click(&self) -> Option<ClickId> {
        (self.kind == LinkEventKind::Click).then(|| self.id.uuid().into())
    }

    /// The sign-up, if it was one.
    pub fn sign_up(&self) -> Option<SignUpId> {
        (self.kind == LinkEventKind::SignUp).then(|| self.id.uuid().into())
    }

    /// The commission of the sale, if it was one.
    pub fn commission(&self) -> Option<CommissionId> {
        (self.kind == LinkEventKind::Sale).then(|| self.id.uuid().into())
    }

    /// Where this row stands in a list.
    pub fn cursor(&self, page: &Page) -> Cursor {
        page.cursor(Key::Time(self.at), Uuid::from(self.id))
    }
}
