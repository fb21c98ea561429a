//! Why a commission is what it is: recalculated from what it has pinned, as data and as one sentence.

use iso_currency::Currency;
use rust_decimal::Decimal;

use super::{
    calculation::{Calculation, CalculationStep, Formula, Terms, percent},
    commission::{Commission, CommissionEventType},
    rate::Assessment,
    refund::reversal_target,
    rule::{RateSource, Rule},
    split::CommissionSplit,
};
use crate::money::Money;

/// Why an amount is what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Where its rate comes from.
    pub source: RateSource,
    /// The version of the rule that made it.
    pub rule: Option<Rule>,
    /// What it is a share of.
    pub base: Option<Decimal>,
    /// The rate, where there is a single one.
    pub rate: Option<Decimal>,
    /// For tiers: what the partner's month had brought before.
    pub month_base: Option<Decimal>,
    /// The steps, whose amounts together are the amount.
    pub steps: Vec<CalculationStep>,
    /// The amount.
    pub amount: Money,
    /// All of it in one sentence.
    pub sentence: String,
}

/// An amount with its currency, in minor units.
pub(in crate::models) fn shown(amount: Decimal, currency: Currency) -> String {
    format!("{} {}", Money::rounded(amount, currency).amount, currency.code())
}

impl Explanation {
    /// What a payment would earn, and why.
    pub fn of_assessment(assessment: Assessment, base: Money) -> Self {
        let sentence = sentence(&assessment, base);
        let Assessment { source, rule, rate, month_base, calculation, .. } = assessment;
        let amount = Money { amount: calculation.amount, currency: base.currency };
        Self { source, rule, base: Some(base.amount), rate, month_base, steps: calculation.steps, amount, sentence }
    }

    /// Why a commission is what it is. `rule` and `original` are those that it names, `split` says of which whole it is a part; `None` where they
    /// are not to be had, and where it is none.
    pub fn of_commission(
        commission: &Commission,
        rule: Option<Rule>,
        original: Option<&Commission>,
        split: Option<&CommissionSplit>,
        amount: Money,
    ) -> Self {
        let Some(split) = split else { return Self::of_whole(commission, rule, original, amount) };
        let whole = Money { amount: split.whole, ..amount };
        let explained = Self::of_whole(commission, rule, original, whole);
        let (part, of_it) = (percent(split.share), shown(amount.amount, amount.currency));
        let sentence = format!("{} Of that, {part}, as the link is shared: {of_it}.", explained.sentence);
        Self { amount, sentence, ..explained }
    }

    /// Why a commission is what it is, or what it is a part of.
    pub fn of_whole(commission: &Commission, rule: Option<Rule>, original: Option<&Commission>, amount: Money) -> Self {
        let currency = amount.currency;
        let whole = |source, sentence: String| Self {
            source,
            rule: None,
            base: commission.base,
            rate: commission.rate,
            month_base: None,
            steps: Vec::new(),
            amount,
            sentence,
        };
        let base = Money { amount: commission.base.unwrap_or_default(), currency };
        if commission.source == RateSource::Imported {
            let whence = commission.notes.as_deref().unwrap_or_default();
            return whole(
                commission.source,
                format!("{}, as another system calculated it. {whence}", shown(amount.amount, currency)),
            );
        }
        match (commission.event_type, commission.rate, rule) {
            (CommissionEventType::InvoicePayment | CommissionEventType::Split, _, Some(rule)) => {
                let month_base = commission.month_base.unwrap_or_default();
                Self::of_assessment(Assessment::by_rule(rule, base, month_base, commission.is_past_duration), base)
            }
            (
                CommissionEventType::InvoicePayment | CommissionEventType::Split | CommissionEventType::LeadConversion,
                Some(rate),
                None,
            ) if commission.rule_id.is_none() => Self::of_assessment(Assessment::by_rate(commission.source, rate, base), base),
            (CommissionEventType::LeadConversion, ..) => {
                whole(commission.source, format!("An operator set {} for this lead.", shown(amount.amount, currency)))
            }
            (CommissionEventType::Refund, ..) => whole(commission.source, taken_back(commission, original, currency)),
            (CommissionEventType::Wallet, ..) => {
                whole(commission.source, format!("{} taken out of an affiliate's wallet.", shown(amount.amount, currency)))
            }
            (CommissionEventType::Adjustment | CommissionEventType::Imported, ..) => {
                let (what, much) = if commission.amount.is_sign_negative() {
                    ("took off", -commission.amount)
                } else {
                    ("added", commission.amount)
                };
                let reason = commission.notes.as_deref().unwrap_or_default();
                whole(commission.source, format!("An operator {what} {}: {reason}", shown(much, currency)))
            }
            (CommissionEventType::InvoicePayment | CommissionEventType::Split, _, None) => {
                whole(commission.source, format!("{} by a rule that is not yours to see.", shown(amount.amount, currency)))
            }
        }
    }
}

