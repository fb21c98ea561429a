//! Enrolments: which partners take part in a programme, and the record of every decision about it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{pg::Pg, prelude::*};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::programme::{EnrolmentPolicy, Programme};
use crate::{
    db::schema::{enrolment_changes, enrolments},
    ids::{EnrolmentChangeId, EnrolmentId, PartnerId, ProgrammeId, UserId},
    models::{
        ledger::books::Books,
        list::{Conditions, list, list_below},
        page::{Cursor, Key, KeyKind, Page, SortKey, group},
        partners::{partner::Partner, status::PartnerStatus},
        scope::Scope,
    },
};

crate::pg_enum! {
    /// Whether a partner takes part in a programme.
    pub enum EnrolmentStatus {
        /// An operator has still to decide. Links are made and clicks are counted meanwhile.
        Pending = "pending",
        /// It does.
        Approved = "approved",
        /// It does not: an operator has said no.
        Rejected = "rejected",
        /// It did, and does not for now. Its links lead on and count nothing.
        Suspended = "suspended",
    }
}

impl EnrolmentStatus {
    /// Whether the partner can make links.
    pub fn makes_links(self) -> bool {
        match self {
            Self::Pending | Self::Approved => true,
            Self::Rejected | Self::Suspended => false,
        }
    }
}

/// A partner's part in a programme.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = enrolments)]
pub struct Enrolment {
    /// Its id.
    pub id: EnrolmentId,
    /// The partner.
    pub partner_id: PartnerId,
    /// The programme.
    pub programme_id: ProgrammeId,
    /// Whether the partner takes part.
    pub status: EnrolmentStatus,
    /// Why it has its status, as the operator said.
    pub reason: Option<String>,
    /// The operator who decided.
    pub decided_by: Option<UserId>,
    /// When it was decided.
    pub decided_at: Option<DateTime<Utc>>,
    /// When the partner came.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// One decision, or how the enrolment began.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = enrolment_changes)]
pub struct EnrolmentChange {
    /// Its id.
    pub id: EnrolmentChangeId,
    /// The partner.
    pub partner_id: PartnerId,
    /// The enrolment.
    pub enrolment_id: EnrolmentId,
    /// The status before; `None` for the first entry.
    pub from_status: Option<EnrolmentStatus>,
    /// The status after.
    pub to_status: EnrolmentStatus,
    /// The reason that was given.
    pub reason: Option<String>,
    /// Who did it.
    pub changed_by: Option<UserId>,
    /// Who acted in their name.
    pub impersonator: Option<String>,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// What an operator decides about a partner's part in a programme.
#[derive(Debug, Clone, Copy)]
pub struct EnrolmentDecision<'a> {
    /// The status from now on.
    pub status: EnrolmentStatus,
    /// Why.
    pub reason: Option<&'a str>,
}

/// Why an enrolment was left as it is, or was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnrolmentFault {
    /// There is no such enrolment.
    NotFound,
    /// There is no such partner.
    UnknownPartner,
    /// There is no such programme.
    UnknownProgramme,
    /// The partner is closed.
    PartnerClosed,
}

/// Which enrolments a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct EnrolmentFilter {
    /// Those of this partner; `None` for all in scope.
    pub partner: Option<PartnerId>,
    /// Those in this programme.
    pub programme: Option<ProgrammeId>,
    /// Those of these statuses; of whichever where it is not given.
    pub statuses: Option<Vec<EnrolmentStatus>>,
}

/// By when they began.
pub const BY_CREATED: SortKey =
    SortKey { name: "created", column: "enrolments.created_at", id: "enrolments.id", kind: KeyKind::Time };

impl EnrolmentFilter {
    /// What holds for each of them.
    fn conditions(&self, scope: Scope) -> Conditions<'_, enrolments::table> {
        Conditions::of(enrolments::tenant_id.eq(scope.tenant))
            .and_if([scope.partner, self.partner].into_iter().flatten(), |partner| enrolments::partner_id.eq(partner))
            .and_if(self.programme, |programme| enrolments::programme_id.eq(programme))
            .and_one_of(
                self.statuses.as_deref(),
                |status| enrolments::status.eq(status),
                |statuses| enrolments::status.eq_any(statuses),
            )
    }
}

