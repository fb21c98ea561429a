//! Which link a customer came by: found from what the shop reports, and decided once.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use diesel::{
    OptionalExtension,
    result::QueryResult,
    sql_types::{Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;

use super::{link::LinkMeans, programme::Attribution};
use crate::{
    db::statement::{Bind, statement},
    ids::{ClickId, CustomerAccountId, CustomerId, LinkId, PartnerId, ProgrammeId},
    models::{
        billing::{
            account::{CustomerAccount, NewCustomerAccount},
            past_payment::{self, lock_unearned},
        },
        ledger::books::Books,
        partners::{partner::Partner, status::PartnerStatus},
        scope::Scope,
    },
};

/// By how much a click may seem later than what came of it: the clocks of two servers differ.
const CLOCK_SKEW: TimeDelta = TimeDelta::minutes(1);

crate::pg_enum! {
    /// What a report of how a customer came has led to.
    pub enum AttributionOutcome {
        /// The customer is the partner's by it: since then, the partner earns by what the customer pays.
        Attributed = "attributed",
        /// The customer was managed already, by this partner or another, and stays so.
        Kept = "kept",
        /// The click was longer ago than the programme counts, or after what is said to have come of it.
        ClickTooOld = "click_too_old",
        /// The link is archived, so its key and its coupon code lead nowhere.
        LinkArchived = "link_archived",
        /// The link's partner is closed, or does not take part in the programme.
        NotTakingPart = "not_taking_part",
        /// No click or coupon code like it is known. A click is known a moment after it has happened.
        Unknown = "unknown",
    }
}

/// How a customer came, as the shop reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CameBy {
    /// By clicks, in any order; the programme says which of them counts.
    Clicks(Vec<ClickId>),
    /// By the link of this key.
    LinkKey(String),
    /// With this coupon code.
    CouponCode(String),
}

/// A link by which somebody came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visit {
    /// The link.
    pub link: LinkId,
    /// Its partner.
    pub partner: PartnerId,
    /// Its programme.
    pub programme: ProgrammeId,
    /// How.
    pub means: LinkMeans,
    /// The click, and when it was.
    pub click: Option<(ClickId, DateTime<Utc>)>,
}

/// A link that may be meant: itself, its partner and programme, the click, how many days the programme counts and which click, whether the link is
/// archived, and whether its partner takes part.
type Row = (LinkId, PartnerId, ProgrammeId, Option<ClickId>, Option<DateTime<Utc>>, i32, Attribution, bool, bool);
type Columns = (SqlUuid, SqlUuid, SqlUuid, Nullable<SqlUuid>, Nullable<Timestamptz>, Integer, Text, Bool, Bool);

impl CameBy {
    fn means(&self) -> LinkMeans {
        match self {
            Self::Clicks(_) => LinkMeans::Click,
            Self::LinkKey(_) => LinkMeans::LinkKey,
            Self::CouponCode(_) => LinkMeans::CouponCode,
        }
    }
}

