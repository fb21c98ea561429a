//! What a commission comes to: pure arithmetic in decimals, with every step on record, and rounded once, at the end.

use std::fmt;

use rust_decimal::Decimal;

use crate::money::Money;

/// One step of a tiered formula: the part of the month's base above `above`, up to the next step, earns `rate`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    /// Where it begins, exclusive of what lies below.
    pub above: Decimal,
    /// What it earns, as a fraction.
    pub rate: Decimal,
}

/// How an amount follows from a base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Terms {
    /// A share of the base.
    Percentage(Decimal),
    /// The same amount for each base.
    Flat(Decimal),
    /// Shares that depend on how much the partner's calendar month has brought already: marginal, as income tax is. Sorted.
    Tiered(Vec<Tier>),
}

/// Terms, and the most that one commission can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Formula {
    /// How the amount follows.
    pub terms: Terms,
    /// The most that it can be.
    pub cap: Option<Decimal>,
}

/// What a step of a calculation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, async_graphql::Enum)]
#[graphql(name = "CalculationStepKind")]
pub enum StepKind {
    /// A share of a part of the base.
    Share,
    /// A fixed amount.
    Flat,
    /// What is above the cap is taken off.
    Cap,
    /// Rounding to the currency's minor unit, half to even.
    Rounding,
}

/// One step. All steps' amounts together are the calculation's amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CalculationStep {
    /// What it does.
    pub kind: StepKind,
    /// The part of the base that it is about.
    pub base: Option<Decimal>,
    /// The rate, as a fraction.
    pub rate: Option<Decimal>,
    /// What it adds, not rounded; below zero for what it takes off.
    pub amount: Decimal,
}

/// A calculation: how it went and what came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calculation {
    /// The steps, in order.
    pub steps: Vec<CalculationStep>,
    /// The amount, in minor units.
    pub amount: Decimal,
}

impl Formula {
    /// A plain share.
    pub fn percentage(rate: Decimal) -> Self {
        Self { terms: Terms::Percentage(rate), cap: None }
    }

    /// What a base earns. `month_base` is what the partner's calendar month has brought before it, in the same currency; only
    /// tiered terms look at it.
    pub fn calculate(&self, base: Money, month_base: Decimal) -> Calculation {
        let share = |base: Decimal, rate: Decimal| CalculationStep {
            kind: StepKind::Share,
            base: Some(base),
            rate: Some(rate),
            amount: base * rate,
        };
        let steps = match &self.terms {
            Terms::Percentage(rate) => vec![share(base.amount, *rate)],
            Terms::Flat(amount) => vec![CalculationStep { kind: StepKind::Flat, base: None, rate: None, amount: *amount }],
            Terms::Tiered(tiers) => {
                let parts = tiers.iter().enumerate().map(|(index, tier)| {
                    let from = tier.above.max(month_base);
                    let whole = month_base + base.amount;
                    let to = tiers.get(index + 1).map_or(whole, |next| next.above.min(whole));
                    (to - from, tier.rate)
                });
                parts.filter(|(part, _)| *part > Decimal::ZERO).map(|(part, rate)| share(part, rate)).collect()
            }
        };
        self.settle(steps, base)
    }

    fn settle(&self, mut steps: Vec<CalculationStep>, base: Money) -> Calculation {
        let mut exact: Decimal = steps.iter().map(|step| step.amount).sum();
        if let Some(cap) = self.cap.filter(|cap| exact > *cap) {
            steps.push(CalculationStep { kind: StepKind::Cap, base: None, rate: None, amount: cap - exact });
            exact = cap;
        }
        let amount = Money::rounded(exact, base.currency).amount;
        if amount != exact {
            steps.push(CalculationStep { kind: StepKind::Rounding, base: None, rate: None, amount: amount - exact });
        }
        Calculation { steps, amount }
    }
}

impl Calculation {
    /// What comes to nothing.
    pub fn nothing(base: Money) -> Self {
        Self { steps: Vec::new(), amount: Money::rounded(Decimal::ZERO, base.currency).amount }
    }
}

/// A fraction as per cent: `0.125` is `12.5%`.
pub fn percent(rate: Decimal) -> String {
    format!("{}%", (rate * Decimal::ONE_HUNDRED).normalize())
}

impl fmt::Display for CalculationStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, self.base, self.rate) {
            (StepKind::Share, Some(base), Some(rate)) => write!(f, "{} of {}", percent(rate), base.normalize()),
            (StepKind::Flat, ..) => write!(f, "{} flat", self.amount.normalize()),
            (StepKind::Cap, ..) => write!(f, "less {} above the cap", -self.amount.normalize()),
            (StepKind::Share | StepKind::Rounding, ..) => write!(f, "rounded half to even by {}", self.amount.normalize()),
        }
    }
}

#[cfg(test)]
mod tests {
    use iso_currency::Currency;
    use proptest::prelude::*;

    use super::*;
    use crate::money::minor_units;

    fn decimal(text: &str) -> Decimal {
        text.parse().expect("a decimal")
    }

    fn tiers() -> Vec<Tier> {
        [("0", "0.1"), ("1000", "0.15"), ("5000", "0.2")]
            .map(|(above, rate)| Tier { above: decimal(above), rate: decimal(rate) })
            .to_vec()
    }

