//! Tapfiliate: the answers of its API, version 1.6.

use crate::{
    imports::history::source::{Field, FileFacts, MoneyForm, NumericTime, SourceFacts, may, must},
    models::imports::facts::ImportKind,
};

/// Amounts are decimals in the major unit. Commissions are lists within conversions; what is approved is not paid: payments say what is, and not of which
/// commissions.
pub const TAPFILIATE: SourceFacts = SourceFacts {
    name: "tapfiliate",
    money: MoneyForm::Major,
    money_in_csv: MoneyForm::Major,
    numeric_time: NumericTime::Either,
    currency: None,
    has_users: false,
    files: &[
        FileFacts::of(
            &["affiliates"],
            ImportKind::Partner,
            &[
                must(Field::Id, &["id"]),
                may(Field::FirstName, &["firstname"]),
                may(Field::LastName, &["lastname"]),
                may(Field::Company, &["company.name"]),
                must(Field::Email, &["email"]),
                may(Field::At, &["created_at"]),
            ],
        )
        .required(),
        FileFacts::of(
            &["affiliations"],
            ImportKind::Link,
            &[
                must(Field::Id, &["id", "affiliate.id"]),
                must(Field::Url, &["referral_link.link"]),
                may(Field::Key, &["referral_link.referral_code", "affiliate.id"]),
                must(Field::Partner, &["affiliate.id"]),
                may(Field::At, &["created_at"]),
            ],
        ),
        FileFacts::of(
            &["customers"],
            ImportKind::Customer,
            &[
                must(Field::Id, &["id"]),
                may(Field::Customer, &["customer_id"]),
                may(Field::Partner, &["affiliate.id"]),
                may(Field::At, &["created_at"]),
            ],
        ),
        FileFacts::of(
            &["payments"],
            ImportKind::Payout,
            &[
                must(Field::Id, &["id"]),
                must(Field::Partner, &["affiliate.id"]),
                must(Field::Amount, &["amount"]),
                must(Field::Currency, &["currency"]),
                may(Field::Status, &["status"]),
                may(Field::PaidAt, &["paid_at"]),
                may(Field::At, &["created_at"]),
            ],
        )
        .with_statuses(&[("", "completed"), ("paid", "completed"), ("pending", "pending"), ("cancelled", "cancelled")]),
        FileFacts::of(
            &["conversions"],
            ImportKind::Commission,
            &[
                must(Field::Id, &["id"]),
                must(Field::Amount, &["amount"]),
                may(Field::Currency, &["currency", "^.currency"]),
                may(Field::Status, &["approved"]),
                may(Field::Base, &["^.amount"]),
                may(Field::Invoice, &["^.external_id"]),
                may(Field::Partner, &["^.affiliate.id"]),
                may(Field::Customer, &["^.customer.id"]),
                must(Field::At, &["created_at", "^.created_at"]),
            ],
        )
        .for_each("commissions")
        .with_statuses(&[("", "pending"), ("true", "approved"), ("false", "rejected")]),
    ],
};
