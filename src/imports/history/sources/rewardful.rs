//! Rewardful: the answers of its API.

use crate::{
    imports::history::source::{Field, FileFacts, MoneyForm, NumericTime, SourceFacts, may, must},
    models::imports::facts::ImportKind,
};

/// Amounts are whole numbers of minor units. What is due is approved and not paid yet.
pub const REWARDFUL: SourceFacts = SourceFacts {
    name: "rewardful",
    money: MoneyForm::Minor,
    money_in_csv: MoneyForm::Minor,
    numeric_time: NumericTime::Either,
    currency: None,
    has_users: false,
    files: &[
        FileFacts::of(
            &["affiliates"],
            ImportKind::Partner,
            &[
                must(Field::Id, &["id"]),
                may(Field::FirstName, &["first_name"]),
                may(Field::LastName, &["last_name"]),
                must(Field::Email, &["email"]),
                may(Field::Status, &["state"]),
                may(Field::At, &["created_at"]),
            ],
        )
        .required()
        .with_statuses(&[("", "active"), ("active", "active"), ("disabled", "suspended"), ("suspicious", "suspended")]),
        FileFacts::of(
            &["affiliates"],
            ImportKind::Link,
            &[
                must(Field::Id, &["id"]),
                must(Field::Url, &["url"]),
                must(Field::Key, &["token"]),
                must(Field::Partner, &["^.id"]),
                may(Field::Clicks, &["visitors"]),
                may(Field::SignUps, &["leads"]),
                may(Field::At, &["created_at", "^.created_at"]),
            ],
        )
        .for_each("links"),
        FileFacts::of(
            &["campaigns"],
            ImportKind::Programme,
            &[
                must(Field::Id, &["id"]),
                may(Field::Name, &["name"]),
                may(Field::Domain, &["url"]),
                may(Field::At, &["created_at"]),
            ],
        ),
        FileFacts::of(
            &["referrals"],
            ImportKind::Customer,
            &[
                must(Field::Id, &["id"]),
                may(Field::Customer, &["stripe_customer_id", "customer.id"]),
                may(Field::Name, &["customer.name"]),
                may(Field::Email, &["customer.email"]),
                may(Field::Link, &["link.id"]),
                may(Field::Partner, &["affiliate.id"]),
                may(Field::At, &["became_lead_at", "created_at"]),
            ],
        )
        .unless("conversion_state", &["visitor"]),
        FileFacts::of(
            &["payouts"],
            ImportKind::Payout,
            &[
                must(Field::Id, &["id"]),
                must(Field::Partner, &["affiliate.id"]),
                must(Field::Status, &["state"]),
                may(Field::Amount, &["amount"]),
                may(Field::Currency, &["currency"]),
                may(Field::Commissions, &["commissions.id"]),
                may(Field::PaidAt, &["paid_at"]),
                may(Field::At, &["created_at"]),
            ],
        )
        .with_statuses(&[
            ("paid", "completed"),
            ("processing", "processing"),
            ("due", "pending"),
            ("pending", "pending"),
        ]),
        FileFacts::of(
            &["commissions"],
            ImportKind::Commission,
            &[
                must(Field::Id, &["id"]),
                must(Field::Amount, &["amount"]),
                must(Field::Currency, &["currency"]),
                must(Field::Status, &["state"]),
                may(Field::Base, &["sale.sale_amount_cents"]),
                may(Field::BaseCurrency, &["sale.currency"]),
                may(Field::Invoice, &["sale.stripe_charge_id", "sale.id"]),
                may(Field::Partner, &["sale.affiliate.id", "sale.referral.affiliate.id", "affiliate.id"]),
                may(Field::Link, &["sale.referral.link.id"]),
                may(Field::Customer, &["sale.referral.id"]),
                may(Field::PaidAt, &["paid_at"]),
                must(Field::At, &["sale.charged_at", "created_at"]),
            ],
        )
        .with_statuses(&[("pending", "pending"), ("due", "approved"), ("paid", "paid"), ("voided", "rejected")]),
    ],
};
