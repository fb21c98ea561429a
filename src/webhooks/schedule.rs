//! When a delivery is tried again, and when an endpoint is given up: the schedule of Standard Webhooks 1.0.0, "Deliverability and reliability".

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::models::webhooks::work::GivingUp;

/// How long to wait after each attempt that has failed. After the last of them none follows.
const PAUSES: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
    Duration::from_hours(14),
    Duration::from_hours(20),
    Duration::from_hours(24),
];
/// How long an endpoint may fail before nothing is sent to it any more.
pub const GIVING_UP: GivingUp = GivingUp {
    after: Duration::from_hours(5 * 24),
    failed: "Every attempt has failed for five days.",
    gone: "It has answered 410 Gone.",
};
/// The longest pause that an endpoint can ask for.
const LONGEST_REST: Duration = Duration::from_hours(24);

/// When to try again after so many attempts have failed, of which the last ended at that time; `None` where no attempt is left. A fifth of the pause
/// is left to chance, so that what has failed at once does not come back at once.
pub fn next_attempt(failed: i32, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let pause = PAUSES.get(usize::try_from(failed).ok()?.checked_sub(1)?)?;
    let jitter = fastrand::f64().mul_add(0.2, 0.9);
    Some(at + TimeDelta::from_std(pause.mul_f64(jitter)).ok()?)
}

/// For how long an endpoint asks for a pause by the header Retry-After (RFC 9110, section 10.2.3): seconds, or a date; a day at most.
pub fn retry_after(header: &str, now: DateTime<Utc>) -> Option<Duration> {
    let header = header.trim();
    let asked = match header.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => (DateTime::parse_from_rfc2822(header).ok()?.to_utc() - now).to_std().ok()?,
    };
    Some(asked.min(LONGEST_REST))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten attempts within about 76 hours, each within a tenth of its time; then none.
    #[test]
    fn attempts() {
        let begin = DateTime::UNIX_EPOCH;
        for (failed, pause) in (1..).zip(PAUSES) {
            for _ in 0..100 {
                let next = (next_attempt(failed, begin).expect("another attempt") - begin).to_std().expect("later");
                assert!(next >= pause.mul_f64(0.899) && next <= pause.mul_f64(1.101), "{failed}: {next:?}");
            }
        }
        assert_eq!(next_attempt(10, begin), None);
        assert_eq!(next_attempt(0, begin), None);
        assert_eq!(PAUSES.iter().sum::<Duration>(), Duration::from_secs(5 + 35 * 60 + 75 * 3600));
    }

    /// Seconds and dates are read, a day at most; what is neither, or past, asks for nothing.
    #[test]
    fn rests() {
        let now = DateTime::parse_from_rfc3339("2026-11-27T12:00:00Z").expect("a time").to_utc();
        for (header, rest) in [
            ("120", Some(Duration::from_mins(2))),
            (" 0 ", Some(Duration::ZERO)),
            ("Fri, 27 Nov 2026 12:01:00 GMT", Some(Duration::from_mins(1))),
            ("Fri, 27 Nov 2026 11:00:00 GMT", None),
            ("99999999999", Some(LONGEST_REST)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(retry_after(header, now), rest, "{header:?}");
        }
    }
}
