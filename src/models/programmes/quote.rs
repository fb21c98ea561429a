//! What the commission-rate service says of a shop.

use chrono::{DateTime, Utc};
use iso_currency::Currency;

use crate::models::commissions::calculation::Terms;

/// What is known of a shop's rate before its programme is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Quote {
    /// The service is to be asked, if the shop has no programme yet.
    Unasked,
    /// There is no answer: no service is set, or it did not answer.
    Unanswered,
    /// The service knows no rate.
    NoRate,
    /// The rate.
    Rate(QuotedRate),
}

/// A rate that the service knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotedRate {
    /// A share, or an amount for each payment.
    pub terms: Terms,
    /// The currency of the amount; for a share, the one whose payments it is for, or `None` for all.
    pub currency: Option<Currency>,
    /// Until when the service stands by it.
    pub until: Option<DateTime<Utc>>,
    /// The answer, as it was sent.
    pub answer: String,
}
