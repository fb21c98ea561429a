//! Numbers that are typed or pasted: of phones, bank accounts and taxes.

use iban::{Iban, ParseBaseIbanError, ParseIbanError};

use super::{FaultCode, Wrong, is_deceptive, line, quoted, wrong};

/// The text of a number as it is typed on a keyboard: every space a plain one, every dash a hyphen, and without the invisible
/// characters that set its direction. Web pages, address books and documents put them in, and people paste them.
fn typed(text: &str) -> String {
    let plain = text.chars().filter_map(|c| match c {
        '\t' | '\n' | '\r' => Some(c),
        '\u{200E}' | '\u{200F}' => None,
        c if is_deceptive(c) => None,
        c if c.is_whitespace() => Some(' '),
        '\u{2010}'..='\u{2015}' | '\u{2212}' => Some('-'),
        c => Some(c),
    });
    plain.collect::<String>().trim().to_owned()
}

/// A phone number: 6 to 15 digits (ITU-T E.164 §6.2) with an optional leading `+` and the usual separators, and after them an
/// extension where there is one: `ext. 12`, `x12`, `#12` or `;ext=12` (RFC 3966 §5.3).
pub fn phone(text: &str) -> Result<String, Wrong> {
    let text = line(&typed(text), 40)?;
    let (number, extension) = match text.find(|c: char| c.is_ascii_alphabetic() || matches!(c, '#' | ';' | ',')) {
        Some(end) => (&text[..end], Some(&text[end..])),
        None => (text.as_str(), None),
    };
    let body = number.strip_prefix('+').unwrap_or(number);
    let digits = body.chars().filter(char::is_ascii_digit).count();
    let separated = body.chars().all(|c| c.is_ascii_digit() || matches!(c, ' ' | '-' | '.' | '(' | ')' | '/'));
    if (6..=15).contains(&digits) && separated && extension.is_none_or(is_extension) {
        return Ok(text);
    }
    wrong(
        FaultCode::Invalid,
        format!(
            "Must be a phone number of 6 to 15 digits such as +49 30 901820, with an extension if need be such as ext. 12; {} is not.",
            quoted(&text)
        ),
    )
}

/// Whether it is the extension of a phone number: the word or sign for it, then 1 to 15 digits.
fn is_extension(text: &str) -> bool {
    let text = text.trim_start_matches([',', ' ']).to_ascii_lowercase();
    let mark = [";ext=", "extension", "ext.", "ext", "x.", "x", "#"].iter().find_map(|mark| text.strip_prefix(mark));
    let digits = mark.map(|digits| digits.trim_start_matches([' ', ':']));
    digits.is_some_and(|digits| (1..=15).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit()))
}

/// The number of a bank account: as [`account_number`] says, and an IBAN (ISO 13616) where it begins like one of a country that has them.
///
/// An IBAN is kept as it is printed, in groups of four. The text itself is never part of the message.
pub fn bank_account(text: &str) -> Result<String, Wrong> {
    let number = account_number(text)?;
    let compact: String = number.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase();
    let (compact, is_named) = compact.strip_prefix("IBAN").map_or((compact.as_str(), false), |rest| (rest, true));
    let begins_like_one = compact.len() > 4
        && compact.bytes().take(2).all(|letter| letter.is_ascii_alphabetic())
        && compact.bytes().skip(2).take(2).all(|digit| digit.is_ascii_digit());
    let is_iban = is_named || begins_like_one && has_ibans(&compact[..2]);
    if !is_iban {
        return Ok(number);
    }
    match compact.parse::<Iban>() {
        Ok(iban) => Ok(iban.to_string()),
        // One of a country that has joined since the library's list was made.
        Err(ParseIbanError::UnknownCountry(iban)) => Ok(iban.to_string()),
        Err(ParseIbanError::InvalidBban(_)) => {
            let country = &compact[..2];
            wrong(
                FaultCode::Invalid,
                format!("Must be as long as an IBAN of {country}, with letters and digits in their places."),
            )
        }
        Err(ParseIbanError::InvalidBaseIban { source: ParseBaseIbanError::InvalidChecksum }) => {
            wrong(FaultCode::Invalid, "Must be an IBAN without a slip of the pen; its check digits do not fit the rest.")
        }
        Err(ParseIbanError::InvalidBaseIban { .. }) => wrong(
            FaultCode::Invalid,
            "Must be an IBAN: two letters for the country, two check digits and at most 30 letters and digits.",
        ),
    }
}

