//! Rules for what people type: lengths, characters, e-mail, URL, country, amounts; those for numbers of phones and accounts are in
//! `numbers`.
//!
//! A [`Faults`] gathers every fault of one input, each with the path of its field, so that a form can show them all at once.

mod numbers;

use std::fmt;

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use email_address::{EmailAddress, Options};
use icu_normalizer::ComposingNormalizer;
use rust_decimal::Decimal;
use url::Url;

pub use numbers::{account_number, bank_account, phone};

use crate::{clock, money::MAX_AMOUNT};

/// The longest name, in characters.
pub const MAX_NAME: usize = 200;
/// The longest invite code that is looked up; longer ones are nobody's.
pub const MAX_INVITE_CODE: usize = 64;

/// What kind of fault it is; the part that a program may depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, async_graphql::Enum)]
#[graphql(name = "UserErrorCode")]
pub enum FaultCode {
    /// The value does not have the form it must have.
    Invalid,
    /// A value is needed and there is none.
    Required,
    /// The value is longer than it may be.
    TooLong,
    /// The value is shorter than it must be.
    TooShort,
    /// The number is below or above what it may be.
    OutOfRange,
    /// There is no such thing, or it is not yours.
    NotFound,
    /// The thing cannot go from its present state to the one asked for.
    InvalidTransition,
    /// The value is in use by another and must be unique.
    Taken,
    /// The key was used before, for something else.
    KeyReused,
    /// There is nothing to pay, or less than the least that is paid out.
    NothingToPay,
    /// What was previewed is not what would happen now.
    PreviewChanged,
    /// Somebody has changed the thing since the person looked at it.
    Changed,
    /// There is money that must be settled first.
    OpenBalance,
    /// The partner's profile does not say where a payment is to go.
    DestinationMissing,
    /// There is less money than is asked for.
    InsufficientFunds,
    /// There are fewer credits than are asked for.
    InsufficientCredits,
    /// There is no such member, or it is another partner's.
    MemberNotFound,
    /// The member is inactive.
    MemberInactive,
    /// The partner is not active.
    PartnerInactive,
    /// The partner does not take part in the programme.
    NotEnrolled,
    /// The programme takes no new links.
    ProgrammePaused,
    /// The number of credits is not one that can be moved at once.
    InvalidAmount,
    /// The partner would be left without an owner.
    LastOwner,
    /// The membership comes from an organisation, and follows what the sign-in service says of it.
    FromOrganization,
    /// The person was erased: nothing names them again.
    Erased,
    /// It failed on our side; others of the same operation did not.
    Failed,
}

/// One thing that the person who sent the input can put right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What kind of fault.
    pub code: FaultCode,
    /// A sentence: what is wrong and what would be right.
    pub message: String,
    /// The way to the field in the mutation's arguments: `["input", "address", "country"]`.
    pub field: Vec<&'static str>,
}

/// All faults of one input. Empty means that the input is good.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// One fault at `path`, dotted: `"input.address.country"`.
    pub fn one(path: &'static str, code: FaultCode, message: impl Into<String>) -> Self {
        let mut faults = Self::default();
        faults.add(path, code, message);
        faults
    }

    /// Adds a fault at `path`.
    pub fn add(&mut self, path: &'static str, code: FaultCode, message: impl Into<String>) {
        self.0.push(Fault { code, message: message.into(), field: path.split('.').collect() });
    }

    /// Adds those of another check.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The faults in the order they were found.
    pub fn into_vec(self) -> Vec<Fault> {
        self.0
    }

    /// Checks one value: gives what the rule makes of it, or notes the fault and gives `None`.
    pub fn check<T>(&mut self, path: &'static str, checked: Result<T, Wrong>) -> Option<T> {
        match checked {
            Ok(value) => Some(value),
            Err(Wrong { code, message }) => {
                self.add(path, code, message);
                None
            }
        }
    }

    /// The same for a value that may be absent.
    pub fn check_option<T>(
        &mut self,
        path: &'static str,
        value: Option<&str>,
        rule: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Option<T> {
        value.and_then(|value| self.check(path, rule(value)))
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { " " };
            write!(f, "{separator}{}: {}", fault.field.join("."), fault.message)?;
        }
        Ok(())
    }
}

