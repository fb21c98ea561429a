//! The service's answers, read: `{ "type": "PERCENTAGE", "value": "12.5" }` or `{ "type": "FLAT", "value": "5.00", "currency": "USD" }`, and
//! besides, where there are, `domain`, `currency`, `validUntil` (RFC 3339) and `source`. Zero is a rate.

use chrono::{DateTime, Utc};
use iso_currency::Currency;
use rust_decimal::Decimal;
use serde::Deserialize;

use crate::{
    clock,
    models::{commissions::calculation::Terms, programmes::quote::QuotedRate},
    money::minor_units,
    validation,
};

/// Why an answer cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It is not of the form that is agreed on.
    #[error("it is not of the form that is agreed on: {0}")]
    Malformed(String),
    /// It is about another shop.
    #[error("it is about {0}")]
    OtherDomain(String),
    /// Its value is no number.
    #[error("its value {0} is no number")]
    NoNumber(String),
    /// A share above all of it or below nothing, an amount below nothing, or more digits than there can be.
    #[error("its value {0} cannot be: {1}")]
    Value(Decimal, String),
    /// Its currency is none of ISO 4217, or one is missing.
    #[error("an amount needs a currency of ISO 4217")]
    Currency,
    /// It does not hold any more, or its end is no instant.
    #[error("its validUntil {0} is not an instant to come")]
    Until(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    domain: Option<String>,
    r#type: Kind,
    value: Value,
    currency: Option<String>,
    valid_until: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Kind {
    Percentage,
    Flat,
}

/// A number, or the text of one.
#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Text(String),
    Number(serde_json::Number),
}

/// The rate that an answer about a shop names.
pub fn read_answer(text: &str, domain: &str, now: DateTime<Utc>) -> Result<QuotedRate, Unusable> {
    let answer: Answer = serde_json::from_str(text).map_err(|error| Unusable::Malformed(error.to_string()))?;
    if let Some(other) = answer.domain.filter(|other| !other.eq_ignore_ascii_case(domain)) {
        return Err(Unusable::OtherDomain(other.chars().take(100).collect()));
    }
    let number = match answer.value {
        Value::Text(text) => text,
        Value::Number(number) => number.to_string(),
    };
    // More digits than a number can keep would be rounded silently.
    let value = Decimal::from_str_exact(number.trim()).map_err(|_| Unusable::NoNumber(number.chars().take(40).collect()))?;
    let currency = match answer.currency {
        Some(code) => Some(Currency::from_code(&code).ok_or(Unusable::Currency)?),
        None => None,
    };
    let terms = match answer.r#type {
        // A rate has four digits as a fraction, so two as a percentage.
        Kind::Percentage => validation::rate(value / Decimal::ONE_HUNDRED).map(Terms::Percentage),
        Kind::Flat => validation::amount(value, minor_units(currency.ok_or(Unusable::Currency)?)).map(Terms::Flat),
    };
    let terms = terms.map_err(|wrong| Unusable::Value(value, wrong.message))?;
    let until = match answer.valid_until {
        Some(text) => match clock::instant(&text).filter(|until| *until > now) {
            Some(until) => Some(until),
            None => return Err(Unusable::Until(text.chars().take(40).collect())),
        },
        None => None,
    };
    Ok(QuotedRate { terms, currency, until, answer: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Decimal {
        text.parse().expect("valid")
    }

    fn read(text: &str) -> Result<QuotedRate, Unusable> {
        read_answer(text, "example.com", clock::instant("2026-11-20T12:00:00Z").expect("valid"))
    }

    /// A percentage becomes a fraction once: 12.5 is an eighth, and nothing is a hundred times too high. Zero is a rate.
    #[test]
    fn percentages_become_fractions() {
        for (value, rate) in [
            (r#""12.5""#, number("0.125")),
            ("12.5", number("0.125")),
            ("0", number("0")),
            (r#""0.00""#, number("0")),
            (r#""100""#, number("1")),
            ("0.5", number("0.005")),
            (r#""12.500""#, number("0.125")),
        ] {
            let quoted = read(&format!(r#"{{"type": "PERCENTAGE", "value": {value}}}"#)).expect("valid");
            assert_eq!(quoted.terms, Terms::Percentage(rate), "{value}");
        }
    }

    #[test]
    fn amounts_need_a_currency_and_its_digits() {
        let flat = |value: &str, currency: &str| read(&format!(r#"{{"type": "FLAT", "value": {value}{currency}}}"#));
        assert_eq!(flat("5", r#", "currency": "USD""#).expect("valid").terms, Terms::Flat(number("5")));
        assert_eq!(flat("5", ""), Err(Unusable::Currency));
        assert_eq!(flat("5", r#", "currency": "ABC""#), Err(Unusable::Currency));
        assert!(matches!(flat("5.5", r#", "currency": "JPY""#), Err(Unusable::Value(..))));
        assert!(matches!(flat("-5", r#", "currency": "USD""#), Err(Unusable::Value(..))));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for answer in [
            "",
            "[]",
            "{}",
            "null",
            r#"{"merchant": null}"#,
            r#"{"type": "PERCENTAGE"}"#,
            r#"{"type": "percentage", "value": 1}"#,
            r#"{"type": "PERCENTAGE", "value": -1}"#,
            r#"{"type": "PERCENTAGE", "value": 100.01}"#,
            r#"{"type": "PERCENTAGE", "value": "12.345"}"#,
            r#"{"type": "PERCENTAGE", "value": "12,5"}"#,
            r#"{"type": "PERCENTAGE", "value": "12.5%"}"#,
            r#"{"type": "PERCENTAGE", "value": "NaN"}"#,
            r#"{"type": "PERCENTAGE", "value": 1e400}"#,
            r#"{"type": "PERCENTAGE", "value": "0.00000000000000000000000000000001"}"#,
            r#"{"type": "PERCENTAGE", "value": 10, "domain": "other.example"}"#,
            r#"{"type": "PERCENTAGE", "value": 10, "validUntil": "2026-11-19T00:00:00Z"}"#,
            r#"{"type": "PERCENTAGE", "value": 10, "validUntil": "soon"}"#,
        ] {
            assert!(read(answer).is_err(), "{answer}");
        }
        assert!(
            read(
                r#"{"type": "PERCENTAGE", "value": 10, "domain": "Example.COM", "validUntil": "2026-12-01T00:00:00Z", "logo": 1}"#
            )
            .is_ok()
        );
    }
}