impl Books<'_> {
    /// The link by which somebody came who did something at an instant; or why none counts.
    pub async fn visit(&self, came: &CameBy, at: DateTime<Utc>) -> QueryResult<Result<Visit, AttributionOutcome>> {
        let tenant = Bind::Uuid(self.tenant.uuid());
        let (click, from, condition, bind) = match came {
            CameBy::Clicks(ids) => (
                "c.id, c.at",
                "link_clicks c JOIN links l ON l.tenant_id = c.tenant_id AND l.id = c.link_id",
                "c.tenant_id = ? AND c.id = ANY (?)",
                Bind::Uuids(ids.iter().map(|id| id.uuid()).collect()),
            ),
            CameBy::LinkKey(key) => {
                ("NULL::uuid, NULL::timestamptz", "links l", "l.tenant_id = ? AND lower(l.key) = lower(?)", Bind::text(key))
            }
            CameBy::CouponCode(code) => (
                "NULL::uuid, NULL::timestamptz",
                "links l",
                "l.tenant_id = ? AND lower(l.coupon_code) = lower(?)",
                Bind::text(code),
            ),
        };
        let sql = format!(
            "SELECT l.id, l.partner_id, l.programme_id, {click}, r.cookie_days, r.attribution, l.archived_at IS NOT NULL,
                 p.status <> 'closed' AND e.status IN ('pending', 'approved')
             FROM {from}
             JOIN programmes r ON r.tenant_id = l.tenant_id AND r.id = l.programme_id
             JOIN partners p ON p.tenant_id = l.tenant_id AND p.id = l.partner_id
             JOIN enrolments e ON e.tenant_id = l.tenant_id AND e.partner_id = l.partner_id AND e.programme_id = l.programme_id
             WHERE {condition} ORDER BY l.host NULLS FIRST, l.id"
        );
        let rows: Vec<Row> = statement::<Columns>(sql, vec![tenant, bind]).load(&mut &*self.connection).await?;
        Ok(choose(came.means(), rows, at))
    }

    /// Makes a customer, whose row is locked, the partner's who came by a link at an instant, where nobody manages it then. An earlier visit that
    /// becomes known later goes before, as long as no other partner has earned anything by the customer; what its partner has earned is by that
    /// link then, where both are of one programme. Payments since then that earned
    /// nobody anything are booked. `None` where those are more than [`past_payment::MOST`].
    pub async fn attribute(
        &self,
        customer: CustomerId,
        visit: &Visit,
        at: DateTime<Utc>,
    ) -> QueryResult<Option<AttributionOutcome>> {
        // Billing systems date payments by the second: one in the same second comes after.
        let at = at.duration_trunc(TimeDelta::seconds(1)).unwrap_or(at);
        let unearned = lock_unearned(self.connection, self.tenant, customer, at).await?;
        let scope = Scope::tenant(self.tenant);
        let periods = CustomerAccount::by_customers(self.connection, scope, &[customer]).await?.remove(&customer);
        let periods: Vec<CustomerAccount> = periods.unwrap_or_default().into_iter().filter(CustomerAccount::has_begun).collect();
        // Whose figures may change, beside the partner's whose customer it becomes.
        let mut partners = self.partners_of_sign_ups(customer).await?;
        partners.extend(periods.iter().map(|period| period.partner_id).chain([visit.partner]));
        self.lock(&partners).await?;
        let partner = Partner::by_ids(self.connection, scope, &[visit.partner]).await?.remove(&visit.partner);
        let Some(partner) = partner.filter(|partner| partner.status != PartnerStatus::Closed) else {
            return Ok(Some(AttributionOutcome::NotTakingPart));
        };
        let mut new = NewCustomerAccount {
            tenant_id: self.tenant,
            id: CustomerAccountId::new(),
            partner_id: visit.partner,
            customer_id: customer,
            link_id: Some(visit.link),
            programme_id: Some(visit.programme),
            means: Some(visit.means),
            click_id: visit.click.map(|(id, _)| id),
            clicked_at: visit.click.map(|(_, at)| at),
            commission_rate: None,
            managed_from: at,
            managed_to: None,
        };
        let mut replaced = None;
        let later: Vec<&CustomerAccount> = periods.iter().filter(|period| period.managed_to.is_none_or(|end| end > at)).collect();
        match later[..] {
            [] => {}
            [last] if last.link_id.is_some() && at < last.managed_from => {
                let is_own = last.partner_id == visit.partner;
                let has_earned = self.has_earned(customer).await?;
                if has_earned && !is_own {
                    return Ok(Some(AttributionOutcome::Kept));
                }
                new.commission_rate = last.commission_rate.filter(|_| is_own);
                if has_earned && last.programme_id != Some(visit.programme) {
                    // What was earned was earned by the rules of the other programme.
                    new.managed_to = Some(last.managed_from);
                } else {
                    last.end(self.connection, self.tenant, last.managed_from).await?;
                    new.managed_to = last.managed_to;
                    replaced = last.link_id.filter(|link| has_earned && *link != visit.link);
                }
            }
            _ => return Ok(Some(AttributionOutcome::Kept)),
        }
        if unearned.len() > past_payment::MOST {
            return Ok(None);
        }
        let account = CustomerAccount::insert(self.connection, &new).await?;
        if let Some(replaced) = replaced {
            self.relink(customer, replaced, visit.link).await?;
        }
        let covered: Vec<_> =
            unearned.into_iter().filter(|invoice| account.managed_to.is_none_or(|end| invoice.paid_at < Some(end))).collect();
        self.book_past_payments(&account, partner.status, &covered).await?;
        Ok(Some(AttributionOutcome::Attributed))
    }

    /// Lets a customer's commissions by one link be by another of the same partner and programme, with the figures of both.
    async fn relink(&self, customer: CustomerId, from: LinkId, to: LinkId) -> QueryResult<()> {
        statement::<Text>(
            "SELECT relink_commissions(?, ?, ?, ?)::text",
            [self.tenant.uuid(), customer.uuid(), from.uuid(), to.uuid()].map(Bind::Uuid).into(),
        )
        .execute(&mut &*self.connection)
        .await
        .map(drop)
    }

    async fn has_earned(&self, customer: CustomerId) -> QueryResult<bool> {
        let found: Option<bool> = statement::<Bool>(
            "SELECT true FROM partner_commission_events WHERE tenant_id = ? AND customer_id = ? LIMIT 1",
            vec![Bind::Uuid(self.tenant.uuid()), Bind::Uuid(customer.uuid())],
        )
        .get_result(&mut &*self.connection)
        .await
        .optional()?;
        Ok(found.unwrap_or(false))
    }
}

/// Which of several links counts: that of the last click, or the first, as the programme of the last one says, among those that are not too old.
fn choose(means: LinkMeans, rows: Vec<Row>, at: DateTime<Utc>) -> Result<Visit, AttributionOutcome> {
    if rows.is_empty() {
        return Err(AttributionOutcome::Unknown);
    }
    let is_in_time = |row: &Row| {
        let (clicked_at, days) = (row.4, row.5);
        clicked_at.is_none_or(|clicked_at| clicked_at <= at + CLOCK_SKEW && at < clicked_at + TimeDelta::days(i64::from(days)))
    };
    let mut rows: Vec<Row> = rows.into_iter().filter(is_in_time).collect();
    rows.sort_by_key(|row| (row.4, row.3));
    let latest = rows.last().ok_or(AttributionOutcome::ClickTooOld)?;
    let row = match (means, latest.6) {
        (LinkMeans::Click, Attribution::LastClick) => latest,
        _ => &rows[0],
    };
    let &(link, partner, programme, click, clicked_at, _, _, is_archived, takes_part) = row;
    if is_archived && means != LinkMeans::Click {
        return Err(AttributionOutcome::LinkArchived);
    }
    if !takes_part {
        return Err(AttributionOutcome::NotTakingPart);
    }
    let to_second = |at: DateTime<Utc>| at.duration_trunc(TimeDelta::milliseconds(1)).unwrap_or(at);
    Ok(Visit { link, partner, programme, means, click: click.zip(clicked_at.map(to_second)) })
}
