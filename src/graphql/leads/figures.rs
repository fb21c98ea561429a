//! Leads over time as the API shows them.

use async_graphql::{Context, SimpleObject};

use crate::{
    error::Result,
    graphql::engine::{
        context::ContextExt,
        period::{PeriodInput, wrong},
        scalars::Date,
    },
    models::{
        leads::{figures::sent_over_time, status::LeadStatus},
        list::MAX_SUMMED,
        period::Interval,
        scope::Scope,
    },
};

/// The leads that were sent in one part of a period, and what has become of them.
#[derive(SimpleObject)]
pub struct LeadsPoint {
    /// Its first day.
    start: Date,
    /// How many leads were sent in it.
    count: i64,
    /// How many of them have each status now, also those that none has.
    by_status: Vec<LeadStatusCount>,
}

/// How many leads have a status.
#[derive(SimpleObject)]
pub struct LeadStatusCount {
    /// The status.
    status: LeadStatus,
    /// How many have it.
    count: i64,
}

impl LeadsPoint {
    /// The points of a period, or else of the last 30 days, 12 weeks or 12 months.
    pub async fn over_time(
        ctx: &Context<'_>,
        scope: Scope,
        interval: Interval,
        period: Option<PeriodInput>,
    ) -> Result<Vec<Self>> {
        let span = PeriodInput::or_recent(ctx, period, interval)?;
        let reading = ctx.read().await?;
        let found = sent_over_time(&reading, scope, &span, interval).await?;
        drop(reading);
        if found.iter().map(|(_, _, count)| count).sum::<i64>() > MAX_SUMMED {
            return Err(wrong(format!(
                "More than {MAX_SUMMED} leads were sent in it, which are not counted one by one. Ask for a shorter one."
            )));
        }
        let point = |(number, (_, start))| {
            let count = |status: LeadStatus| {
                found.iter().filter(|(part, one, _)| (*part, *one) == (number, status)).map(|(_, _, count)| count).sum::<i64>()
            };
            let by_status: Vec<_> =
                LeadStatus::ALL.iter().map(|&status| LeadStatusCount { status, count: count(status) }).collect();
            Self { start: Date(start), count: by_status.iter().map(|of| of.count).sum(), by_status }
        };
        Ok((1..).zip(interval.parts_of(span.days)).map(point).collect())
    }
}
