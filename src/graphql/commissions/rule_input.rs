//! A commission rule as people enter it, for setting and for trying it out.

use async_graphql::InputObject;
use chrono::Utc;
use iso_currency::Currency;
use rust_decimal::Decimal as Number;
use serde_json::{Value, json};

use crate::{
    clock::shown,
    graphql::engine::scalars::{CurrencyCode, DateTime, Decimal},
    ids::{PartnerId, ProgrammeId},
    models::commissions::{
        calculation::{Formula, Terms, Tier},
        rule::{NewRule, RuleKind},
    },
    money::minor_units,
    validation::{FaultCode, Faults, Wrong, amount, positive_amount, rate},
};

/// The most steps of a tiered rule.
const MAX_TIERS: usize = 20;
/// The longest duration: a hundred years.
const MAX_MONTHS: i32 = 1_200;

/// A rule by which commissions are calculated.
#[derive(InputObject, Clone)]
pub struct CommissionRuleInput {
    /// Whose rule it is. Left out for one of all partners.
    partner_id: Option<PartnerId>,
    /// For which programme: for payments of customers that came by its links. Left out for all.
    programme_id: Option<ProgrammeId>,
    /// For which currency. Only a plain `PERCENTAGE` without a cap can be for every one, and is where this is left out.
    currency: Option<CurrencyCode>,
    /// How it makes an amount of a payment.
    kind: RuleKind,
    /// The share of a `PERCENTAGE` rule, as a fraction: "0.1000" is ten per cent.
    rate: Option<Decimal>,
    /// The amount of a `FLAT` rule.
    flat_amount: Option<Decimal>,
    /// The steps of a `TIERED` rule: the first above 0, then rising; at most 20.
    tiers: Option<Vec<CommissionTierInput>>,
    /// The most that one commission can be.
    cap: Option<Decimal>,
    /// For how many months after a customer's first payment it earns; for ever where it is left out.
    duration_months: Option<i32>,
    /// From when it holds; from now on where it is left out.
    valid_from: Option<DateTime>,
    /// Until when it holds, exclusive; without an end where it is left out.
    valid_to: Option<DateTime>,
}

/// A step of a tiered rule.
#[derive(InputObject, Clone)]
struct CommissionTierInput {
    /// The step is for the part of a calendar month's payments that lies above this amount, up to the next step.
    above: Decimal,
    /// The share that it earns, as a fraction.
    rate: Decimal,
}

/// The paths of an input's fields: faults name them as they stand in the operation.
struct Paths {
    currency: &'static str,
    rate: &'static str,
    flat_amount: &'static str,
    tiers: &'static str,
    cap: &'static str,
    duration_months: &'static str,
    valid_to: &'static str,
}

macro_rules! paths {
    ($argument:literal) => {
        Paths {
            currency: concat!($argument, ".currency"),
            rate: concat!($argument, ".rate"),
            flat_amount: concat!($argument, ".flatAmount"),
            tiers: concat!($argument, ".tiers"),
            cap: concat!($argument, ".cap"),
            duration_months: concat!($argument, ".durationMonths"),
            valid_to: concat!($argument, ".validTo"),
        }
    };
}

