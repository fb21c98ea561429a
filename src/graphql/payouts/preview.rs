//! What a payout would hold, as the API shows it.

use async_graphql::{Context, Object};
use chrono::{DateTime as Time, Utc};
use iso_currency::Currency;
use rust_decimal::Decimal as Number;

use crate::{
    error::Result,
    graphql::{
        commissions::commission::Commission,
        engine::{
            context::{ContextExt, missing},
            pagination::Connection,
            period::{PeriodInput, wrong},
            row::Row,
            scalars::{DateTime, Money},
        },
        partners::partner::Partner,
    },
    ids::PartnerId,
    models::{
        commissions::list::CommissionFilter, page::PageArguments, payouts::batch::Contents, people::tenant::TenantSettings,
    },
};

/// What a payout would hold.
pub struct PayoutPreview {
    partner: PartnerId,
    currency: Currency,
    period: (Time<Utc>, Time<Utc>),
    contents: Contents,
    minimum: Number,
}

/// What `createPayoutBatch` would make now. Give it the `fingerprint`, and it makes just this or says what has changed.
#[Object]
impl PayoutPreview {
    /// Who would be paid.
    async fn partner(&self, ctx: &Context<'_>) -> Result<Row<Partner>> {
        Partner::by_id(ctx, self.partner).await?.ok_or_else(|| missing("a preview's partner"))
    }

    /// How much; not above zero where reversals make up for what was earned, which is then carried forward.
    async fn total(&self) -> Money {
        Money::of(self.contents.total, self.currency)
    }

    /// How many commissions.
    async fn commission_count(&self) -> i64 {
        self.contents.count
    }

    /// The least that the tenant pays out at once in this currency.
    async fn minimum(&self) -> Money {
        Money::of(self.minimum, self.currency)
    }

    /// Whether there would be a payout: the total is above zero, not below the minimum, and not more than one payout can be.
    async fn is_payable(&self) -> bool {
        self.contents.fault(self.minimum).is_none()
    }

    /// The first instant of the period.
    async fn period_start(&self) -> DateTime {
        self.period.0.into()
    }

    /// The end of the period, exclusive. What was earned before it is in, also before the period where that was carried forward, and
    /// what was taken back or off until now.
    async fn period_end(&self) -> DateTime {
        self.period.1.into()
    }

    /// What to hold `createPayoutBatch` to, the same for as long as nothing changes: a SHA-256 in hexadecimal over one line for each
    /// commission, by date and id: its UUID, its amount with four digits after the point and its currency, with a space between them and
    /// a line feed between lines.
    async fn fingerprint(&self) -> &str {
        &self.contents.fingerprint
    }

    /// When it was taken. Given to `createPayoutBatch` too, it shows what has changed since.
    async fn previewed_at(&self) -> DateTime {
        self.contents.at.into()
    }

    /// The commissions, the earliest first.
    async fn lines(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
    ) -> Result<Option<Connection<Commission>>> {
        let filter = CommissionFilter::free(self.partner, self.currency, self.period.1);
        Commission::lines(ctx, filter, PageArguments { first, after, last, before }).await.map(Some)
    }
}

impl PayoutPreview {
    /// What a payout to a partner would hold; none where the viewer may not see the partner.
    pub async fn of(ctx: &Context<'_>, partner: PartnerId, currency: Currency, period: PeriodInput) -> Result<Option<Self>> {
        let period = period.both_bounds(ctx).map_err(wrong)?;
        if Partner::by_id(ctx, partner).await?.is_none() {
            return Ok(None);
        }
        let tenant = ctx.viewer().tenant.id;
        let reading = ctx.read().await?;
        let contents = Contents::of(&reading, tenant, partner, currency, period.1).await?;
        let minimum = TenantSettings::minimum_payout(&reading, tenant, currency).await?;
        Ok(Some(Self { partner, currency, period, contents, minimum }))
    }
}
