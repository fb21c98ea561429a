//! Periods, as all arguments and filters say them: half-open, from and before days or instants.

use async_graphql::{Context, InputObject};
use chrono::{DateTime as Time, Days, Months, NaiveDate, TimeDelta, Utc};

use super::{
    context::ContextExt,
    scalars::{DateOrDateTime, TimeZone},
};
use crate::{
    error::{Error, Result},
    models::{
        calendar::{self, month_start},
        period::{Days as WholeDays, Interval, Span},
    },
};

/// The longest period of figures, in days: ten years.
const MAX_DAYS: i64 = 3_660;
/// The most points that are shown over time.
const MAX_POINTS: i64 = 400;

/// A period: from its beginning on, and before its end. Either is a day, which begins at midnight, or an instant.
#[derive(InputObject, Clone, Copy, Debug)]
pub struct PeriodInput {
    /// Its beginning. Filters may leave it out; figures and payouts need it.
    from: Option<DateOrDateTime>,
    /// Its end, exclusive. Filters may leave it out; figures and payouts need it.
    before: Option<DateOrDateTime>,
    /// In which its days begin; the tenant's where it is not given.
    time_zone: Option<TimeZone>,
}

/// A period's bounds as instants; `None` where it has none.
pub type Bounds = (Option<Time<Utc>>, Option<Time<Utc>>);

impl PeriodInput {
    /// Its bounds. An error is a sentence that says what is wrong with it.
    pub fn bounds(self, ctx: &Context<'_>) -> Result<Bounds, String> {
        let zone = self.zone(ctx);
        let instant = |bound: DateOrDateTime| match bound {
            DateOrDateTime::Day(day) => zone.start_of(day),
            DateOrDateTime::Instant(at) => at,
        };
        let (from, before) = (self.from.map(instant), self.before.map(instant));
        if from.zip(before).is_some_and(|(from, before)| from > before) {
            return Err("`before` must not be earlier than `from`.".to_owned());
        }
        Ok((from, before))
    }

    /// Its bounds, of which it must have both, with something between them.
    pub fn both_bounds(self, ctx: &Context<'_>) -> Result<(Time<Utc>, Time<Utc>), String> {
        match self.bounds(ctx)? {
            (Some(from), Some(before)) if from < before => Ok((from, before)),
            (Some(_), Some(_)) => Err("`before` must be later than `from`.".to_owned()),
            _ => Err("Both `from` and `before` are needed here.".to_owned()),
        }
    }

    /// The period of figures.
    pub fn span(self, ctx: &Context<'_>) -> Result<Span> {
        let (from, before) = self.both_bounds(ctx).map_err(wrong)?;
        let zone = self.zone(ctx);
        let last = zone.day_of(before - TimeDelta::microseconds(1));
        let days = WholeDays { from: zone.day_of(from), to: last.checked_add_days(Days::new(1)).unwrap_or(last) };
        let count = (days.to - days.from).num_days();
        if count > MAX_DAYS {
            return Err(wrong(format!("It has {count} days; {MAX_DAYS} are the most.")));
        }
        let is_whole = zone.start_of(days.from) == from && zone.start_of(days.to) == before;
        Ok(Span { from, before, zone, days, has_totals: is_whole && zone == ctx.viewer().tenant.time_zone })
    }

    /// The period of figures that is asked for, or else the month so far.
    pub fn or_month(ctx: &Context<'_>, asked: Option<Self>) -> Result<Span> {
        let today = ctx.viewer().tenant.time_zone.day_of(ctx.now());
        asked.map_or_else(|| Self::of_days(month_start(today), today).span(ctx), |period| period.span(ctx))
    }

    /// The period that is asked for, or else the last 30 days, 12 weeks or 12 months; of no more parts than are shown over time.
    pub fn or_recent(ctx: &Context<'_>, asked: Option<Self>, interval: Interval) -> Result<Span> {
        let span = match asked {
            Some(period) => period.span(ctx)?,
            None => recent(interval, ctx.viewer().tenant.time_zone.day_of(ctx.now())).span(ctx)?,
        };
        if span.days.parts(interval) > MAX_POINTS {
            return Err(wrong(format!("It has more than {MAX_POINTS} parts. Ask for a longer interval or a shorter period.")));
        }
        Ok(span)
    }

    /// The period that is asked for, or else the last two days; of no more hours than are shown over time.
    pub fn or_recent_hours(ctx: &Context<'_>, asked: Option<Self>) -> Result<Span> {
        let today = ctx.viewer().tenant.time_zone.day_of(ctx.now());
        let span = asked.unwrap_or_else(|| Self::of_days(today - Days::new(1), today)).span(ctx)?;
        if (span.before - span.from).num_hours() > MAX_POINTS {
            return Err(wrong(format!("It has more than {MAX_POINTS} hours. Ask for a longer interval or a shorter period.")));
        }
        Ok(span)
    }

    fn of_days(first: NaiveDate, last: NaiveDate) -> Self {
        let day = |day| Some(DateOrDateTime::Day(day));
        Self { from: day(first), before: day(last + Days::new(1)), time_zone: None }
    }

    fn zone(self, ctx: &Context<'_>) -> calendar::TimeZone {
        self.time_zone.map_or(ctx.viewer().tenant.time_zone, |zone| zone.0)
    }
}

/// The bounds that a filter's period has, by the filter's field; none where it is not given.
pub fn bounds(ctx: &Context<'_>, field: &str, period: Option<PeriodInput>) -> Result<Bounds> {
    let bounds = period.map(|period| period.bounds(ctx)).transpose();
    Ok(bounds.map_err(|message| Error::BadUserInput(format!("{field}: {message}")))?.unwrap_or_default())
}

/// What is wrong with the argument `period`.
pub fn wrong(message: String) -> Error {
    Error::BadUserInput(format!("period: {message}"))
}

fn recent(interval: Interval, today: NaiveDate) -> PeriodInput {
    let from = match interval {
        Interval::Day => today - Days::new(29),
        Interval::Week => interval.start_of(today) - Days::new(7 * 11),
        Interval::Month => interval.start_of(today) - Months::new(11),
    };
    PeriodInput::of_days(from, today)
}
