//! What an export's address may ask for: the filters of the API's lists. Everything else is refused by name.

use chrono::{DateTime, Utc};
use iso_currency::Currency;
use rust_decimal::Decimal;

use crate::{
    clock,
    ids::{IdError, PartnerId},
    models::{commission_list::CommissionFilter, payout_list::PayoutFilter},
    money,
};

/// One parameter's value, where there is one, or a sentence that says what is wrong with its text.
fn value<T>(name: &str, text: &str, wanted: &str, value: Option<T>) -> Result<T, String> {
    value.ok_or_else(|| {
        let shown: String = text.chars().take(60).collect();
        format!("`{name}` must be {wanted}; it is {shown:?}.")
    })
}

/// Several values of an enumeration, in capitals as in the API, separated by commas.
fn words<T: std::str::FromStr>(name: &str, text: &str) -> Result<Vec<T>, String> {
    text.split(',')
        .map(|word| {
            let parsed = word.trim().to_ascii_lowercase().parse().ok();
            value(name, word, "one of the API's values, or several with commas", parsed)
        })
        .collect()
}

fn currency(text: &str) -> Result<&'static str, String> {
    Currency::from_code(text)
        .map(|known| known.code())
        .ok_or_else(|| "`currency` must be an ISO 4217 code such as USD.".to_owned())
}

fn instant(name: &str, text: &str) -> Result<DateTime<Utc>, String> {
    value(name, text, "an instant such as 2026-11-20T09:30:00Z", clock::instant(text))
}

fn amount(name: &str, text: &str) -> Result<Decimal, String> {
    value(name, text, "a decimal number such as 250.50", money::decimal(text))
}

fn partner(text: &str) -> Result<PartnerId, String> {
    text.parse().map_err(|error: IdError| format!("`partnerId`: {error}"))
}

/// A parameter given twice could mean either.
fn once(parameters: &[(String, String)]) -> Result<(), String> {
    let repeated =
        parameters.iter().enumerate().find(|(place, (name, _))| parameters[..*place].iter().any(|(known, _)| known == name));
    repeated.map_or(Ok(()), |(_, (name, _))| Err(format!("`{name}` is given twice; several values go with commas.")))
}

fn unknown(name: &str, known: &str) -> String {
    let shown: String = name.chars().take(60).collect();
    format!("There is no parameter {shown:?}; there are {known}.")
}

/// The filter of `commissions.csv`.
pub fn commission_filter(parameters: &[(String, String)]) -> Result<CommissionFilter, String> {
    let mut filter = CommissionFilter::default();
    once(parameters)?;
    for (name, text) in parameters {
        match name.as_str() {
            "partnerId" => filter.partner = Some(partner(text)?),
            "status" => filter.statuses = words(name, text)?,
            "eventType" => filter.event_types = words(name, text)?,
            "currency" => filter.currency = Some(currency(text)?),
            "earnedFrom" => filter.earned_from = Some(instant(name, text)?),
            "earnedBefore" => filter.earned_before = Some(instant(name, text)?),
            "minAmount" => filter.min_amount = Some(amount(name, text)?),
            "maxAmount" => filter.max_amount = Some(amount(name, text)?),
            _ => {
                let known = "partnerId, status, eventType, currency, earnedFrom, earnedBefore, minAmount, maxAmount";
                return Err(unknown(name, known));
            }
        }
    }
    Ok(filter)
}

/// The filter of `payouts.csv`.
pub fn payout_filter(parameters: &[(String, String)]) -> Result<PayoutFilter, String> {
    let mut filter = PayoutFilter::default();
    once(parameters)?;
    for (name, text) in parameters {
        match name.as_str() {
            "partnerId" => filter.partner = Some(partner(text)?),
            "status" => filter.statuses = words(name, text)?,
            "currency" => filter.currency = Some(currency(text)?),
            "createdFrom" => filter.created_from = Some(instant(name, text)?),
            "createdBefore" => filter.created_before = Some(instant(name, text)?),
            "payoutFrom" => filter.payout_from = Some(instant(name, text)?),
            "payoutBefore" => filter.payout_before = Some(instant(name, text)?),
            "minAmount" => filter.min_amount = Some(amount(name, text)?),
            "maxAmount" => filter.max_amount = Some(amount(name, text)?),
            _ => {
                return Err(unknown(
                    name,
                    "partnerId, status, currency, createdFrom, createdBefore, payoutFrom, payoutBefore, minAmount, maxAmount",
                ));
            }
        }
    }
    Ok(filter)
}
