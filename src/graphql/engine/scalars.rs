//! The schema's own scalars, and money.

use async_graphql::{Context, InputValueError, InputValueResult, Object, Scalar, ScalarType, Value};
use chrono::{Datelike, Utc};
use iso_currency::Currency;

use super::{
    context::ContextExt,
    ids,
    json::{displayed, leaf, push, quoted},
    row::plain_value,
};
use crate::{
    clock,
    error::{Error, Result},
    models::calendar,
    money,
};

/// The rule of each scalar, as error messages state it.
const DECIMAL: &str = "a string of digits, with at most one point between them and at most 28 digits in all, such as \"250.50\"";
const DATE_TIME: &str = "an instant as RFC 3339 writes it, such as \"2026-11-20T09:30:00Z\"";
const DATE_OR_DATE_TIME: &str =
    "a day from 1900 on, such as \"2026-11-20\", or an instant as RFC 3339 writes it, such as \"2026-11-20T09:30:00Z\"";
const TIME_ZONE: &str = "a time zone of the IANA database, such as \"Europe/Berlin\"";
const DATE: &str = "a day from 1900 on, such as \"2026-11-20\"";
const CURRENCY_CODE: &str = "an ISO 4217 code such as \"USD\"";
const UPLOAD: &str = "a file of a multipart request";

fn wrong(value: &Value, name: &str, rule: &str) -> String {
    format!("{} is no {name}: it must be {rule}.", shown(value))
}

fn none<T: async_graphql::InputType>(value: &Value, rule: &str) -> InputValueError<T> {
    InputValueError::custom(wrong(value, &T::type_name(), rule))
}

/// A decimal number as a string, exact: "250.50". JSON numbers are refused: on their way through a float they would lose
/// digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal(pub rust_decimal::Decimal);

/// A decimal number as a string, exact: "250.50". JSON numbers are refused: on their way through a float they would lose
/// digits.
#[Scalar(name = "Decimal")]
impl ScalarType for Decimal {
    fn parse(value: Value) -> InputValueResult<Self> {
        let parsed = if let Value::String(text) = &value { money::decimal(text) } else { None };
        parsed.map(Self).ok_or_else(|| none::<Self>(&value, DECIMAL))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// An instant, RFC 3339 in UTC: "2026-11-20T09:30:00Z".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateTime(pub chrono::DateTime<Utc>);

/// An instant, RFC 3339 in UTC: "2026-11-20T09:30:00Z".
#[Scalar(name = "DateTime", specified_by_url = "https://datatracker.ietf.org/doc/html/rfc3339")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        let parsed = if let Value::String(text) = &value { clock::instant(text) } else { None };
        parsed.map(Self).ok_or_else(|| none::<Self>(&value, DATE_TIME))
    }

    fn to_value(&self) -> Value {
        Value::String(clock::shown(self.0))
    }
}

impl From<chrono::DateTime<Utc>> for DateTime {
    fn from(time: chrono::DateTime<Utc>) -> Self {
        Self(time)
    }
}

/// A file of a multipart request, by its index among them. The engine's own type trusts clients with that index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upload(usize);

/// What a variable holds instead of a file, before the file's index.
const UPLOADED: &str = "uploaded file ";

/// A file. It comes in a multipart request, as the GraphQL multipart request specification says: the variable is null, and the request's
/// `map` names it; one file in one variable. The request needs the header `GraphQL-Require-Preflight`, with any value.
#[Scalar(name = "Upload", specified_by_url = "https://github.com/jaydenseric/graphql-multipart-request-spec")]
impl ScalarType for Upload {
    fn parse(value: Value) -> InputValueResult<Self> {
        let index = if let Value::String(text) = &value { text.strip_prefix(UPLOADED) } else { None };
        index.and_then(|index| index.parse().ok()).map(Self).ok_or_else(|| none::<Self>(&value, UPLOAD))
    }

    fn to_value(&self) -> Value {
        Value::String(format!("{UPLOADED}{}", self.0))
    }
}

impl Upload {
    /// The file of that index in its request.
    pub fn at(index: usize) -> Self {
        Self(index)
    }