fn taken_back(reversal: &Commission, original: Option<&Commission>, currency: Currency) -> String {
    let refunded = reversal.base.unwrap_or_default();
    let is_less = !reversal.amount.is_sign_negative();
    let Some(original) = original else {
        let what = if is_less { "is refunded after all" } else { "was refunded" };
        return format!("{} {what}.", shown(refunded, currency));
    };
    let target = reversal_target(original, refunded, currency);
    let before = target + reversal.amount;
    if is_less {
        return format!(
            "Of {} only {} is refunded after all, so {} of the commission of {} is taken back where it was {} before: {}.",
            shown(original.base.unwrap_or_default(), currency),
            shown(refunded, currency),
            shown(target, currency),
            shown(original.amount, currency),
            shown(before, currency),
            shown(reversal.amount, currency)
        );
    }
    let before = if before.is_zero() { String::new() } else { format!(", {} of it before", shown(before, currency)) };
    format!(
        "{} of {} has been refunded, so {} of the commission of {} is taken back{before}: {}.",
        shown(refunded, currency),
        shown(original.base.unwrap_or_default(), currency),
        shown(target, currency),
        shown(original.amount, currency),
        shown(reversal.amount, currency)
    )
}

fn sentence(assessment: &Assessment, base: Money) -> String {
    let currency = base.currency;
    let by = match (assessment.source, &assessment.rule) {
        (RateSource::EnrolmentRule, Some(rule)) => format!("version {} of the partner's rule in this programme", rule.version),
        (RateSource::PartnerRule, Some(rule)) => format!("version {} of the partner's rule", rule.version),
        (RateSource::ProgrammeRule, Some(rule)) => format!("version {} of the programme's rule", rule.version),
        (RateSource::TenantRule, Some(rule)) => format!("version {} of the rule for all partners", rule.version),
        (RateSource::CustomerRate, _) => "the customer's own rate".to_owned(),
        (RateSource::Lead, _) => "the rate at which the lead was sent".to_owned(),
        _ => "the partner's default rate".to_owned(),
    };
    if let (true, Some(rule)) = (assessment.is_past_duration, &assessment.rule) {
        let months = rule.duration_months.unwrap_or_default();
        return format!(
            "Nothing is earned: {by} holds for {months} months from the customer's first payment, and they have passed."
        );
    }
    let Calculation { steps, amount } = &assessment.calculation;
    let steps: Vec<String> = steps.iter().map(ToString::to_string).collect();
    let month = match assessment.month_base {
        Some(before) => format!(", after {} in the same month", shown(before, currency)),
        None => String::new(),
    };
    let what = if assessment.source == RateSource::Lead { "deal" } else { "payment" };
    let (steps, of, amount) = (steps.join(", "), shown(base.amount, currency), shown(*amount, currency));
    format!("{steps}, by {by}, for a {what} of {of}{month}: {amount}.")
}

impl Formula {
    /// What it says, in a few words.
    pub fn describe(&self, currency: Option<&str>) -> String {
        let unit = currency.map(|code| format!(" {code}")).unwrap_or_default();
        let terms = match &self.terms {
            Terms::Percentage(rate) => percent(*rate),
            Terms::Flat(amount) => format!("{}{unit} for each payment", amount.normalize()),
            Terms::Tiered(tiers) => {
                let steps: Vec<String> =
                    tiers.iter().map(|tier| format!("{} above {}{unit}", percent(tier.rate), tier.above.normalize())).collect();
                format!("{} in a month", steps.join(", "))
            }
        };
        match self.cap {
            Some(cap) => format!("{terms}, at most {}{unit}", cap.normalize()),
            None => terms,
        }
    }
}