/// Whether a country has IBANs. The library does not list them, and says that it does not know one only where the check digits fit.
fn has_ibans(country: &str) -> bool {
    (2..=98).any(|check| {
        let account = format!("{country}{check:02}00000000000");
        matches!(account.parse::<Iban>(), Ok(_) | Err(ParseIbanError::InvalidBban(_)))
    })
}

/// The number of an account or a tax id: 6 to 40 letters and digits, with spaces, dots, dashes and slashes between them.
///
/// The text itself is never part of the message. Six at least, so that the four that are shown leave something hidden.
pub fn account_number(text: &str) -> Result<String, Wrong> {
    let trimmed = typed(text);
    let significant = trimmed.chars().filter(char::is_ascii_alphanumeric).count();
    if trimmed.is_empty() {
        return wrong(FaultCode::Required, "Must not be empty.");
    }
    if trimmed.chars().any(|c| !c.is_ascii_alphanumeric() && !matches!(c, ' ' | '.' | '-' | '/')) {
        return wrong(FaultCode::Invalid, "Must consist of letters, digits, spaces, dots, dashes and slashes.");
    }
    match significant {
        0..6 => wrong(FaultCode::TooShort, "Must have at least 6 letters and digits."),
        6..=40 => Ok(trimmed),
        _ => wrong(FaultCode::TooLong, "Must have at most 40 letters and digits."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Phone numbers may have an extension, and are kept with plain spaces and hyphens.
    #[test]
    fn phones() {
        for (given, kept) in [
            ("+49 (30) 901-820", "+49 (30) 901-820"),
            ("\u{202A}+49\u{A0}30\u{202F}901\u{2011}820\u{202C}", "+49 30 901-820"),
            ("030/901820 ext. 12", "030/901820 ext. 12"),
            ("+1 212 555 0100, Ext 7", "+1 212 555 0100, Ext 7"),
            ("212-555-0100 x123456", "212-555-0100 x123456"),
            ("+12125550100;ext=99", "+12125550100;ext=99"),
            ("2125550100 #4", "2125550100 #4"),
            ("123456", "123456"),
            ("123456789012345", "123456789012345"),
        ] {
            assert_eq!(phone(given).as_deref(), Ok(kept), "{given}");
        }
        for bad in [
            "12345",
            "1234567890123456",
            "call me",
            "1+234567",
            "12345 ext. 67",
            "123456 ext.",
            "123456 ext 1 ext 2",
            "123456 ext 1234567890123456",
            "123456 extra 1",
            "123456\n7",
        ] {
            assert!(phone(bad).is_err(), "{bad}");
        }
    }

    /// What begins like an IBAN is one, with all its digits right; other numbers of accounts are taken as they are.
    #[test]
    fn bank_accounts() {
        for (given, kept) in [
            ("DE89 3704 0044 0532 0130 00", "DE89 3704 0044 0532 0130 00"),
            ("de89370400440532013000", "DE89 3704 0044 0532 0130 00"),
            ("IBAN DE89-3704-0044-0532-0130-00", "DE89 3704 0044 0532 0130 00"),
            ("\u{FEFF}DE89\u{A0}3704\u{A0}0044\u{A0}0532\u{A0}0130\u{A0}00", "DE89 3704 0044 0532 0130 00"),
            ("NO93 8601 1117 947", "NO93 8601 1117 947"),
            ("XK05 1212 0123 4567 8906", "XK05 1212 0123 4567 8906"),
            ("026009593 1234-5678", "026009593 1234-5678"),
            ("US12 345678", "US12 345678"),
            ("AB-123456", "AB-123456"),
        ] {
            assert_eq!(bank_account(given).as_deref(), Ok(kept), "{given}");
        }
        for bad in [
            "DE89 3704 0044 0532 0130 01",
            "DE98 3704 0044 0532 0130 00",
            "DE89 3704 0044 0532 0130",
            "DE89 3704 0044 0532 0130 000",
            "FR14 2004 1010",
            "IBAN 12345678",
            "IBAN US12 345678",
            "12345",
            "a<b>cdefgh",
        ] {
            let error = bank_account(bad).expect_err(bad);
            assert!(!error.message.contains(bad), "{}", error.message);
        }
    }

    /// Numbers of accounts have letters, digits and what separates them; a refused one is not repeated.
    #[test]
    fn account_numbers_are_not_echoed() {
        assert!(
            account_number("DE 123-456-789").is_ok() && account_number("12345").is_err() && account_number("a<b>cdefgh").is_err()
        );
        let error = account_number("secret#123456").expect_err("a number sign");
        assert!(!error.message.contains("secret"));
    }
}
