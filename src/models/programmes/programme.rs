//! Programmes: one for each shop of a tenant's, made by the first link that needs it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{pg::Pg, prelude::*};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::address::ProductAddress;
use crate::{
    db::{
        schema::{enrolments, programmes},
        statement::condition,
    },
    ids::{PartnerId, ProgrammeId, TenantId},
    models::{
        ledger::books::Books,
        list::{Conditions, list},
        page::{Cursor, Key, KeyKind, Page, SortKey, finds},
        scope::Scope,
    },
};

crate::pg_enum! {
    /// Whether partners can make links in a programme.
    pub enum ProgrammeStatus {
        /// They can.
        Active = "active",
        /// No new links, and no new partners. The links that there are go on.
        Paused = "paused",
    }
}

crate::pg_enum! {
    /// Where a programme's reward comes from.
    pub enum ProgrammeRateSource {
        /// The commission-rate service.
        Service = "service",
        /// An operator, who has set a rule for it; the commission-rate service is not asked any more.
        Operator = "operator",
        /// It has none of its own, and the rules for all programmes hold. The commission-rate service, where there is one, is asked again.
        Default = "default",
    }
}

crate::pg_enum! {
    /// Which click a sign-up counts for.
    pub enum Attribution {
        /// The last one before it.
        LastClick = "last_click",
        /// The first one.
        FirstClick = "first_click",
    }
}

crate::pg_enum! {
    /// How partners come into a programme.
    pub enum EnrolmentPolicy {
        /// By making a link.
        Automatic = "automatic",
        /// By making a link, and by an operator who approves it.
        ByApproval = "by_approval",
    }
}

/// A programme.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = programmes)]
pub struct Programme {
    /// Its id.
    pub id: ProgrammeId,
    /// Its name for other systems.
    pub key: String,
    /// Its name.
    pub name: String,
    /// The name as lists are ordered by it.
    pub name_sort: String,
    /// The shop's registrable domain, in ASCII.
    pub domain: String,
    /// Whether partners can make links in it.
    pub status: ProgrammeStatus,
    /// Where its reward comes from.
    pub rate_source: ProgrammeRateSource,
    /// When the commission-rate service was last asked about the shop.
    pub rate_asked_at: Option<DateTime<Utc>>,
    /// For how many days after a click a sign-up counts for it.
    pub cookie_days: i32,
    /// Which click a sign-up counts for.
    pub attribution: Attribution,
    /// How partners come into it.
    pub enrolment_policy: EnrolmentPolicy,
    /// Whether partners earn by what customers pay with tax; of payments that the payment service reports.
    pub includes_tax: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// What to change of a programme; `None` stays as it is.
#[derive(Debug, Clone, Default, AsChangeset)]
#[diesel(table_name = programmes)]
pub struct ProgrammeChanges {
    /// Its name.
    pub name: Option<String>,
    /// Whether partners can make links in it.
    pub status: Option<ProgrammeStatus>,
    /// For how many days after a click a sign-up counts for it.
    pub cookie_days: Option<i32>,
    /// Which click a sign-up counts for.
    pub attribution: Option<Attribution>,
    /// How partners come into it.
    pub enrolment_policy: Option<EnrolmentPolicy>,
    /// Whether partners earn by what customers pay with tax.
    pub includes_tax: Option<bool>,
}

/// Why a programme was left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgrammeFault {
    /// There is no such programme.
    NotFound,
    /// It was changed at this instant, after the caller had read it.
    ChangedSince(DateTime<Utc>),
}

/// Which programmes a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ProgrammeFilter {
    /// Those of these statuses; of whichever where it is not given.
    pub statuses: Option<Vec<ProgrammeStatus>>,
    /// Those whose name, domain or key has every word of this.
    pub search: Option<String>,
}

/// By when they were made.
pub const BY_CREATED: SortKey =
    SortKey { name: "created", column: "programmes.created_at", id: "programmes.id", kind: KeyKind::Time };
