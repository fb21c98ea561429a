//! The schema's own scalars, and money.

use async_graphql::{Context, InputValueError, InputValueResult, Object, Scalar, ScalarType, Value};
use chrono::{Datelike, Utc};
use iso_currency::Currency;

use super::{context::ContextExt, row::plain_value};
use crate::{
    clock,
    error::{Error, Result},
    money,
};

/// A decimal number as a string, exact: "250.50". JSON numbers are refused: on their way through a float they would lose
/// digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal(pub rust_decimal::Decimal);

/// A decimal number as a string, exact: "250.50". JSON numbers are refused: on their way through a float they would lose
/// digits.
#[Scalar(name = "Decimal")]
impl ScalarType for Decimal {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else {
            return Err(InputValueError::custom("A Decimal is written as a string, such as \"250.50\"."));
        };
        money::decimal(text).map(Self).ok_or_else(|| {
            InputValueError::custom(
                "A Decimal has digits, at most one point between them and at most 28 digits in all, such as \"250.50\".",
            )
        })
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
        parsed
            .map(Self)
            .ok_or_else(|| InputValueError::custom("A DateTime is written as RFC 3339 says, such as \"2026-11-20T09:30:00Z\"."))
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

/// A file of a multipart request, by its place among them. The engine's own type trusts clients with that place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upload(usize);

/// What a variable holds in place of a file, before the file's place.
const UPLOADED: &str = "uploaded file ";

/// A file. It comes in a multipart request, as the GraphQL multipart request specification says: the variable is null, and the request's
/// `map` names it; one file in one variable. The request needs the header `GraphQL-Require-Preflight`, with any value.
#[Scalar(name = "Upload", specified_by_url = "https://github.com/jaydenseric/graphql-multipart-request-spec")]
impl ScalarType for Upload {
    fn parse(value: Value) -> InputValueResult<Self> {
        let place = if let Value::String(text) = &value { text.strip_prefix(UPLOADED) } else { None };
        place
            .and_then(|place| place.parse().ok())
            .map(Self)
            .ok_or_else(|| InputValueError::custom("An Upload comes as a file of a multipart request."))
    }

    fn to_value(&self) -> Value {
        Value::String(format!("{UPLOADED}{}", self.0))
    }
}

impl Upload {
    /// The file in that place of its request.
    pub fn in_place(place: usize) -> Self {
        Self(place)
    }

    /// The file. It is there once.
    pub fn file(self, ctx: &Context<'_>) -> Option<std::fs::File> {
        ctx.request().take_upload(self.0)
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
        day.filter(|day| (1900..=9999).contains(&day.year()))
            .map(Self)
            .ok_or_else(|| InputValueError::custom("A Date is a day from 1900 on, such as \"2026-11-20\"."))
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
        parsed.map(Self).ok_or_else(|| InputValueError::custom("A CurrencyCode is an ISO 4217 code such as \"USD\"."))
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
