//! Dub: the CSV files that its dashboard exports, whose columns the user chooses, and the answers of its API.

use crate::{
    imports::history::source::{Field, FileFacts, MoneyForm, NumericTime, SourceFacts, may, must},
    models::imports::facts::ImportKind,
};

/// In CSV amounts are text for people, in the API whole numbers of minor units.
pub const DUB: SourceFacts = SourceFacts {
    name: "dub",
    money: MoneyForm::Minor,
    money_in_csv: MoneyForm::Shown,
    numeric_time: NumericTime::Milliseconds,
    currency: None,
    has_users: false,
    files: &[
        FileFacts::of(
            &["partners", "Dub Partners Export"],
            ImportKind::Partner,
            &[
                must(Field::Id, &["id"]),
                may(Field::Name, &["name"]),
                must(Field::Email, &["email"]),
                may(Field::Status, &["status"]),
                may(Field::At, &["enrolledAt", "createdAt"]),
            ],
        )
        .required()
        .with_statuses(&[
            ("", "active"),
            ("approved", "active"),
            ("pending", "pending"),
            ("invited", "pending"),
            ("rejected", "closed"),
            ("declined", "closed"),
            ("banned", "closed"),
            ("deactivated", "closed"),
            ("archived", "closed"),
        ]),
        FileFacts::of(
            &["links", "Dub Links Export"],
            ImportKind::Link,
            &[
                must(Field::Id, &["id", "linkId", "shortLink"]),
                must(Field::Url, &["url", "destinationUrl"]),
                must(Field::ShortUrl, &["shortLink"]),
                may(Field::Host, &["domain"]),
                may(Field::Key, &["key"]),
                may(Field::Partner, &["partnerId"]),
                may(Field::PartnerEmail, &["partnerEmail"]),
                may(Field::Clicks, &["clicks"]),
                may(Field::SignUps, &["leads"]),
                may(Field::Archived, &["archived"]),
                may(Field::At, &["createdAt"]),
            ],
        ),
        FileFacts::of(
            &["customers", "Dub Customers Export"],
            ImportKind::Customer,
            &[
                must(Field::Id, &["id"]),
                may(Field::Customer, &["externalId", "stripeCustomerId"]),
                may(Field::Name, &["name"]),
                may(Field::Email, &["email"]),
                may(Field::Partner, &["partnerId", "partner.id"]),
                may(Field::Link, &["linkId", "link.id"]),
                may(Field::At, &["createdAt"]),
            ],
        ),
        FileFacts::of(
            &["payouts", "Dub Payouts Export"],
            ImportKind::Payout,
            &[
                must(Field::Id, &["id"]),
                may(Field::Partner, &["partnerId", "partner.id"]),
                may(Field::PartnerEmail, &["partnerEmail", "partner.email"]),
                must(Field::Status, &["status"]),
                may(Field::Amount, &["amount"]),
                may(Field::Currency, &["currency"]),
                may(Field::PeriodStart, &["periodStart"]),
                may(Field::PeriodEnd, &["periodEnd"]),
                may(Field::PaidAt, &["paidAt"]),
                may(Field::At, &["initiatedAt", "createdAt"]),
            ],
        )
        .with_statuses(&[
            ("pending", "pending"),
            ("processing", "processing"),
            ("processed", "processing"),
            ("sent", "processing"),
            ("completed", "completed"),
            ("failed", "failed"),
            ("canceled", "cancelled"),
        ]),
        FileFacts::of(
            &["commissions", "Dub Commissions Export"],
            ImportKind::Commission,
            &[
                must(Field::Id, &["id"]),
                may(Field::Partner, &["partnerId", "partner.id"]),
                may(Field::PartnerEmail, &["partnerEmail", "partner.email"]),
                must(Field::Amount, &["earnings"]),
                may(Field::Base, &["amount"]),
                may(Field::Currency, &["currency"]),
                must(Field::Status, &["status"]),
                may(Field::Customer, &["customerId", "customer.id"]),
                may(Field::Link, &["linkId", "link.id"]),
                may(Field::Payout, &["payoutId"]),
                may(Field::Invoice, &["invoiceId"]),
                may(Field::PaidAt, &["paidAt"]),
                must(Field::At, &["createdAt"]),
            ],
        )
        .with_statuses(&[
            ("pending", "pending"),
            ("hold", "pending"),
            ("processed", "approved"),
            ("paid", "paid"),
            ("canceled", "rejected"),
            ("refunded", "rejected"),
            ("duplicate", "rejected"),
            ("fraud", "rejected"),
        ]),
    ],
};
