//! Earnings by group, as the API shows them.

use async_graphql::{Context, Object, SimpleObject};
use iso_currency::Currency;

use super::revenue::too_many;
use crate::{
    error::{Error, Result},
    graphql::{
        billing::customer::Customer,
        engine::{
            context::ContextExt,
            period::PeriodInput,
            row::Row,
            scalars::{DateTime, Money},
        },
        programmes::{link::Link, programme::Programme},
    },
    ids::{CustomerId, LinkId, ProgrammeId},
    models::{
        commissions::{
            commission::CommissionEventType,
            earnings_by::{self, EarningsGroup, Series},
        },
        programmes::figures_over_time::{FiguresInterval, Parts},
        scope::Scope,
    },
};

/// The most series that are shown at once.
const MAX_SERIES: i32 = 50;

/// The earnings of one group.
pub struct EarningsSeries {
    group: EarningsGroup,
    series: Series,
    starts: Vec<chrono::DateTime<chrono::Utc>>,
    currency: Currency,
}

/// What one group has earned in a period.
#[Object]
impl EarningsSeries {
    /// The link, of groups by link. Null for what was earned by none, by one of another partner's (the commission was moved to you), and for the rest.
    async fn link(&self, ctx: &Context<'_>) -> Option<Result<Row<Link>>> {
        let id: LinkId = self.id(EarningsGroup::Link)?.into();
        Link::by_id(ctx, id).await.transpose()
    }

    /// The programme, of groups by programme. Null for what was earned in none, and for the rest.
    async fn programme(&self, ctx: &Context<'_>) -> Option<Result<Row<Programme>>> {
        let id: ProgrammeId = self.id(EarningsGroup::Programme)?.into();
        Programme::by_id(ctx, id).await.transpose()
    }

    /// The customer, of groups by customer. Null for what was earned by none, and for the rest.
    async fn customer(&self, ctx: &Context<'_>) -> Option<Result<Row<Customer>>> {
        let id: CustomerId = self.id(EarningsGroup::Customer)?.into();
        Customer::by_id(ctx, id).await.transpose()
    }

    /// What made the commissions, of groups by kind. Null for the rest.
    async fn event_type(&self) -> Option<CommissionEventType> {
        self.series.group.as_deref().filter(|_| self.group == EarningsGroup::EventType)?.parse().ok()
    }

    /// Whether it is what all groups have earned together that are not shown by themselves.
    async fn is_rest(&self) -> bool {
        self.series.is_rest
    }

    /// What was earned in the whole period, less what was taken back in it; below zero where that is more.
    async fn earnings(&self) -> Money {
        Money::of(self.series.earned, self.currency)
    }

    /// The same in each part of the period, those without anything included.
    async fn points(&self) -> Vec<EarningsSeriesPoint> {
        let points = self.starts.iter().zip(&self.series.parts);
        points
            .map(|(start, earned)| EarningsSeriesPoint { start: (*start).into(), earnings: Money::of(*earned, self.currency) })
            .collect()
    }
}

/// What a group has earned in one part of the period.
#[derive(SimpleObject)]
pub struct EarningsSeriesPoint {
    /// Its first instant.
    start: DateTime,
    /// What was earned in it, less what was taken back in it.
    earnings: Money,
}

impl EarningsSeries {
    fn id(&self, group: EarningsGroup) -> Option<uuid::Uuid> {
        self.series.group.as_deref().filter(|_| self.group == group)?.parse().ok()
    }

    /// The series of the partners in scope, the largest first: `first` of them, 10 where it is not given, and the rest as one.
    pub async fn list(
        ctx: &Context<'_>,
        scope: Scope,
        group: EarningsGroup,
        currency: Currency,
        interval: FiguresInterval,
        (period, first): (Option<PeriodInput>, Option<i32>),
    ) -> Result<Vec<Self>> {
        let first = first.unwrap_or(10);
        if !(1..=MAX_SERIES).contains(&first) {
            return Err(Error::BadUserInput(format!("first: Must be 1 to {MAX_SERIES}; it is {first}.")));
        }
        let span = match interval.of_days() {
            Some(interval) => PeriodInput::or_recent(ctx, period, interval)?,
            None => PeriodInput::or_recent_hours(ctx, period)?,
        };
        let starts = Parts::exactly(&span, interval).starts().to_vec();
        let bounds = (starts.as_slice(), span.before);
        let reading = ctx.read().await?;
        let most = usize::try_from(first).unwrap_or(1);
        let found = earnings_by::earnings_by(&reading, scope, group, currency, bounds, most).await?.ok_or_else(too_many)?;
        Ok(found.into_iter().map(|series| Self { group, series, starts: starts.clone(), currency }).collect())
    }
}