list!(EnrolmentFilter => Enrolment; enrolments);
list_below!(EnrolmentFilter => Enrolment; enrolments; PartnerId, "enrolments.partner_id");
list_below!(EnrolmentFilter => Enrolment; enrolments; ProgrammeId, "enrolments.programme_id");

impl Enrolment {
    /// Those of `ids` that are in scope.
    pub async fn by_ids(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        ids: &[EnrolmentId],
    ) -> QueryResult<HashMap<EnrolmentId, Self>> {
        let query = Self::query().into_boxed::<Pg>();
        let all = EnrolmentFilter::default();
        let rows: Vec<Self> =
            all.conditions(scope).narrow(query).filter(enrolments::id.eq_any(ids)).load(&mut connection).await?;
        Ok(rows.into_iter().map(|row| (row.id, row)).collect())
    }

    /// A partner's part in a programme.
    pub async fn of(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        partner: PartnerId,
        programme: ProgrammeId,
    ) -> QueryResult<Option<Self>> {
        let query = Self::query().into_boxed::<Pg>();
        let filter = EnrolmentFilter { partner: Some(partner), programme: Some(programme), statuses: None };
        filter.conditions(scope).narrow(query).first(&mut connection).await.optional()
    }

    /// Where this row stands in a list.
    pub fn cursor(&self, page: &Page) -> Cursor {
        page.cursor(Key::Time(self.created_at), Uuid::from(self.id))
    }
}

impl EnrolmentChange {
    /// Those of `ids` that are in scope.
    pub async fn by_ids(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        ids: &[EnrolmentChangeId],
    ) -> QueryResult<HashMap<EnrolmentChangeId, Self>> {
        let query = Self::query().filter(enrolment_changes::tenant_id.eq(scope.tenant));
        let rows: Vec<Self> = query.filter(enrolment_changes::id.eq_any(ids)).load(&mut connection).await?;
        Ok(rows.into_iter().filter(|row| scope.includes(row.partner_id)).map(|row| (row.id, row)).collect())
    }

    /// Each enrolment's history, the first entry first.
    pub async fn by_enrolments(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        enrolments: &[EnrolmentId],
    ) -> QueryResult<HashMap<EnrolmentId, Vec<Self>>> {
        let rows: Vec<Self> = Self::query()
            .filter(enrolment_changes::tenant_id.eq(scope.tenant))
            .filter(enrolment_changes::enrolment_id.eq_any(enrolments))
            .order((enrolment_changes::created_at, enrolment_changes::id))
            .load(&mut connection)
            .await?;
        let rows = rows.into_iter().filter(|row| scope.includes(row.partner_id));
        Ok(group(rows.map(|row| (row.enrolment_id, row)).collect()))
    }
}

