//! Sign-ups: somebody who came by a link has become a customer of the shop's.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{prelude::*, sql_types::Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::{
    attribution::{AttributionOutcome, CameBy, Visit},
    link::LinkMeans,
};
use crate::{
    clock,
    db::{
        schema::link_sign_ups,
        statement::{Bind, condition, statement},
    },
    ids::{ClickId, CustomerId, LinkId, PartnerId, ProgrammeId, SignUpId},
    models::{
        billing::customer::{Customer, CustomerReport},
        ledger::books::Books,
        scope::Scope,
    },
};

/// A sign-up.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = link_sign_ups)]
pub struct SignUp {
    /// Its id.
    pub id: SignUpId,
    /// The link's partner.
    pub partner_id: PartnerId,
    /// The link's programme.
    pub programme_id: ProgrammeId,
    /// The link.
    pub link_id: LinkId,
    /// Who signed up.
    pub customer_id: CustomerId,
    /// For what.
    pub name: String,
    /// How they came by the link.
    pub means: LinkMeans,
    /// The click.
    pub click_id: Option<ClickId>,
    /// When that was.
    pub clicked_at: Option<DateTime<Utc>>,
    /// When they signed up.
    pub at: DateTime<Utc>,
    /// Whether it is the one that counts for the customer.
    pub is_counted: bool,
    /// What the shop said besides.
    pub metadata: Option<String>,
    /// When it was recorded.
    pub created_at: DateTime<Utc>,
}

/// A sign-up as the shop reports it.
#[derive(Debug, Clone)]
pub struct SignUpReport {
    /// Who signed up, as the customer is added where it is not known yet.
    pub customer: CustomerReport,
    /// How they came.
    pub came: CameBy,
    /// For what.
    pub name: String,
    /// When; now where it is left out.
    pub at: Option<DateTime<Utc>>,
    /// What else the shop says.
    pub metadata: Option<String>,
}

/// What was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignUpRecorded {
    /// The sign-up; `None` where it is of no link.
    pub sign_up: Option<SignUpId>,
    /// The customer.
    pub customer: CustomerId,
    /// What it has led to.
    pub outcome: AttributionOutcome,
    /// Whether it had been recorded before.
    pub is_replay: bool,
}

/// Why nothing was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignUpFault {
    /// No click, link or coupon code like it is known.
    Unknown,
    /// The customer's sign-up of this name was recorded before by another link.
    OtherLink,
    /// It was recorded before as of this instant.
    OtherTime(String),
    /// More payments since then earned nothing than are booked at once.
    TooManyPayments,
}

impl SignUp {
    /// Those of `ids` that are in scope.
    pub async fn by_ids(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        ids: &[SignUpId],
    ) -> QueryResult<HashMap<SignUpId, Self>> {
        let query = Self::query().filter(link_sign_ups::tenant_id.eq(scope.tenant)).filter(link_sign_ups::id.eq_any(ids));
        let rows: Vec<Self> = query.load(&mut connection).await?;
        Ok(rows.into_iter().filter(|row| scope.includes(row.partner_id)).map(|row| (row.id, row)).collect())
    }
}

