//! The time of day, from one source, so that a test can set it.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat, SubsecRound, TimeDelta, Utc};

/// An instant as the schema shows it (RFC 3339, UTC), for sentences.
pub fn shown(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// The instant that a text names as RFC 3339 §5.6 says, to the microsecond, as the database keeps it: what is sent twice is the same the
/// second time.
pub fn instant(text: &str) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
    // A leap second is the beginning of the next one, as it is to the database; and what was in the year 9999 elsewhere can be in the year
    // 10000 here, which RFC 3339 cannot write.
    DateTime::from_timestamp_micros(time.timestamp_micros()).filter(|time| (1..=9999).contains(&time.year()))
}

/// The day that a text names as RFC 3339 §5.6 says: `YYYY-MM-DD`, to the letter. (chrono's own reading takes `2026-1-2`, signs and blanks.)
pub fn day(text: &str) -> Option<NaiveDate> {
    let has_the_form = text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(index, byte)| if matches!(index, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() });
    if has_the_form { text.parse().ok() } else { None }
}

/// A clock. Clones have the same time.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    ahead_seconds: Arc<AtomicI64>,
}

impl Clock {
    /// Now.
    #[expect(clippy::disallowed_methods, reason = "the one reader of the system's clock")]
    pub fn now(&self) -> DateTime<Utc> {
        Utc::now() + TimeDelta::seconds(self.ahead_seconds.load(Ordering::Relaxed))
    }

    /// Now, in whole microseconds, as PostgreSQL stores instants.
    pub fn instant(&self) -> DateTime<Utc> {
        self.now().trunc_subsecs(6)
    }

    /// Moves this clock, and its clones, ahead of the system's by that much more.
    pub fn advance(&self, by: TimeDelta) {
        self.ahead_seconds.fetch_add(by.num_seconds(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A day has ten characters and is one of the calendar's.
    #[test]
    fn days() {
        for good in ["2026-11-20", "2024-02-29", "1900-01-01", "9999-12-31"] {
            assert_eq!(day(good).map(|day| day.to_string()).as_deref(), Some(good));
        }
        for bad in [
            "2026-1-2",
            "2026-11-2",
            "02026-11-20",
            "+2026-11-20",
            "2026-11-20 ",
            " 2026-11-20",
            "2026 -11-20",
            "2026- 1-20",
            "20261120",
            "2026-11-20T00:00:00Z",
            "2026-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-11-31",
            "२०२६-11-20",
            "",
        ] {
            assert_eq!(day(bad), None, "{bad:?}");
        }
    }
}