impl Books<'_> {
    /// A partner's part in a programme, begun where there is none: approved or to be approved, as the programme says.
    pub(super) async fn enrol(&self, partner: PartnerId, programme: &Programme) -> QueryResult<Enrolment> {
        let status = match programme.enrolment_policy {
            EnrolmentPolicy::Automatic => EnrolmentStatus::Approved,
            EnrolmentPolicy::ByApproval => EnrolmentStatus::Pending,
        };
        self.enrol_as(partner, programme.id, status, None).await.map(|(enrolment, _)| enrolment)
    }

    /// Begins a partner's part in a programme, and gives it and whether it is new; one that there is stays as it is.
    async fn enrol_as(
        &self,
        partner: PartnerId,
        programme: ProgrammeId,
        status: EnrolmentStatus,
        decided_by: Option<UserId>,
    ) -> QueryResult<(Enrolment, bool)> {
        let inserted: Option<Enrolment> = diesel::insert_into(enrolments::table)
            .values((
                enrolments::tenant_id.eq(self.tenant),
                enrolments::id.eq(EnrolmentId::new()),
                enrolments::partner_id.eq(partner),
                enrolments::programme_id.eq(programme),
                enrolments::status.eq(status),
                enrolments::decided_by.eq(decided_by),
                enrolments::decided_at.eq(decided_by.map(|_| self.at)),
                enrolments::created_at.eq(self.at),
                enrolments::updated_at.eq(self.at),
            ))
            .on_conflict_do_nothing()
            .returning(Enrolment::as_returning())
            .get_result(&mut &*self.connection)
            .await
            .optional()?;
        if let Some(enrolment) = inserted {
            self.record_enrolment(&enrolment, None, self.at).await?;
            return Ok((enrolment, true));
        }
        let known = Enrolment::query()
            .filter(enrolments::tenant_id.eq(self.tenant))
            .filter(enrolments::partner_id.eq(partner))
            .filter(enrolments::programme_id.eq(programme));
        Ok((known.first(&mut &*self.connection).await?, false))
    }

    /// Lets a partner take part in a programme, as an operator decides. Gives the enrolment's id and whether it was not approved before.
    pub async fn enrol_partner(
        &self,
        partner: PartnerId,
        programme: ProgrammeId,
    ) -> QueryResult<Result<(EnrolmentId, bool), EnrolmentFault>> {
        let scope = Scope::tenant(self.tenant);
        match Partner::by_ids(self.connection, scope, &[partner]).await?.get(&partner) {
            None => return Ok(Err(EnrolmentFault::UnknownPartner)),
            Some(partner) if partner.status == PartnerStatus::Closed => return Ok(Err(EnrolmentFault::PartnerClosed)),
            Some(_) => {}
        }
        if Programme::by_ids(self.connection, scope, &[programme]).await?.is_empty() {
            return Ok(Err(EnrolmentFault::UnknownProgramme));
        }
        let (enrolment, is_new) = self.enrol_as(partner, programme, EnrolmentStatus::Approved, self.by).await?;
        if is_new {
            return Ok(Ok((enrolment.id, true)));
        }
        let decision = EnrolmentDecision { status: EnrolmentStatus::Approved, reason: None };
        Ok(self.decide_enrolment(enrolment.id, decision).await?.map(|has_changed| (enrolment.id, has_changed)))
    }

    /// Decides about a partner's part in a programme. Gives whether that was not its status before.
    pub async fn decide_enrolment(
        &self,
        id: EnrolmentId,
        decision: EnrolmentDecision<'_>,
    ) -> QueryResult<Result<bool, EnrolmentFault>> {
        let row = enrolments::table.filter(enrolments::tenant_id.eq(self.tenant)).filter(enrolments::id.eq(id));
        let locked = row.select(Enrolment::as_select()).for_no_key_update().first(&mut &*self.connection).await.optional()?;
        let Some(before) = locked else { return Ok(Err(EnrolmentFault::NotFound)) };
        if before.status == decision.status {
            return Ok(Ok(false));
        }
        let at = self.after_locks().at;
        let after: Enrolment = diesel::update(row)
            .set((
                enrolments::status.eq(decision.status),
                enrolments::reason.eq(decision.reason),
                enrolments::decided_by.eq(self.by),
                enrolments::decided_at.eq(at),
                enrolments::updated_at.eq(at),
            ))
            .returning(Enrolment::as_returning())
            .get_result(&mut &*self.connection)
            .await?;
        self.record_enrolment(&after, Some(before.status), at).await.map(|()| Ok(true))
    }

    async fn record_enrolment(&self, now: &Enrolment, before: Option<EnrolmentStatus>, at: DateTime<Utc>) -> QueryResult<()> {
        diesel::insert_into(enrolment_changes::table)
            .values((
                enrolment_changes::tenant_id.eq(self.tenant),
                enrolment_changes::id.eq(EnrolmentChangeId::new()),
                enrolment_changes::partner_id.eq(now.partner_id),
                enrolment_changes::enrolment_id.eq(now.id),
                enrolment_changes::from_status.eq(before),
                enrolment_changes::to_status.eq(now.status),
                enrolment_changes::reason.eq(&now.reason),
                enrolment_changes::changed_by.eq(self.by),
                enrolment_changes::created_at.eq(at),
            ))
            .execute(&mut &*self.connection)
            .await
            .map(drop)
    }
}