impl Books<'_> {
    /// Records that somebody who came by a link has signed up, once for each customer and name. Where nobody manages the customer, it is the
    /// partner's from then on. However reports are repeated or reordered, it ends the same.
    pub async fn record_sign_up(&self, report: &SignUpReport) -> QueryResult<Result<SignUpRecorded, SignUpFault>> {
        let customer = Customer::add(self.connection, self.tenant, &report.customer).await?;
        let known: Option<SignUp> = SignUp::query()
            .filter(link_sign_ups::tenant_id.eq(self.tenant))
            .filter(link_sign_ups::customer_id.eq(customer))
            .filter(condition("lower(link_sign_ups.name) = lower(?)", vec![Bind::text(&report.name)]))
            .first(&mut &*self.connection)
            .await
            .optional()?;
        if let Some(known) = known {
            if !self.names(&report.came, known.link_id, known.click_id).await? {
                return Ok(Err(SignUpFault::OtherLink));
            }
            if report.at.is_some_and(|at| at != known.at) {
                return Ok(Err(SignUpFault::OtherTime(clock::shown(known.at))));
            }
            let outcome = if known.is_counted { AttributionOutcome::Attributed } else { AttributionOutcome::Kept };
            return Ok(Ok(SignUpRecorded { sign_up: Some(known.id), customer, outcome, is_replay: true }));
        }
        let at = report.at.unwrap_or(self.at);
        let visit = match self.visit(&report.came, at).await? {
            Ok(visit) => visit,
            Err(AttributionOutcome::Unknown) => return Ok(Err(SignUpFault::Unknown)),
            Err(outcome) => return Ok(Ok(SignUpRecorded { sign_up: None, customer, outcome, is_replay: false })),
        };
        let Some(outcome) = self.attribute(customer, &visit, at).await? else {
            return Ok(Err(SignUpFault::TooManyPayments));
        };
        if outcome == AttributionOutcome::NotTakingPart {
            return Ok(Ok(SignUpRecorded { sign_up: None, customer, outcome, is_replay: false }));
        }
        let id = self.add_sign_up(customer, &visit, at, report).await?;
        self.count_sign_ups(customer).await?;
        Ok(Ok(SignUpRecorded { sign_up: Some(id), customer, outcome, is_replay: false }))
    }

    async fn add_sign_up(
        &self,
        customer: CustomerId,
        visit: &Visit,
        at: DateTime<Utc>,
        report: &SignUpReport,
    ) -> QueryResult<SignUpId> {
        diesel::insert_into(link_sign_ups::table)
            .values((
                link_sign_ups::tenant_id.eq(self.tenant),
                link_sign_ups::id.eq(SignUpId::new()),
                link_sign_ups::partner_id.eq(visit.partner),
                link_sign_ups::programme_id.eq(visit.programme),
                link_sign_ups::link_id.eq(visit.link),
                link_sign_ups::customer_id.eq(customer),
                link_sign_ups::name.eq(&report.name),
                link_sign_ups::means.eq(visit.means),
                link_sign_ups::click_id.eq(visit.click.map(|(id, _)| id)),
                link_sign_ups::clicked_at.eq(visit.click.map(|(_, at)| at)),
                link_sign_ups::at.eq(at),
                link_sign_ups::is_counted.eq(false),
                link_sign_ups::metadata.eq(&report.metadata),
                link_sign_ups::created_by.eq(self.by),
            ))
            .returning(link_sign_ups::id)
            .get_result(&mut &*self.connection)
            .await
    }

    /// The partners by whose links a customer has signed up.
    pub(super) async fn partners_of_sign_ups(&self, customer: CustomerId) -> QueryResult<Vec<PartnerId>> {
        link_sign_ups::table
            .filter(link_sign_ups::tenant_id.eq(self.tenant))
            .filter(link_sign_ups::customer_id.eq(customer))
            .select(link_sign_ups::partner_id)
            .load(&mut &*self.connection)
            .await
    }

    /// Lets a customer's first sign-up by a link of the partner that managed it then count, and no other. Its row and the books of all partners
    /// that it has signed up with are locked.
    pub(in crate::models) async fn count_sign_ups(&self, customer: CustomerId) -> QueryResult<()> {
        let first: Option<SignUpId> = statement::<SqlUuid>(
            "SELECT s.id FROM link_sign_ups s
             JOIN partner_accounts a ON a.tenant_id = s.tenant_id AND a.customer_id = s.customer_id AND a.partner_id = s.partner_id
                 AND a.managed_from <= s.at AND (a.managed_to IS NULL OR a.managed_to > s.at)
             WHERE s.tenant_id = ? AND s.customer_id = ? ORDER BY s.at, s.link_id, s.id LIMIT 1",
            vec![Bind::Uuid(self.tenant.uuid()), Bind::Uuid(customer.uuid())],
        )
        .get_result(&mut &*self.connection)
        .await
        .optional()?;
        let of_customer =
            link_sign_ups::table.filter(link_sign_ups::tenant_id.eq(self.tenant)).filter(link_sign_ups::customer_id.eq(customer));
        for is_counted in [false, true] {
            // The one that counted is let go before the other counts: only one does at any time.
            let differs = link_sign_ups::id.nullable().is_not_distinct_from(first).eq(is_counted);
            diesel::update(of_customer.filter(differs).filter(link_sign_ups::is_counted.ne(is_counted)))
                .set(link_sign_ups::is_counted.eq(is_counted))
                .execute(&mut &*self.connection)
                .await?;
        }
        Ok(())
    }
}