impl CommissionRuleInput {
    /// All that is asked for, field by field.
    pub fn request(&self) -> [(&'static str, Value); 11] {
        let number = |number: &Option<Decimal>| json!(number.as_ref().map(|number| number.0.normalize().to_string()));
        let time = |time: &Option<DateTime>| json!(time.as_ref().map(|time| shown(time.0)));
        let tiers = self.tiers.as_ref().map(|tiers| {
            let tier = |tier: &CommissionTierInput| [tier.above.0.normalize().to_string(), tier.rate.0.normalize().to_string()];
            tiers.iter().map(tier).collect::<Vec<_>>()
        });
        [
            ("partnerId", json!(self.partner_id.map(|id| id.to_string()))),
            ("programmeId", json!(self.programme_id.map(|id| id.to_string()))),
            ("currency", json!(self.currency.as_ref().map(|code| code.0.code()))),
            ("kind", json!(self.kind.as_str())),
            ("rate", number(&self.rate)),
            ("flatAmount", number(&self.flat_amount)),
            ("tiers", json!(tiers)),
            ("cap", number(&self.cap)),
            ("durationMonths", json!(self.duration_months)),
            ("validFrom", time(&self.valid_from)),
            ("validTo", time(&self.valid_to)),
        ]
    }

    /// The rule, or everything that is wrong with it. `argument` is what the operation calls it: `input` or `rule`.
    pub fn checked(self, argument: &str, now: chrono::DateTime<Utc>) -> Result<NewRule, Faults> {
        let paths = if argument == "rule" { paths!("rule") } else { paths!("input") };
        let mut faults = Faults::default();
        let currency = self.currency.map(|code| code.0);
        if currency.is_none() && (self.kind != RuleKind::Percentage || self.cap.is_some()) {
            faults.add(paths.currency, FaultCode::Required, "Name the currency of the rule's amounts.");
        }
        let digits = currency.map_or(4, minor_units);
        let cap = self.cap.as_ref().and_then(|cap| faults.check(paths.cap, positive_amount(cap.0, digits)));
        let terms = self.terms(&paths, currency, &mut faults);
        if let Some(months) = self.duration_months.filter(|months| !(1..=MAX_MONTHS).contains(months)) {
            let message = format!("Must be from 1 to {MAX_MONTHS} months; it is {months}.");
            faults.add(paths.duration_months, FaultCode::OutOfRange, message);
        }
        let valid_from = self.valid_from.map_or(now, |time| time.0);
        let valid_to = self.valid_to.map(|time| time.0);
        if valid_to.is_some_and(|end| end <= valid_from) {
            faults.add(paths.valid_to, FaultCode::OutOfRange, "Must be after the instant from which the rule holds.");
        }
        let (Some(terms), true) = (terms, faults.is_empty()) else { return Err(faults) };
        let formula = Formula { terms, cap };
        let duration_months = self.duration_months;
        let (partner_id, programme_id) = (self.partner_id, self.programme_id);
        Ok(NewRule { partner_id, programme_id, currency, formula, duration_months, valid_from, valid_to })
    }

    /// What the kind needs must be given, and nothing else.
    fn terms(&self, paths: &Paths, currency: Option<Currency>, faults: &mut Faults) -> Option<Terms> {
        let given = [
            (RuleKind::Percentage, paths.rate, self.rate.is_some()),
            (RuleKind::Flat, paths.flat_amount, self.flat_amount.is_some()),
            (RuleKind::Tiered, paths.tiers, self.tiers.is_some()),
        ];
        for (kind, path, is_given) in given {
            match (kind == self.kind, is_given) {
                (true, false) => faults.add(path, FaultCode::Required, "A rule of this kind needs it."),
                (false, true) => faults.add(path, FaultCode::Invalid, "A rule of this kind has none; leave it out."),
                (true, true) | (false, false) => {}
            }
        }
        let digits = currency.map_or(4, minor_units);
        match self.kind {
            RuleKind::Percentage => faults.check(paths.rate, rate(self.rate?.0)).map(Terms::Percentage),
            RuleKind::Flat => faults.check(paths.flat_amount, amount(self.flat_amount?.0, digits)).map(Terms::Flat),
            RuleKind::Tiered => tiers(self.tiers.as_deref()?, paths.tiers, digits, faults).map(Terms::Tiered),
        }
    }
}

fn tiers(given: &[CommissionTierInput], path: &'static str, digits: u32, faults: &mut Faults) -> Option<Vec<Tier>> {
    if !(1..=MAX_TIERS).contains(&given.len()) {
        faults.add(path, FaultCode::OutOfRange, format!("Must be 1 to {MAX_TIERS} steps; there are {}.", given.len()));
        return None;
    }
    let mut tiers = Vec::with_capacity(given.len());
    for (number, step) in (1..).zip(given) {
        let named = |wrong: Wrong| Wrong { message: format!("Step {number}: {}", wrong.message), ..wrong };
        let above = faults.check(path, amount(step.above.0, digits).map_err(named));
        let rate = faults.check(path, rate(step.rate.0).map_err(named));
        tiers.extend(above.zip(rate).map(|(above, rate)| Tier { above, rate }));
    }
    if tiers.len() < given.len() {
        return None;
    }
    if tiers[0].above != Number::ZERO || tiers.windows(2).any(|pair| pair[0].above >= pair[1].above) {
        faults.add(path, FaultCode::Invalid, "The first step must be above 0, and each further one above the one before it.");
        return None;
    }
    Some(tiers)
}
