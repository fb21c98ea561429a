//! Money: an exact decimal amount in one currency, and the only function that rounds one.

use iso_currency::Currency;
use rust_decimal::{Decimal, RoundingStrategy};

/// The largest amount that the database takes, exclusive; numeric(19,4) holds a little more.
pub const MAX_AMOUNT: Decimal = Decimal::from_parts(276_447_232, 23_283, 0, false, 0);

/// An amount in one currency. Never a float on any way in or out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Money {
    /// How much, in the currency's major unit.
    pub amount: Decimal,
    /// In which currency (ISO 4217).
    pub currency: Currency,
}

/// The number of digits after the point that the currency is paid in (ISO 4217: JPY 0, USD 2, KWD 3), four at most.
pub fn minor_units(currency: Currency) -> u32 {
    currency.exponent().map_or(2, u32::from).min(4)
}

/// The currency of a stored code. Every code that is stored has been one, so anything else is a fault of the data.
pub fn stored_currency(code: &str) -> diesel::QueryResult<Currency> {
    let unknown = || diesel::result::Error::DeserializationError(format!("{code:?} is no ISO 4217 code").into());
    Currency::from_code(code).ok_or_else(unknown)
}

/// The decimal number that a text names: digits, with a minus before them and a point among them where there is one. `None` for anything
/// else: `.5`, `5.`, `+5`, `5e3`, `1_000`, and what has more than 28 digits.
pub fn decimal(text: &str) -> Option<Decimal> {
    let mut parts = text.strip_prefix('-').unwrap_or(text).split('.');
    let plain = parts.all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    if plain { Decimal::from_str_exact(text).ok() } else { None }
}

impl Money {
    /// Rounds to the currency's minor unit, half to even, and pads to it: `1.005 USD` is `1.00`, `2 USD` is `2.00`.
    pub fn rounded(amount: Decimal, currency: Currency) -> Self {
        let digits = minor_units(currency);
        let mut amount = amount.round_dp_with_strategy(digits, RoundingStrategy::MidpointNearestEven);
        amount.rescale(digits);
        if amount.is_zero() {
            // A decimal's zero has a sign of its own, which `-0.00` would show.
            amount.set_sign_positive(true);
        }
        Self { amount, currency }
    }

    /// The parts of this amount, which is not negative and in whole minor units, by the largest remainder: each is its share rounded down, and the
    /// minor units that are left go to those of which the most was cut off, of equal ones to the first. The shares sum to 1, and the parts to
    /// this amount.
    pub fn divide(self, shares: &[Decimal]) -> Vec<Self> {
        let digits = minor_units(self.currency);
        let unit = Decimal::new(1, digits);
        let exact: Vec<Decimal> = shares.iter().map(|share| self.amount * share).collect();
        let mut parts: Vec<Decimal> =
            exact.iter().map(|part| part.round_dp_with_strategy(digits, RoundingStrategy::ToZero)).collect();
        let mut by_remainder: Vec<usize> = (0..parts.len()).collect();
        by_remainder.sort_by_key(|&index| std::cmp::Reverse(exact[index] - parts[index]));
        let mut left = self.amount - parts.iter().sum::<Decimal>();
        for index in by_remainder {
            if left < unit {
                break;
            }
            parts[index] += unit;
            left -= unit;
        }
        parts.into_iter().map(|part| Self::rounded(part, self.currency)).collect()
    }

    /// What a share of this amount is, rounded. `rate` is a fraction: `0.1` is ten per cent.
    ///
    /// `None` where the product exceeds what a decimal holds.
    pub fn share(self, rate: Decimal) -> Option<Self> {
        Some(Self::rounded(self.amount.checked_mul(rate)?, self.currency))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn money(text: &str, currency: Currency) -> String {
        Money::rounded(text.parse().expect("a decimal"), currency).amount.to_string()
    }

    /// The bound is what the tables' CHECK says.
    #[test]
    fn bound() {
        assert_eq!(MAX_AMOUNT.to_string(), "100000000000000");
    }

    /// Half goes to the even neighbour, at each currency's own minor unit.
    #[test]
    fn half_to_even() {
        assert_eq!(money("1.005", Currency::USD), "1.00");
        assert_eq!(money("1.015", Currency::USD), "1.02");
        assert_eq!(money("2", Currency::USD), "2.00");
        assert_eq!(money("100.5", Currency::JPY), "100");
        assert_eq!(money("1.0005", Currency::KWD), "1.000");
        assert_eq!(money("-0.004", Currency::USD), "0.00");
    }

    proptest! {
        /// A share is never more than the whole, is exact at 0 and 1, and never decreases as the rate grows.
        #[test]
        fn share_is_a_share(cents in 0_i64..10_000_000_000, low in 0_i64..=10_000, step in 0_i64..=10_000) {
            let whole = Money::rounded(Decimal::new(cents, 2), Currency::USD);
            let rate = |points: i64| Decimal::new(points.min(10_000), 4);
            let of = |points| whole.share(rate(points)).map(|m| m.amount);
            prop_assert!(of(low) <= of(low + step));
            prop_assert!(of(low) <= Some(whole.amount));
            prop_assert_eq!(of(0), Some(Decimal::ZERO));
            prop_assert_eq!(of(10_000), Some(whole.amount));
        }

        /// Parts sum to the whole, and none is a minor unit or more away from its share.
        #[test]
        fn parts_sum_to_the_whole(units in 0_i64..10_000_000_000, cuts in prop::collection::vec(0_i64..=10_000, 0..6), currency in 0_usize..3) {
            let currency = [Currency::USD, Currency::JPY, Currency::KWD][currency];
            let unit = Decimal::new(1, minor_units(currency));
            let whole = Money::rounded(Decimal::from(units) * unit, currency);
            let mut cuts = cuts;
            cuts.extend([0, 10_000]);
            cuts.sort_unstable();
            let shares: Vec<Decimal> = cuts.windows(2).map(|pair| Decimal::new(pair[1] - pair[0], 4)).collect();
            let parts = whole.divide(&shares);
            prop_assert_eq!(parts.iter().map(|part| part.amount).sum::<Decimal>(), whole.amount);
            for (part, share) in parts.iter().zip(&shares) {
                prop_assert!((part.amount - whole.amount * share).abs() < unit);
            }
        }
    }
}
