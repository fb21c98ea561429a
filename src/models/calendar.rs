//! Days and months, as they begin in a tenant's time zone.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Datelike, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;
use diesel::{
    deserialize::{self, FromSql, FromSqlRow},
    expression::AsExpression,
    pg::{Pg, PgValue},
    serialize::{self, Output, ToSql},
    sql_types::Text,
};

/// A time zone of the IANA database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = Text)]
pub struct TimeZone(Tz);

impl TimeZone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(Tz::UTC);

    /// Its name: "Europe/Berlin".
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// The day that an instant falls into.
    pub fn day_of(self, at: DateTime<Utc>) -> NaiveDate {
        at.with_timezone(&self.0).date_naive()
    }

    /// The first day of the month that an instant falls into.
    pub fn month_of(self, at: DateTime<Utc>) -> NaiveDate {
        month_start(self.day_of(at))
    }

    /// The instant at which its clocks show a time; the earlier of two, and `None` where they skip it.
    pub fn instant_of(self, local: NaiveDateTime) -> Option<DateTime<Utc>> {
        self.0.from_local_datetime(&local).earliest().map(|at| at.to_utc())
    }

    /// A day's beginning: midnight, or where clocks are put forward over it, what comes after it; where they are put back over it, the first.
    pub fn start_of(self, day: NaiveDate) -> DateTime<Utc> {
        let midnight = day.and_time(NaiveTime::MIN);
        // No zone has ever left out more than a day.
        let candidates = (0..=96).map(|quarters| midnight + TimeDelta::minutes(15 * quarters));
        let mut starts = candidates.filter_map(|time| match self.0.from_local_datetime(&time) {
            MappedLocalTime::Single(at) | MappedLocalTime::Ambiguous(at, _) => Some(at.to_utc()),
            MappedLocalTime::None => None,
        });
        starts.next().unwrap_or_else(|| midnight.and_utc())
    }
}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for TimeZone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| "expected a time zone of the IANA database such as Europe/Berlin".to_owned())
    }
}

impl FromSql<Text, Pg> for TimeZone {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        Ok(std::str::from_utf8(value.as_bytes())?.parse()?)
    }
}

impl ToSql<Text, Pg> for TimeZone {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        <str as ToSql<Text, Pg>>::to_sql(self.name(), out)
    }
}

/// The first day of a day's month.
pub fn month_start(day: NaiveDate) -> NaiveDate {
    day.with_day(1).unwrap_or(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("an instant")
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a day")
    }

    /// Days and months begin at midnight there, to the microsecond from both sides; where there is no midnight, after it.
    #[test]
    fn days_begin_there() {
        for (zone, begins, date) in [
            ("UTC", "2026-11-01T00:00:00Z", "2026-11-01"),
            ("America/New_York", "2026-11-01T04:00:00Z", "2026-11-01"),
            ("America/New_York", "2026-11-02T05:00:00Z", "2026-11-02"),
            ("Asia/Kathmandu", "2026-10-31T18:15:00Z", "2026-11-01"),
            ("Pacific/Kiritimati", "2026-12-31T10:00:00Z", "2027-01-01"),
            // Clocks are put forward at midnight.
            ("America/Santiago", "2026-09-06T04:00:00Z", "2026-09-06"),
            // The day before was left out.
            ("Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-31"),
        ] {
            let zone: TimeZone = zone.parse().expect("a zone");
            let begins = at(begins);
            assert_eq!(zone.start_of(day(date)), begins, "{zone} {date}");
            assert_eq!(zone.day_of(begins), day(date), "{zone} {date}");
            assert!(zone.day_of(begins - TimeDelta::microseconds(1)) < day(date), "{zone} {date}");
        }
        let new_york: TimeZone = "America/New_York".parse().expect("a zone");
        assert_eq!(new_york.month_of(at("2026-11-01T03:59:59.999999Z")), day("2026-10-01"));
        assert_eq!(new_york.month_of(at("2026-11-01T04:00:00Z")), day("2026-11-01"));
        for bad in ["", "Berlin", "europe/berlin ", "UTC+1", "Mars/Olympus"] {
            assert!(bad.parse::<TimeZone>().is_err(), "{bad}");
        }
    }
}
