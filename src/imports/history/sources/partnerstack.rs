//! `PartnerStack`: the answers of its API.

use crate::{
    imports::history::source::{Field, FileFacts, MoneyForm, NumericTime, SourceFacts, may, must},
    models::imports::facts::ImportKind,
};

/// Amounts are whole numbers of minor units, times milliseconds. What it has on hold waits here too.
pub const PARTNERSTACK: SourceFacts = SourceFacts {
    name: "partnerstack",
    money: MoneyForm::Minor,
    money_in_csv: MoneyForm::Minor,
    numeric_time: NumericTime::Milliseconds,
    currency: Some("USD"),
    has_users: false,
    files: &[
        FileFacts::of(
            &["partnerships", "partners"],
            ImportKind::Partner,
            &[
                must(Field::Id, &["key"]),
                may(Field::FirstName, &["first_name"]),
                may(Field::LastName, &["last_name"]),
                must(Field::Email, &["email"]),
                may(Field::At, &["created_at"]),
            ],
        )
        .required(),
        FileFacts::of(
            &["links"],
            ImportKind::Link,
            &[
                must(Field::Id, &["key"]),
                must(Field::Url, &["dest"]),
                may(Field::ShortUrl, &["url"]),
                may(Field::Partner, &["partnership_key", "partnership.key"]),
                may(Field::PartnerEmail, &["partnership.email"]),
                may(Field::At, &["created_at"]),
            ],
        ),
        FileFacts::of(
            &["customers"],
            ImportKind::Customer,
            &[
                must(Field::Id, &["customer_key", "key"]),
                may(Field::Name, &["name"]),
                may(Field::Email, &["email"]),
                may(Field::Customer, &["provider_key", "customer_key"]),
                may(Field::Partner, &["partnership_key"]),
                may(Field::IsTest, &["test"]),
                may(Field::At, &["created_at"]),
            ],
        ),
        FileFacts::of(
            &["rewards"],
            ImportKind::Commission,
            &[
                must(Field::Id, &["key"]),
                must(Field::Amount, &["amount"]),
                may(Field::Currency, &["currency"]),
                must(Field::Status, &["reward_status"]),
                may(Field::Base, &["transaction.amount"]),
                may(Field::BaseCurrency, &["transaction.currency"]),
                may(Field::Invoice, &["transaction.key"]),
                may(Field::Customer, &["customer.external_key"]),
                may(Field::Partner, &["partnership.key", "partnership_key"]),
                may(Field::PartnerEmail, &["partnership.email"]),
                must(Field::At, &["created_at"]),
            ],
        )
        .with_statuses(&[
            ("hold", "pending"),
            ("pending", "pending"),
            ("approved", "approved"),
            ("scheduled", "approved"),
            ("declined", "rejected"),
            ("paid", "paid"),
        ]),
    ],
};