    /// The file. It is there once.
    pub fn file(self, ctx: &Context<'_>) -> Option<std::fs::File> {
        ctx.request().take_upload(self.0)
    }
}

/// A day or an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateOrDateTime {
    /// A day.
    Day(chrono::NaiveDate),
    /// An instant.
    Instant(chrono::DateTime<Utc>),
}

/// A calendar day, "2026-11-20", or an instant, "2026-11-20T09:30:00Z" (RFC 3339). A day stands for its beginning, in the time zone that the
/// period has.
#[Scalar(name = "DateOrDateTime", specified_by_url = "https://datatracker.ietf.org/doc/html/rfc3339")]
impl ScalarType for DateOrDateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        let day = Date::parse(value.clone()).map(|day| Self::Day(day.0)).ok();
        let parsed = day.or_else(|| DateTime::parse(value.clone()).map(|at| Self::Instant(at.0)).ok());
        parsed.ok_or_else(|| none::<Self>(&value, DATE_OR_DATE_TIME))
    }

    fn to_value(&self) -> Value {
        match self {
            Self::Day(day) => Date(*day).to_value(),
            Self::Instant(at) => DateTime(*at).to_value(),
        }
    }
}

/// A time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeZone(pub calendar::TimeZone);

/// A time zone by its name in the IANA database: "Europe/Berlin".
#[Scalar(name = "TimeZone", specified_by_url = "https://www.iana.org/time-zones")]
impl ScalarType for TimeZone {
    fn parse(value: Value) -> InputValueResult<Self> {
        let parsed = if let Value::String(name) = &value { name.parse().ok() } else { None };
        parsed.map(Self).ok_or_else(|| none::<Self>(&value, TIME_ZONE))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.name().to_owned())
    }
}

/// A calendar day, ISO 8601: "2026-11-20".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date(pub chrono::NaiveDate);

