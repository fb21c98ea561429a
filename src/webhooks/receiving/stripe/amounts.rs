//! Amounts as Stripe writes them: whole numbers of a unit that is mostly the currency's minor one.
//!
//! The exceptions are Stripe's own, and not those of ISO 4217: <https://docs.stripe.com/currencies>, sections "Zero-decimal", "Three-decimal" and
//! "Special cases".

use iso_currency::Currency;
use rust_decimal::Decimal;

use crate::{
    models::webhooks::inbox::Disposition,
    money::{Money, minor_units},
};

/// Whose amounts are whole units.
const WHOLE: [&str; 15] =
    ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"];
/// Whose amounts are hundredths that must be 00.
const WHOLE_IN_HUNDREDTHS: [&str; 2] = ["ISK", "UGX"];
/// Whose amounts are thousandths that end in 0.
const THOUSANDTHS: [&str; 5] = ["BHD", "JOD", "KWD", "OMR", "TND"];

/// The largest amount, in whole units: what is beyond it is no payment.
const LARGEST: i64 = 100_000_000_000;

/// The amount that a number stands for. What does not fit is parked, and never guessed; one below zero, or beyond all payments, has failed.
pub fn amount(number: i64, code: &str) -> Result<Money, Disposition> {
    let code = code.to_uppercase();
    let parked = |reason: String| Disposition::Parked { reason, waits_for: None };
    // Precious metals, funds and units of account are no currencies of payments.
    let Some(currency) = Currency::from_code(&code).filter(|currency| currency.exponent().is_some_and(|digits| digits <= 3))
    else {
        return Err(parked(format!("{code:?} is no currency that is known here (ISO 4217).")));
    };
    let (digits, step) = match code.as_str() {
        code if WHOLE.contains(&code) => (0, 1),
        code if WHOLE_IN_HUNDREDTHS.contains(&code) => (2, 100),
        code if THOUSANDTHS.contains(&code) => (3, 10),
        _ => (2, 1),
    };
    let amount = Decimal::new(number, digits).normalize();
    if number < 0 || amount > Decimal::from(LARGEST) {
        return Err(Disposition::Failed(format!("{amount} {code} can be no amount of a payment.")));
    }
    if number % step != 0 || amount.scale() > minor_units(currency) {
        return Err(parked(format!("{number} is no amount in {code} as Stripe writes them: it would be {amount} {code}.")));
    }
    Ok(Money { amount, currency })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Amounts of each kind of currency are read as Stripe writes them, and what cannot be one is parked.
    #[test]
    fn currencies() {
        let read = |number, code| amount(number, code).map(|money| money.amount.to_string());
        assert_eq!(read(1_050, "eur"), Ok("10.5".to_owned()));
        assert_eq!(read(1_050, "JPY"), Ok("1050".to_owned()));
        assert_eq!(read(1_000, "isk"), Ok("10".to_owned()));
        assert_eq!(read(500, "ugx"), Ok("5".to_owned()));
        assert_eq!(read(500, "mga"), Ok("500".to_owned()));
        assert_eq!(read(1_234, "huf"), Ok("12.34".to_owned()));
        assert_eq!(read(1_234, "twd"), Ok("12.34".to_owned()));
        assert_eq!(read(12_340, "kwd"), Ok("12.34".to_owned()));
        for (number, code) in [(-1, "eur"), (i64::MAX, "eur"), (i64::MIN, "jpy")] {
            assert!(matches!(amount(number, code), Err(Disposition::Failed(_))), "{number} {code}");
        }
        for (number, code) in
            [(1_050, "isk"), (1_050, "ugx"), (12_341, "kwd"), (100, "zzz"), (100, ""), (100, "xau"), (100, "clf"), (100, "xxx")]
        {
            assert!(matches!(amount(number, code), Err(Disposition::Parked { .. })), "{number} {code}");
        }
    }
}
