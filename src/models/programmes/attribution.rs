//! Which link a customer came by: found from what the shop reports, and decided once.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use diesel::{
    OptionalExtension,
    result::QueryResult,
    sql_types::{Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;

use super::{link::LinkMeans, link_share::LinkShare, programme::Attribution};
use crate::{
    db::statement::{Bind, statement},
    ids::{ClickId, CustomerAccountId, CustomerId, LinkId, PartnerId, ProgrammeId},
    models::{
        billing::{
            account::{CustomerAccount, NewCustomerAccount, Origin},
            past_payment::{self, lock_unearned},
        },
        commissions::split::Earner,
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
        Ok(choose(came.means(), self.links_meant(came).await?, at))
    }

    /// Whether a report says that somebody came by a link, or by a click on it; whatever has become of both since.
    pub(super) async fn names(&self, came: &CameBy, link: LinkId, click: Option<ClickId>) -> QueryResult<bool> {
        let is_click = matches!(came, CameBy::Clicks(ids) if click.is_some_and(|click| ids.contains(&click)));
        Ok(is_click || self.links_meant(came).await?.iter().any(|row| row.0 == link))
    }

    async fn links_meant(&self, came: &CameBy) -> QueryResult<Vec<Row>> {
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
        statement::<Columns>(sql, vec![tenant, bind]).load(&mut &*self.connection).await
    }

    /// Makes a customer, whose row is locked, the partner's who came by a link at an instant, where nobody manages it then: until somebody else
    /// begins to, or for good. One who came by another link later gives way, unless its partner is another one and has earned something; what
    /// the same partner has earned in the same programme is by the earlier link then. Payments since then that earned nobody anything are
    /// booked. `None` where those are more than [`past_payment::MOST`].
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
        // Whose figures may change, beside the partner's whose customer it becomes.
        let mut partners = self.partners_of_sign_ups(customer).await?;
        let managers = self.periods_of(customer).await?.into_iter().map(|period| period.partner_id);
        partners.extend(managers.chain([visit.partner]));
        let split = LinkShare::by_links(self.connection, scope, &[visit.link]).await?;
        partners.extend(split.values().flatten().map(|share| share.partner_id));
        self.lock(&partners).await?;
        // Closing a partner takes the same lock, and ends its periods.
        let periods = self.periods_of(customer).await?;
        let known = Partner::by_ids(self.connection, scope, &partners).await?;
        let is_open = |id: &PartnerId| known.get(id).is_some_and(|partner| partner.status != PartnerStatus::Closed);
        let Some(partner) = known.get(&visit.partner).filter(|partner| is_open(&partner.id)) else {
            return Ok(Some(AttributionOutcome::NotTakingPart));
        };
        let mut new = NewCustomerAccount {
            tenant_id: self.tenant,
            id: CustomerAccountId::new(),
            partner_id: visit.partner,
            customer_id: customer,
            origin: Origin {
                link_id: Some(visit.link),
                programme_id: Some(visit.programme),
                means: Some(visit.means),
                click_id: visit.click.map(|(id, _)| id),
                clicked_at: visit.click.map(|(_, at)| at),
            },
            commission_rate: None,
            managed_from: at,
            managed_to: None,
        };
        let mut replaced = None;
        let mut later: Vec<&CustomerAccount> =
            periods.iter().filter(|period| period.managed_to.is_none_or(|end| end > at)).collect();
        later.sort_by_key(|period| period.managed_from);
        match later[..] {
            [] => {}
            [first, ..] if first.managed_from <= at => return Ok(Some(AttributionOutcome::Kept)),
            // One that came by a link later gives way, unless another partner or another programme's rules have earned by it.
            [last] if last.origin.link_id.is_some() => {
                let is_own = last.partner_id == visit.partner;
                let has_earned = self.has_earned(last).await?;
                if has_earned
                    && !(is_own && last.origin.programme_id == Some(visit.programme) && self.share_alike(last, visit).await?)
                {
                    new.managed_to = Some(last.managed_from);
                } else {
                    last.end(self.connection, self.tenant, last.managed_from).await?;
                    // What ended with a partner that was closed does not end for another.
                    new.managed_to = last.managed_to.filter(|_| is_own || is_open(&last.partner_id));
                    new.commission_rate = last.commission_rate.filter(|_| is_own);
                    replaced = Some(last).filter(|last| has_earned && last.origin.link_id != Some(visit.link));
                }
            }
            // Until somebody else begins to manage it.
            [first, ..] => new.managed_to = Some(first.managed_from),
        }
        if unearned.len() > past_payment::MOST {
            return Ok(None);
        }
        let account = CustomerAccount::insert(self.connection, &new).await?;
        if let Some(replaced) = replaced {
            self.relink(replaced, visit.link).await?;
        }
        let covered: Vec<_> =
            unearned.into_iter().filter(|invoice| account.managed_to.is_none_or(|end| invoice.paid_at < Some(end))).collect();
        let sharers = if split.is_empty() { Vec::new() } else { self.sharers(visit.link).await? };
        let earner = Earner { account: &account, status: partner.status, sharers: &sharers };
        self.book_past_payments(earner, &covered).await?;
        Ok(Some(AttributionOutcome::Attributed))
    }

    /// The periods of a customer that have begun.
    async fn periods_of(&self, customer: CustomerId) -> QueryResult<Vec<CustomerAccount>> {
        let scope = Scope::tenant(self.tenant);
        let periods = CustomerAccount::by_customers(self.connection, scope, &[customer]).await?.remove(&customer);
        Ok(periods.unwrap_or_default().into_iter().filter(CustomerAccount::has_begun).collect())
    }

    /// Whether the same partners have the same parts of what is earned by a period's link and by another.
    async fn share_alike(&self, period: &CustomerAccount, visit: &Visit) -> QueryResult<bool> {
        let Some(link) = period.origin.link_id else { return Ok(false) };
        let shares = LinkShare::by_links(self.connection, Scope::tenant(self.tenant), &[link, visit.link]).await?;
        Ok(shares.get(&link) == shares.get(&visit.link))
    }

    /// Lets the commissions of a period by its link be by another of the same partner and programme, with the figures of both.
    async fn relink(&self, period: &CustomerAccount, to: LinkId) -> QueryResult<()> {
        let ids = [self.tenant.uuid(), period.customer_id.uuid()].map(Bind::Uuid);
        let links = [Bind::OptionalUuid(period.origin.link_id.map(LinkId::uuid)), Bind::Uuid(to.uuid())];
        statement::<Text>(
            "SELECT relink_commissions(?, ?, ?, ?, ?, ?::timestamptz)::text",
            ids.into_iter().chain(links).chain([Bind::Time(period.managed_from), end(period)]).collect(),
        )
        .execute(&mut &*self.connection)
        .await
        .map(drop)
    }

    /// Whether a partner has earned something in a period.
    async fn has_earned(&self, period: &CustomerAccount) -> QueryResult<bool> {
        let found: Option<bool> = statement::<Bool>(
            "SELECT true FROM partner_commission_events
             WHERE tenant_id = ? AND customer_id = ? AND event_type = 'invoice_payment' AND status <> 'rejected' AND link_id = ?
                 AND event_date >= ? AND event_date < ?::timestamptz LIMIT 1",
            vec![
                Bind::Uuid(self.tenant.uuid()),
                Bind::Uuid(period.customer_id.uuid()),
                Bind::OptionalUuid(period.origin.link_id.map(LinkId::uuid)),
                Bind::Time(period.managed_from),
                end(period),
            ],
        )
        .get_result(&mut &*self.connection)
        .await
        .optional()?;
        Ok(found.unwrap_or(false))
    }
}

/// The end of a period, exclusive, as PostgreSQL takes it.
fn end(period: &CustomerAccount) -> Bind {
    Bind::text(period.managed_to.map_or_else(|| "infinity".to_owned(), |end| end.to_rfc3339()))
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
    if rows.is_empty() {
        return Err(AttributionOutcome::ClickTooOld);
    }
    rows.retain(|row| row.8);
    rows.sort_by_key(|row| (row.4, row.3));
    let latest = rows.last().ok_or(AttributionOutcome::NotTakingPart)?;
    let row = match (means, latest.6) {
        (LinkMeans::Click, Attribution::LastClick) => latest,
        _ => &rows[0],
    };
    let &(link, partner, programme, click, clicked_at, _, _, is_archived, _) = row;
    if is_archived && means != LinkMeans::Click {
        return Err(AttributionOutcome::LinkArchived);
    }
    Ok(Visit { link, partner, programme, means, click: click.zip(clicked_at) })
}