/// A calendar day, ISO 8601: "2026-11-20".
#[Scalar(name = "Date", specified_by_url = "https://www.iso.org/iso-8601-date-and-time-format.html")]
impl ScalarType for Date {
    fn parse(value: Value) -> InputValueResult<Self> {
        let day = if let Value::String(text) = &value { clock::day(text) } else { None };
        day.filter(|day| (1900..=9999).contains(&day.year())).map(Self).ok_or_else(|| none::<Self>(&value, DATE))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// An ISO 4217 code: "USD".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurrencyCode(pub Currency);

/// An ISO 4217 code: "USD".
#[Scalar(name = "CurrencyCode", specified_by_url = "https://www.iso.org/iso-4217-currency-codes.html")]
impl ScalarType for CurrencyCode {
    fn parse(value: Value) -> InputValueResult<Self> {
        let parsed = if let Value::String(code) = &value { Currency::from_code(code) } else { None };
        parsed.map(Self).ok_or_else(|| none::<Self>(&value, CURRENCY_CODE))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.code().to_owned())
    }
}

/// An RFC 5321 mailbox: "ada@example.com".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailAddress(pub String);

/// An RFC 5321 mailbox: "ada@example.com".
#[Scalar(name = "EmailAddress", specified_by_url = "https://datatracker.ietf.org/doc/html/rfc5321#section-4.1.2")]
impl ScalarType for EmailAddress {
    /// Takes any text: an address that is none is the mutation's to report, with its field, beside all other faults.
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) => Ok(Self(text)),
            value => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

/// Whether a value is one of the scalar of that name, which may be that of one kind of id; an error is a sentence that a form can show.
/// `leaves_ids` leaves ids and currencies that are none to their fields.
pub fn check(name: &str, value: &Value, leaves_ids: bool) -> Result<(), String> {
    let is_text = matches!(value, Value::String(_));
    let is_whole = matches!(value, Value::Number(number) if number.is_i64());
    let (is_valid, rule) = match name {
        "Int" => {
            let is_in_range = |number: i64| i32::try_from(number).is_ok();
            let is_valid = matches!(value, Value::Number(number) if number.as_i64().is_some_and(is_in_range));
            (is_valid, "a whole number from -2147483648 to 2147483647")
        }
        "Boolean" => (matches!(value, Value::Boolean(_)), "true or false"),
        "String" | "EmailAddress" => (is_text, "a string"),
        "Decimal" => (Decimal::parse(value.clone()).is_ok(), DECIMAL),
        "DateTime" => (DateTime::parse(value.clone()).is_ok(), DATE_TIME),
        "DateOrDateTime" => (DateOrDateTime::parse(value.clone()).is_ok(), DATE_OR_DATE_TIME),
        "TimeZone" => (TimeZone::parse(value.clone()).is_ok(), TIME_ZONE),
        "Date" => (Date::parse(value.clone()).is_ok(), DATE),
        "Upload" => (Upload::parse(value.clone()).is_ok(), UPLOAD),
        "CurrencyCode" => (leaves_ids && is_text || CurrencyCode::parse(value.clone()).is_ok(), CURRENCY_CODE),
        name if ids::public_name(name) == "ID" => match ids::check(name, value) {
            Err(message) if !leaves_ids && (is_text || is_whole) => return Err(message),
            _ => (is_text || is_whole, "a string"),
        },
        // Each scalar of the schema's input is above: a test looks for them.
        _ => return Ok(()),
    };
    if is_valid {
        return Ok(());
    }
    Err(wrong(value, ids::public_name(name), rule))
}

/// A value in a message, not all of a long one.
pub fn shown(value: &impl std::fmt::Display) -> String {
    const LONGEST: usize = 60;
    let text = value.to_string();
    if text.chars().count() <= LONGEST { text } else { text.chars().take(LONGEST).chain(['…']).collect() }
}

/// The currency of a stored code.
pub fn currency(code: &str) -> Result<Currency> {
    Currency::from_code(code).ok_or_else(|| Error::internal(format!("{code:?} is no ISO 4217 code")))
}

/// The currency that is asked for, or else the tenant's default one.
pub fn currency_or_default(ctx: &Context<'_>, asked: Option<CurrencyCode>) -> Result<Currency> {
    asked.map_or_else(|| currency(&ctx.viewer().tenant.default_currency), |code| Ok(code.0))
}

/// An amount in one currency.
#[derive(Debug, Clone, Copy)]
pub struct Money(pub money::Money);

impl Money {
    /// An amount in a currency.
    pub fn of(amount: rust_decimal::Decimal, currency: Currency) -> Self {
        Self(money::Money::rounded(amount, currency))
    }

    /// A stored amount and its currency's code.
    pub fn stored(amount: rust_decimal::Decimal, code: &str) -> Result<Self> {
        Ok(Self(money::Money::rounded(amount, currency(code)?)))
    }
}

/// An amount in one currency, printed with that currency's minor units.
#[Object]
impl Money {
    /// How much, in the currency's major unit.
    async fn amount(&self) -> Decimal {
        Decimal(self.0.amount)
    }

    /// In which currency.
    async fn currency(&self) -> CurrencyCode {
        CurrencyCode(self.0.currency)
    }
}

plain_value!(Money: amount, currency);

leaf! {
    Decimal => |value, out| displayed(&value.0, out);
    DateTime => |value, out| quoted(&clock::shown(value.0), out);
    Date => |value, out| displayed(&value.0, out);
    CurrencyCode => |value, out| quoted(value.0.code(), out);
    EmailAddress => |value, out| push(&value.0, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A decimal keeps every digit, and only a plain string is one.
    #[test]
    fn decimals() {
        let parse = |text: &str| Decimal::parse(Value::String(text.into())).map(|decimal| decimal.to_value());
        assert_eq!(parse("1234567890123456.78").ok(), Some(Value::String("1234567890123456.78".into())));
        for good in ["-0.10", "-5", "0", "0.5", "5.0"] {
            assert_eq!(parse(good).ok(), Some(Value::String(good.into())));
        }
        for bad in [
            "",
            "1e3",
            "+1",
            "1_000",
            ".5",
            "5.",
            "-.5",
            "-5.",
            ".",
            "-",
            "--5",
            "1.-2",
            "1.2.3",
            "0x1",
            " 1",
            "NaN",
            "99999999999999999999999999999999",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
        assert!(Decimal::parse(Value::from(250.5)).is_err());
    }
}
