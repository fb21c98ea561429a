//! What takes payments back, and how much of an invoice that is.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use rust_decimal::Decimal;

use crate::{db::schema::processor_reversals, money::Money};

crate::pg_enum! {
    /// What takes money back.
    pub enum ReversalKind {
        /// A charge, which says how much of it has been refunded in all.
        Charge = "charge",
        /// One refund.
        Refund = "refund",
        /// A customer who disputes a charge at the bank.
        Dispute = "dispute",
    }
}

/// The state of an object that takes money back, as one report has it.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = processor_reversals)]
pub struct Reversal {
    /// The object's id.
    pub object_id: String,
    /// The payment that it takes back.
    pub payment_id: String,
    /// What it is.
    pub kind: ReversalKind,
    /// In which currency.
    pub currency: String,
    /// How much it takes back.
    pub amount: Decimal,
    /// Whether the money is gone.
    pub is_taken: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was so.
    pub as_of: DateTime<Utc>,
    /// Which of two reports of one second is the later.
    pub step: i32,
}

/// How much is withdrawn of an invoice: what disputes withdraw, and of each payment what its refunds do, or what its charges say they do, whichever is more.
/// A charge still counts a refund that has failed after it was reported.
pub(super) fn withdrawn(reversals: &[Reversal]) -> Decimal {
    let of = |kind| reversals.iter().filter(move |state| state.kind == kind);
    let sum = |kind| -> Decimal { of(kind).filter(|state| state.is_taken).map(|state| state.amount).sum() };
    let mut payments: Vec<&str> = reversals.iter().map(|state| state.payment_id.as_str()).collect();
    payments.sort_unstable();
    payments.dedup();
    let refunded = |payment: &str| -> Decimal {
        let refunds = || of(ReversalKind::Refund).filter(|state| state.payment_id == payment);
        let alone: Decimal = refunds().filter(|state| state.is_taken).map(|state| state.amount).sum();
        let by_charges: Decimal = of(ReversalKind::Charge)
            .filter(|charge| charge.payment_id == payment)
            .map(|charge| {
                let has_counted =
                    |refund: &&Reversal| !refund.is_taken && refund.created_at <= charge.as_of && charge.as_of <= refund.as_of;
                charge.amount - refunds().filter(has_counted).map(|refund| refund.amount).sum::<Decimal>()
            })
            .sum();
        alone.max(by_charges)
    };
    payments.into_iter().map(refunded).sum::<Decimal>() + sum(ReversalKind::Dispute)
}

/// The part of what is earned by that is withdrawn, where so much is withdrawn of what was paid: all where all is.
pub(super) fn commission_base_part(taken: Decimal, paid: Decimal, base: Money) -> Money {
    if taken >= paid || paid.is_zero() {
        return base;
    }
    Money::rounded(base.amount * taken.max(Decimal::ZERO) / paid, base.currency)
}

#[cfg(test)]
mod tests {
    use iso_currency::Currency;

    use super::*;

    fn state(id: &str, kind: ReversalKind, amount: i64, is_taken: bool, created: i64, as_of: i64) -> Reversal {
        let time = |seconds| DateTime::from_timestamp(seconds, 0).expect("a time");
        Reversal {
            object_id: id.to_owned(),
            payment_id: "pi_1".to_owned(),
            kind,
            currency: "EUR".to_owned(),
            amount: amount.into(),
            is_taken,
            created_at: time(created),
            as_of: time(as_of),
            step: 0,
        }
    }

    /// A refund counts once, whether it is reported by itself, by its charge, or by both; one that failed does not, also where a charge has counted it
    /// before; a dispute counts beside them.
    #[test]
    fn what_is_withdrawn() {
        use ReversalKind::{Charge, Dispute, Refund};
        let refund = state("re_1", Refund, 30, true, 10, 10);
        let charge = state("ch_1", Charge, 30, true, 0, 11);
        assert_eq!(withdrawn(std::slice::from_ref(&refund)), 30.into());
        assert_eq!(withdrawn(std::slice::from_ref(&charge)), 30.into());
        assert_eq!(withdrawn(&[refund, charge.clone()]), 30.into());
        let failed = state("re_1", Refund, 30, false, 10, 20);
        assert_eq!(withdrawn(&[failed.clone(), charge]), 0.into());
        let later = state("ch_1", Charge, 12, true, 0, 25);
        assert_eq!(withdrawn(&[failed, later.clone()]), 12.into());
        assert_eq!(withdrawn(&[later, state("dp_1", Dispute, 50, true, 5, 5)]), 62.into());
        assert_eq!(withdrawn(&[]), 0.into());
    }

    /// The part that is taken back is of what is earned by, and never more.
    #[test]
    fn part_of_the_base() {
        let base = Money { amount: 100.into(), currency: Currency::EUR };
        assert_eq!(commission_base_part(60.into(), 120.into(), base).amount, 50.into());
        assert_eq!(commission_base_part(130.into(), 120.into(), base).amount, 100.into());
        assert_eq!(commission_base_part(0.into(), 120.into(), base).amount, 0.into());
    }
}
