//! Tolt: the answers of its API.

use crate::{
    imports::history::source::{Field, FileFacts, MoneyForm, NumericTime, SourceFacts, may, must},
    models::imports::facts::ImportKind,
};

/// Amounts are texts with whole numbers of minor units; links say no address, so `--link-url` does.
pub const TOLT: SourceFacts = SourceFacts {
    name: "tolt",
    money: MoneyForm::Minor,
    money_in_csv: MoneyForm::Minor,
    numeric_time: NumericTime::Either,
    currency: None,
    has_users: false,
    files: &[
        FileFacts::of(
            &["partners"],
            ImportKind::Partner,
            &[
                must(Field::Id, &["id"]),
                may(Field::FirstName, &["first_name"]),
                may(Field::LastName, &["last_name"]),
                may(Field::Company, &["company_name"]),
                must(Field::Email, &["email"]),
                may(Field::Status, &["status"]),
                may(Field::At, &["created_at"]),
            ],
        )
        .required()
        .with_statuses(&[
            ("", "active"),
            ("active", "active"),
            ("approved", "active"),
            ("pending", "pending"),
            ("invited", "pending"),
            ("inactive", "suspended"),
            ("disabled", "suspended"),
            ("suspended", "suspended"),
            ("rejected", "closed"),
            ("banned", "closed"),
            ("archived", "closed"),
        ]),
        FileFacts::of(
            &["links"],
            ImportKind::Link,
            &[
                must(Field::Id, &["id", "value"]),
                must(Field::Key, &["value"]),
                may(Field::Url, &["url"]),
                must(Field::Partner, &["partner.id", "partner_id"]),
                may(Field::At, &["created_at"]),
            ],
        ),
        FileFacts::of(
            &["customers"],
            ImportKind::Customer,
            &[
                must(Field::Id, &["id"]),
                may(Field::Customer, &["customer_id"]),
                may(Field::Name, &["name"]),
                may(Field::Email, &["email"]),
                may(Field::Partner, &["partner.id", "partner_id"]),
                may(Field::At, &["created_at"]),
            ],
        ),
        FileFacts::of(
            &["commissions"],
            ImportKind::Commission,
            &[
                must(Field::Id, &["id"]),
                may(Field::Partner, &["partner.id", "partner_id"]),
                must(Field::Amount, &["amount"]),
                may(Field::Base, &["revenue"]),
                may(Field::Currency, &["currency"]),
                must(Field::Status, &["status"]),
                may(Field::Invoice, &["charge_id", "transaction_id"]),
                may(Field::Customer, &["customer_id", "customer.id"]),
                may(Field::Payout, &["payout_id"]),
                must(Field::At, &["created_at"]),
            ],
        )
        .with_statuses(&[
            ("pending", "pending"),
            ("approved", "approved"),
            ("paid", "paid"),
            ("rejected", "rejected"),
            ("refunded", "rejected"),
        ]),
    ],
};