/// Why a value does not pass a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// What kind of fault.
    pub code: FaultCode,
    /// A sentence.
    pub message: String,
}

fn wrong<T>(code: FaultCode, message: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong { code, message: message.into() })
}

/// The text as given, shortened and without control characters, for a message.
fn quoted(text: &str) -> String {
    let shown: String = text.chars().filter(|c| !c.is_control()).take(60).collect();
    format!("{shown:?}")
}

/// The characters that change how the text around them is read (Unicode bidirectional formatting, UAX #9), and invisible ones
/// that let two different names look the same.
fn is_deceptive(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{200B}' | '\u{2060}' | '\u{FEFF}')
}

/// One line of text: trimmed, 1 to `max` characters, no control characters.
pub fn line(text: &str, max: usize) -> Result<String, Wrong> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return wrong(FaultCode::Required, "Must not be empty.");
    }
    if let Some(c) = trimmed.chars().find(|&c| c.is_control() || is_deceptive(c) || matches!(c, '\u{2028}' | '\u{2029}')) {
        return wrong(FaultCode::Invalid, format!("Must not contain control characters; it contains U+{:04X}.", u32::from(c)));
    }
    within(trimmed, max)
}

/// Text of several lines: trimmed, 1 to `max` characters, no control characters but line breaks and tabs.
pub fn paragraphs(text: &str, max: usize) -> Result<String, Wrong> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return wrong(FaultCode::Required, "Must not be empty.");
    }
    if let Some(c) = trimmed.chars().find(|&c| (c.is_control() && !matches!(c, '\n' | '\r' | '\t')) || is_deceptive(c)) {
        return wrong(FaultCode::Invalid, format!("Must not contain control characters; it contains U+{:04X}.", u32::from(c)));
    }
    within(trimmed, max)
}

fn within(text: &str, max: usize) -> Result<String, Wrong> {
    match text.chars().count() {
        length if length > max => wrong(FaultCode::TooLong, format!("Must be at most {max} characters long; it has {length}.")),
        _ => Ok(text.to_owned()),
    }
}

/// A mailbox (RFC 5321 §4.1.2) whose domain has at least two labels; no display name, no address literal, no quoted local part.
pub fn email(text: &str) -> Result<String, Wrong> {
    let text = line(text, 254)?;
    let options = Options::default().with_required_tld().without_display_text().without_domain_literal();
    // Judged as it is compared: letters that were typed as a letter and its accent are one.
    match EmailAddress::parse_with_options(&ComposingNormalizer::new_nfc().normalize(&text), options) {
        // A quoted local part may hold blanks and further at signs: what nobody has, and other programs stumble over.
        // What the DNS cannot have nobody can write to.
        Ok(address) if !text.contains('"') && idna::domain_to_ascii(address.domain()).is_ok() => Ok(text),
        _ => wrong(FaultCode::Invalid, format!("Must be an e-mail address such as name@example.com; {} is not.", quoted(&text))),
    }
}

/// An absolute `http` or `https` URL with a host and without credentials.
pub fn website(text: &str) -> Result<String, Wrong> {
    let text = line(text, 2_000)?;
    match Url::parse(&text) {
        Ok(url)
            if matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none() =>
        {
            Ok(url.to_string())
        }
        _ => wrong(FaultCode::Invalid, format!("Must be a web address such as https://example.com; {} is not.", quoted(&text))),
    }
}

/// A country's ISO 3166-1 alpha-2 code, in upper case.
///
/// Kosovo has none; its `XK` is of the codes that users may assign, and banks, the European Union and the CLDR have agreed on it.
pub fn country(text: &str) -> Result<String, Wrong> {
    let code = line(text, 60)?.to_ascii_uppercase();
    if code == "XK" || rust_iso3166::from_alpha2(&code).is_some() {
        return Ok(code);
    }
    wrong(FaultCode::Invalid, format!("Must be an ISO 3166-1 code of two letters such as DE; {} is not.", quoted(text)))
}