/// By name, without regard to case.
pub const BY_NAME: SortKey = SortKey { name: "name", column: "programmes.name_sort", id: "programmes.id", kind: KeyKind::Text };

impl ProgrammeFilter {
    /// What holds for each of them.
    fn conditions(&self, scope: Scope) -> Conditions<'_, programmes::table> {
        Conditions::of(programmes::tenant_id.eq(scope.tenant))
            .and_if(scope.partner, |partner| diesel::dsl::exists(enrolled(scope.tenant, partner)))
            .and_one_of(
                self.statuses.as_deref(),
                |status| programmes::status.eq(status),
                |statuses| programmes::status.eq_any(statuses),
            )
            .and_if(&self.search, |search| finds("programmes", search))
    }
}

list!(ProgrammeFilter => Programme; programmes);

/// The enrolments of a partner in the programme of the outer query.
#[diesel::dsl::auto_type(no_type_alias)]
fn enrolled(tenant: TenantId, partner: PartnerId) -> _ {
    enrolments::table
        .filter(enrolments::tenant_id.eq(tenant))
        .filter(enrolments::partner_id.eq(partner))
        .filter(enrolments::programme_id.eq(programmes::id))
}

impl Programme {
    /// Those of `ids` that are in scope: a partner's are those that it is enrolled in.
    pub async fn by_ids(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        ids: &[ProgrammeId],
    ) -> QueryResult<HashMap<ProgrammeId, Self>> {
        let query = Self::query().into_boxed::<Pg>();
        let all = ProgrammeFilter::default();
        let query = all.conditions(scope).narrow(query).filter(programmes::id.eq_any(ids));
        let rows: Vec<Self> = query.load(&mut connection).await?;
        Ok(rows.into_iter().map(|row| (row.id, row)).collect())
    }

    /// The programme of the shop that an address belongs to, if it is in scope.
    pub async fn of_address(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        address: &ProductAddress,
    ) -> QueryResult<Option<Self>> {
        let query = Self::query().into_boxed::<Pg>();
        let all = ProgrammeFilter::default();
        let query = all.conditions(scope).narrow(query).filter(programmes::domain.eq_any(address.domains()));
        query.order(condition("length(programmes.domain) DESC", vec![])).first(&mut connection).await.optional()
    }

    /// Where this row stands in a list.
    pub fn cursor(&self, page: &Page) -> Cursor {
        let key = match page.sort() {
            sort if sort == BY_NAME => Key::Text(self.name_sort.clone()),
            _ => Key::Time(self.created_at),
        };
        page.cursor(key, Uuid::from(self.id))
    }
}

impl ProgrammeChanges {
    fn differ_from(&self, programme: &Programme) -> bool {
        differ!(self, programme; name, status, cookie_days, attribution, enrolment_policy, includes_tax)
    }
}

impl Books<'_> {
    /// Changes a programme, and gives whether anything was not so already. `expected` is its `updated_at` when the caller decided on it.
    pub async fn change_programme(
        &self,
        id: ProgrammeId,
        changes: &ProgrammeChanges,
        expected: Option<DateTime<Utc>>,
    ) -> QueryResult<Result<bool, ProgrammeFault>> {
        let row = programmes::table.filter(programmes::tenant_id.eq(self.tenant)).filter(programmes::id.eq(id));
        let locked = row.select(Programme::as_select()).for_no_key_update().first(&mut &*self.connection).await.optional()?;
        let Some(programme) = locked else { return Ok(Err(ProgrammeFault::NotFound)) };
        if !changes.differ_from(&programme) {
            return Ok(Ok(false));
        }
        if expected.is_some_and(|expected| expected != programme.updated_at) {
            return Ok(Err(ProgrammeFault::ChangedSince(programme.updated_at)));
        }
        let update = diesel::update(row).set((changes, programmes::updated_at.eq(self.after_locks().at)));
        update.execute(&mut &*self.connection).await.map(|_| Ok(true))
    }
}
