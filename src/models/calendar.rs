//! Days and months, in UTC.

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, Utc};

/// Midnight at a day's beginning.
pub fn instant(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

/// The first day of a day's month.
pub fn month_start(day: NaiveDate) -> NaiveDate {
    day.with_day(1).unwrap_or(day)
}

/// The first day of an instant's month.
pub fn month_of(at: DateTime<Utc>) -> NaiveDate {
    month_start(at.date_naive())
}