/// The instant of something that has happened: from the year 2000 on, and not further ahead than clocks may differ.
pub fn past(at: DateTime<Utc>, now: DateTime<Utc>) -> Result<DateTime<Utc>, Wrong> {
    if at > now + TimeDelta::days(1) || at.year() < 2000 {
        return wrong(
            FaultCode::OutOfRange,
            format!("Must be when it happened, from the year 2000 to now; it is {}.", clock::shown(at)),
        );
    }
    Ok(at)
}

/// An amount of money above zero.
pub fn positive_amount(value: Decimal, digits: u32) -> Result<Decimal, Wrong> {
    if value.is_zero() {
        return wrong(FaultCode::OutOfRange, "Must be above 0.");
    }
    amount(value, digits)
}

/// An amount of money: not negative, below 10^14, at most `digits` after the point.
pub fn amount(value: Decimal, digits: u32) -> Result<Decimal, Wrong> {
    if value.is_sign_negative() && !value.is_zero() || value >= MAX_AMOUNT {
        return wrong(FaultCode::OutOfRange, format!("Must be from 0 to below {MAX_AMOUNT}; it is {value}."));
    }
    if value.normalize().scale() > digits {
        return wrong(
            FaultCode::Invalid,
            format!("Must have at most {digits} digits after the point in this currency; {value} has more."),
        );
    }
    Ok(value)
}

/// A fraction from 0 to 1 with at most four digits after the point.
pub fn rate(value: Decimal) -> Result<Decimal, Wrong> {
    if value < Decimal::ZERO || value > Decimal::ONE {
        return wrong(FaultCode::OutOfRange, format!("Must be a fraction from 0 to 1 (0.1 is ten per cent); it is {value}."));
    }
    if value.normalize().scale() > 4 {
        return wrong(FaultCode::Invalid, format!("Must have at most four digits after the point; {value} has more."));
    }
    Ok(value)
}

/// An invite code of one's own choice: 3 to 32 letters, digits and inner dashes of ASCII.
pub fn invite_code(text: &str) -> Result<String, Wrong> {
    let code = line(text, 32)?;
    if code.len() < 3 {
        return wrong(FaultCode::TooShort, "Must have at least 3 characters.");
    }
    let is_inner = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if !code.chars().all(is_inner) || code.starts_with('-') || code.ends_with('-') {
        return wrong(
            FaultCode::Invalid,
            format!("Must be letters A to Z, digits and dashes between them; it is {}.", quoted(&code)),
        );
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each rule takes and what it refuses.
    #[test]
    fn rules() {
        assert_eq!(line("  Ada Lovelace ", 20).as_deref(), Ok("Ada Lovelace"));
        for bad in ["", "  ", "a\0b", "a\nb", "\u{202E}evil", "123456789012345678901"] {
            assert!(line(bad, 20).is_err(), "{bad:?}");
        }
        assert!(paragraphs("two\nlines", 20).is_ok() && paragraphs("bell\u{7}", 20).is_err());
        for good in ["ada@example.com", "a.b+c@sub.example.co.uk", "jürgen@example.de"] {
            assert!(email(good).is_ok(), "{good}");
        }
        for bad in [
            "ada",
            "ada@",
            "@example.com",
            "ada@localhost",
            "Ada <ada@example.com>",
            "ada@[127.0.0.1]",
            "a b@example.com",
            "\"a b\"@example.com",
        ] {
            assert!(email(bad).is_err(), "{bad}");
        }
        assert!(website("https://example.com/x").is_ok());
        for bad in ["example.com", "javascript:alert(1)", "ftp://example.com", "https://user:pw@example.com", "https://"] {
            assert!(website(bad).is_err(), "{bad}");
        }
        assert_eq!(country("de").as_deref(), Ok("DE"));
        assert_eq!(country("xk").as_deref(), Ok("XK"));
        assert!(country("XX").is_err() && country("Germany").is_err());
    }
}
