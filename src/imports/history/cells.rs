//! Cells: what stands in one, and what it means.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use iso_currency::Currency;
use rust_decimal::Decimal;
use serde_json::Value;

use super::source::{MoneyForm, NumericTime};
use crate::{
    clock,
    models::{calendar::TimeZone, imports::finding::FindingCode},
    money::{MAX_AMOUNT, decimal, minor_units},
};

/// The first instant that history is from.
const FIRST: i64 = 946_684_800;
/// From here on a number is of milliseconds: as seconds it would be the year 5138.
const MILLISECONDS: i64 = 100_000_000_000;

/// The largest count: sums of millions of such ones are whole numbers still.
const MAX_COUNT: i64 = 1_000_000_000_000;

/// What is wrong with a cell, as a sentence.
pub type Wrong = (FindingCode, String);

/// What stands in a cell. `None` for nothing at all, which an empty text is not.
pub fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The same without blanks around it, if anything is left.
pub fn filled(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// A currency, in whatever case.
pub fn currency(text: &str) -> Result<Currency, Wrong> {
    let unknown = || (FindingCode::CurrencyUnknown, format!("{text:?} is no currency of ISO 4217."));
    Currency::from_code(&text.to_uppercase()).ok_or_else(unknown)
}

/// An amount in the currency's major unit. Nothing is rounded: what is finer than the currency's smallest unit is refused.
pub fn money(text: &str, form: MoneyForm, currency: Currency) -> Result<Decimal, Wrong> {
    let digits = minor_units(currency);
    let wrong = |why: String| (FindingCode::AmountInvalid, format!("{text:?} is no amount in {}: {why}.", currency.code()));
    let amount = match form {
        MoneyForm::Minor => {
            let whole = text.strip_suffix(".0").unwrap_or(text);
            let units: i64 =
                whole.parse().map_err(|_| wrong("it is written in the smallest unit, as a whole number".to_owned()))?;
            Decimal::try_new(units, digits).map_err(|_| wrong("it is out of range".to_owned()))?
        }
        MoneyForm::Major => decimal(text).ok_or_else(|| wrong("expected a decimal such as 12.50".to_owned()))?,
        MoneyForm::Shown => shown(text, currency).ok_or_else(|| wrong("expected an amount such as $1,250.00".to_owned()))?,
    };
    if amount.normalize().scale() > digits {
        return Err(wrong(format!("the currency has {digits} digits after the point")));
    }
    if amount.abs() >= MAX_AMOUNT {
        return Err(wrong("it is out of range".to_owned()));
    }
    Ok(amount)
}

/// An amount as people read it, with the sign or code of its currency and commas at the thousands. Anything else beside the number is no amount: `1.2K`,
/// another currency's sign.
fn shown(text: &str, currency: Currency) -> Option<Decimal> {
    let (inner, is_negative) = match text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) {
        Some(inner) => (inner, true),
        None => (text, text.contains('-') || text.contains('\u{2212}')),
    };
    let number = inner.trim_matches(|c: char| !c.is_ascii_digit());
    let (before, after) = inner.split_once(number)?;
    let symbol = currency.symbol().to_string();
    let is_beside = |text: &str| {
        let text = text.replace(['-', '+', '\u{2212}'], "");
        let text = text.trim();
        text.is_empty() || text == symbol || text.eq_ignore_ascii_case(currency.code()) || (text == "$" && symbol.ends_with('$'))
    };
    if number.is_empty() || !is_beside(before) || !is_beside(after) {
        return None;
    }
    let (whole, fraction) = number.split_once('.').map_or((number, None), |(whole, fraction)| (whole, Some(fraction)));
    let mut groups = whole.split(',');
    let first = groups.next()?;
    let is_grouped = whole.contains(',');
    if first.is_empty() || is_grouped && first.len() > 3 || groups.any(|group| group.len() != 3) {
        return None;
    }
    // `1.250` may be one and a quarter, or a thousand and more.
    if fraction.is_some_and(|fraction| fraction.len() > minor_units(currency) as usize) {
        return None;
    }
    let digits: String = whole.chars().filter(|c| *c != ',').collect();
    let number = decimal(&fraction.map_or_else(|| digits.clone(), |fraction| format!("{digits}.{fraction}")))?;
    Some(if is_negative { -number } else { number })
}

/// A time: ISO 8601, or a number.
pub fn time(text: &str, numbers: NumericTime, zone: Option<TimeZone>, now: DateTime<Utc>) -> Result<DateTime<Utc>, Wrong> {
    let at = read_time(text, numbers, zone)?;
    if at.timestamp() < FIRST || at > now + TimeDelta::days(1) {
        return Err((
            FindingCode::TimeOutOfRange,
            format!("{text:?} is {}, which is before 2000 or later than tomorrow.", at.to_rfc3339()),
        ));
    }
    // The database keeps microseconds.
    Ok(DateTime::from_timestamp_micros(at.timestamp_micros()).unwrap_or(at))
}

fn read_time(text: &str, numbers: NumericTime, zone: Option<TimeZone>) -> Result<DateTime<Utc>, Wrong> {
    let invalid = || (FindingCode::TimeInvalid, format!("{text:?} is no time: expected ISO 8601 such as 2026-11-27T10:00:00Z."));
    if let Ok(number) = text.parse::<i64>() {
        let is_milliseconds = numbers == NumericTime::Milliseconds || number.abs() >= MILLISECONDS;
        let read = if is_milliseconds { DateTime::from_timestamp_millis(number) } else { DateTime::from_timestamp(number, 0) };
        return read.ok_or_else(invalid);
    }
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(at.to_utc());
    }
    for form in ["%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%d %H:%M:%S%.f%z", "%Y-%m-%d %H:%M:%S%.f %z"] {
        if let Ok(at) = DateTime::parse_from_str(text, form) {
            return Ok(at.to_utc());
        }
    }
    let forms = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];
    let local = forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    let local = local.or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0)).ok_or_else(invalid)?;
    let Some(zone) = zone else {
        return Err((
            FindingCode::TimeWithoutZone,
            format!("{text:?} says no time zone; the import's option for the time zone names the one that it is in."),
        ));
    };
    zone.instant_of(local).ok_or_else(invalid)
}

/// A day, or the day of a time, between 2000 and tomorrow.
pub fn day(text: &str, now: DateTime<Utc>) -> Result<NaiveDate, Wrong> {
    let (first, rest) = text.split_at_checked(10).unwrap_or((text, ""));
    let day = clock::day(first).filter(|_| rest.is_empty() || rest.starts_with(['T', ' ']));
    let day = day.ok_or_else(|| (FindingCode::TimeInvalid, format!("{text:?} is no day: expected one such as 2026-11-27.")))?;
    if day.year() < 2000 || day > now.date_naive() + TimeDelta::days(1) {
        return Err((FindingCode::TimeOutOfRange, format!("{text:?} is before 2000 or later than tomorrow.")));
    }
    Ok(day)
}

/// A count, from 0.
pub fn count(text: &str) -> Result<i64, Wrong> {
    let count =
        text.strip_suffix(".0").unwrap_or(text).replace(',', "").parse().ok().filter(|count| (0..=MAX_COUNT).contains(count));
    count.ok_or_else(|| (FindingCode::NumberInvalid, format!("{text:?} is no whole number from 0 to {MAX_COUNT}.")))
}

/// Whether a cell says yes; a blank one does not.
pub fn is_yes(text: &str) -> bool {
    matches!(text.to_lowercase().as_str(), "yes" | "true" | "1" | "t" | "y")
}
