//! Periods: which days they touch, and how they are divided.

use std::iter;

use chrono::{DateTime, Datelike, Days as Count, Months, NaiveDate, TimeDelta, Utc};

use super::calendar::{TimeZone, month_start};

/// Days, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Days {
    /// The first.
    pub from: NaiveDate,
    /// The day after the last.
    pub to: NaiveDate,
}

/// A period of figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its first instant.
    pub from: DateTime<Utc>,
    /// Its end, exclusive.
    pub before: DateTime<Utc>,
    /// In which its days begin.
    pub zone: TimeZone,
    /// The days that it touches.
    pub days: Days,
    /// Whether it is just these days, as they begin in the tenant's time zone: then there are totals of them.
    pub has_totals: bool,
}

/// How a period is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, async_graphql::Enum)]
pub enum Interval {
    /// By day.
    Day,
    /// By week, from Monday (ISO 8601).
    Week,
    /// By calendar month.
    Month,
}

impl Interval {
    /// Its name in PostgreSQL.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The first day of the part that a day falls into.
    pub fn start_of(self, day: NaiveDate) -> NaiveDate {
        match self {
            Self::Day => day,
            Self::Week => day - Count::new(u64::from(day.weekday().num_days_from_monday())),
            Self::Month => month_start(day),
        }
    }

    /// The parts of days: the first day of each by the calendar, and among these.
    pub fn parts_of(self, days: Days) -> Vec<(NaiveDate, NaiveDate)> {
        let starts = iter::successors(Some(self.start_of(days.from)), |start| Some(self.next(*start)));
        starts.take_while(|start| *start < days.to).map(|start| (start, start.max(days.from))).collect()
    }

    /// The first day of the part after the one that begins on `start`.
    pub fn next(self, start: NaiveDate) -> NaiveDate {
        match self {
            Self::Day => start + Count::new(1),
            Self::Week => start + Count::new(7),
            Self::Month => start + Months::new(1),
        }
    }
}

impl Span {
    /// The period that ends where this one begins: as many months where this one is whole months, else as many days, or as long. `None` before the
    /// beginning of the calendar.
    pub fn previous(&self) -> Option<Self> {
        let Days { from, to } = self.days;
        if !self.has_totals {
            let start = self.from.checked_sub_signed(self.before - self.from)?;
            let days = Days {
                from: self.zone.day_of(start),
                to: self.zone.day_of(self.from - TimeDelta::microseconds(1)) + Count::new(1),
            };
            return Some(Self { from: start, before: self.from, zone: self.zone, days, has_totals: false });
        }
        let months = (to.year() - from.year()) * 12 + to.month().cast_signed() - from.month().cast_signed();
        let earlier = match u32::try_from(months) {
            Ok(months) if months > 0 && from.day() == 1 && to.day() == 1 => from.checked_sub_months(Months::new(months))?,
            _ => from.checked_sub_signed(to - from)?,
        };
        Some(Self { from: self.zone.start_of(earlier), before: self.from, days: Days { from: earlier, to: from }, ..*self })
    }

    /// Where its parts begin.
    pub fn starts(&self, interval: Interval) -> Vec<DateTime<Utc>> {
        interval.parts_of(self.days).into_iter().map(|(of, _)| self.zone.start_of(of)).collect()
    }
}

impl Days {
    /// Their whole months; empty where they have none.
    pub fn months(self) -> (NaiveDate, NaiveDate) {
        let first = if self.from.day() == 1 { self.from } else { month_start(self.from) + Months::new(1) };
        let end = month_start(self.to);
        if first < end { (first, end) } else { (self.to, self.to) }
    }

    /// Into how many parts an interval divides them.
    pub fn parts(self, interval: Interval) -> i64 {
        let days = (self.to - self.from).num_days();
        match interval {
            Interval::Day => days,
            Interval::Week => days / 7 + 1,
            Interval::Month => days / 28 + 1,
        }
    }
}