    fn usd(text: &str) -> Money {
        Money { amount: decimal(text), currency: Currency::USD }
    }

    /// Tiers are marginal: each part of the month's base earns the rate of the step that it falls into.
    #[test]
    fn tiers_are_marginal() {
        let formula = Formula { terms: Terms::Tiered(tiers()), cap: None };
        assert_eq!(formula.calculate(usd("6000.00"), Decimal::ZERO).amount, decimal("900.00"));
        let later = formula.calculate(usd("200.00"), decimal("900"));
        assert_eq!(later.amount, decimal("25.00"));
        let said: Vec<String> = later.steps.iter().map(ToString::to_string).collect();
        assert_eq!(said, ["10% of 100", "15% of 100"]);
    }

    /// A cap takes off what is above it, and says so.
    #[test]
    fn caps() {
        let formula = Formula { terms: Terms::Percentage(decimal("0.125")), cap: Some(decimal("50")) };
        let calculation = formula.calculate(usd("1000.00"), Decimal::ZERO);
        assert_eq!(calculation.amount, decimal("50.00"));
        let said: Vec<String> = calculation.steps.iter().map(ToString::to_string).collect();
        assert_eq!(said, ["12.5% of 1000", "less 75 above the cap"]);
    }

    fn currency() -> impl Strategy<Value = Currency> {
        prop_oneof![Just(Currency::USD), Just(Currency::JPY), Just(Currency::KWD)]
    }

    fn rate() -> impl Strategy<Value = Decimal> {
        (0_i64..=10_000).prop_map(|points| Decimal::new(points, 4))
    }

    /// An amount of whole minor units.
    fn amount(currency: Currency, units: i64) -> Money {
        Money { amount: Decimal::new(units, minor_units(currency)), currency }
    }

    fn formula() -> impl Strategy<Value = Formula> {
        let tiers = prop::collection::vec((1_i64..1_000_000, rate()), 1..5).prop_map(|steps| {
            let mut above = Decimal::ZERO;
            let tiers = steps.into_iter().map(|(width, rate)| {
                let tier = Tier { above, rate };
                above += Decimal::from(width);
                tier
            });
            Terms::Tiered(tiers.collect())
        });
        let terms = prop_oneof![
            rate().prop_map(Terms::Percentage),
            (0_i64..100_000).prop_map(|units| Terms::Flat(Decimal::from(units))),
            tiers
        ];
        let cap = prop::option::of((1_i64..1_000_000).prop_map(Decimal::from));
        (terms, cap).prop_map(|(terms, cap)| Formula { terms, cap })
    }

    proptest! {
        /// The steps together are the amount; it is whole minor units, never below zero and never above the cap.
        #[test]
        fn parts_sum_to_the_whole(formula in formula(), currency in currency(), units in 1_i64..1_000_000_000_000, month in 0_i64..10_000_000) {
            let base = amount(currency, units);
            let calculation = formula.calculate(base, Decimal::from(month));
            let sum: Decimal = calculation.steps.iter().map(|step| step.amount).sum();
            prop_assert_eq!(sum, calculation.amount);
            prop_assert_eq!(calculation.amount, Money::rounded(calculation.amount, currency).amount);
            prop_assert!(calculation.amount >= Decimal::ZERO);
            if let Some(cap) = formula.cap {
                prop_assert!(calculation.amount <= cap);
            }
        }

        /// A larger base never earns less.
        #[test]
        fn monotone(formula in formula(), currency in currency(), units in 1_i64..1_000_000_000, more in 0_i64..1_000_000_000, month in 0_i64..10_000_000) {
            let of = |units| formula.calculate(amount(currency, units), Decimal::from(month)).amount;
            prop_assert!(of(units) <= of(units + more));
        }

        /// Nothing at 0 per cent, the whole at 100, in every currency.
        #[test]
        fn exact_at_the_ends(currency in currency(), units in 1_i64..1_000_000_000_000, month in 0_i64..10_000_000) {
            let base = amount(currency, units);
            for (rate, expected) in [(Decimal::ZERO, Decimal::ZERO), (Decimal::ONE, base.amount)] {
                let tiers = vec![Tier { above: Decimal::ZERO, rate }, Tier { above: Decimal::from(5_000), rate }];
                for terms in [Terms::Percentage(rate), Terms::Tiered(tiers)] {
                    let amount = Formula { terms, cap: None }.calculate(base, Decimal::from(month)).amount;
                    prop_assert_eq!(amount, expected);
                }
            }
        }

        /// A base in two parts, one after the other in the month, earns what it earns as one, but for the rounding of each.
        #[test]
        fn tiers_do_not_care_how_the_base_is_cut(first in 1_i64..100_000_000, second in 1_i64..100_000_000, month in 0_i64..10_000_000) {
            let formula = Formula { terms: Terms::Tiered(tiers()), cap: None };
            let month = Decimal::from(month);
            let exact = |units, month| -> Decimal {
                let steps = formula.calculate(amount(Currency::USD, units), month).steps;
                steps.iter().filter(|step| step.kind == StepKind::Share).map(|step| step.amount).sum()
            };
            let apart = exact(first, month) + exact(second, month + Decimal::new(first, 2));
            prop_assert_eq!(apart, exact(first + second, month));
        }
    }
}
