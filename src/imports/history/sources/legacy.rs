//! A link-based system of one's own, by the names of its tables and columns: users who own links, commissions of links, partners perhaps.

use crate::{
    imports::history::source::{Field, FileFacts, MoneyForm, NumericTime, SourceFacts, may, must},
    models::imports::facts::ImportKind,
};

const PARTNER_STATUSES: &[(&str, &str)] = &[
    ("active", "active"),
    ("approved", "active"),
    ("pending", "pending"),
    ("suspended", "suspended"),
    ("inactive", "suspended"),
    ("banned", "closed"),
    ("closed", "closed"),
    ("archived", "closed"),
];

const ENROLMENT_STATUSES: &[(&str, &str)] = &[
    ("approved", "approved"),
    ("active", "approved"),
    ("pending", "pending"),
    ("rejected", "rejected"),
    ("declined", "rejected"),
    ("suspended", "suspended"),
    ("banned", "suspended"),
    ("archived", "suspended"),
];

const COMMISSION_STATUSES: &[(&str, &str)] = &[
    ("pending", "pending"),
    ("hold", "pending"),
    ("processed", "approved"),
    ("approved", "approved"),
    ("paid", "paid"),
    ("canceled", "rejected"),
    ("cancelled", "rejected"),
    ("rejected", "rejected"),
    ("refunded", "rejected"),
    ("duplicate", "rejected"),
    ("fraud", "rejected"),
];

const PAYOUT_STATUSES: &[(&str, &str)] = &[
    ("completed", "completed"),
    ("paid", "completed"),
    ("sent", "completed"),
    ("processing", "processing"),
    ("processed", "processing"),
    ("pending", "pending"),
    ("failed", "failed"),
    ("canceled", "cancelled"),
    ("cancelled", "cancelled"),
];

/// Amounts are in minor units; see `--money`.
pub const LEGACY: SourceFacts = SourceFacts {
    name: "legacy",
    money: MoneyForm::Minor,
    money_in_csv: MoneyForm::Minor,
    numeric_time: NumericTime::Either,
    currency: None,
    has_users: true,
    files: &[
        FileFacts::of(
            &["partners"],
            ImportKind::Partner,
            &[
                must(Field::Id, &["id"]),
                may(Field::Name, &["name"]),
                may(Field::Email, &["email"]),
                may(Field::Status, &["status"]),
                may(Field::At, &["createdAt"]),
            ],
        )
        .with_statuses(PARTNER_STATUSES),
        FileFacts::of(
            &["users"],
            ImportKind::User,
            &[
                must(Field::Id, &["id"]),
                may(Field::Name, &["name"]),
                may(Field::Email, &["email"]),
                may(Field::DefaultPartner, &["defaultPartnerId"]),
                may(Field::Subject, &["clerkUserId"]),
                may(Field::At, &["createdAt"]),
            ],
        )
        .required(),
        FileFacts::of(
            &["partner_users"],
            ImportKind::Membership,
            &[
                must(Field::Id, &["userId"]),
                must(Field::Id, &["partnerId"]),
                must(Field::User, &["userId"]),
                must(Field::Partner, &["partnerId"]),
                may(Field::Role, &["role"]),
                may(Field::At, &["createdAt"]),
            ],
        ),
        FileFacts::of(
            &["programs", "programmes"],
            ImportKind::Programme,
            &[
                must(Field::Id, &["id"]),
                may(Field::Name, &["name", "slug"]),
                may(Field::Domain, &["domain", "url"]),
                may(Field::At, &["createdAt"]),
            ],
        ),
        FileFacts::of(
            &["enrollments", "enrolments", "program_enrollments"],
            ImportKind::Enrolment,
            &[
                must(Field::Id, &["partnerId"]),
                must(Field::Id, &["programId", "programmeId"]),
                must(Field::Partner, &["partnerId"]),
                must(Field::Programme, &["programId", "programmeId"]),
                may(Field::Status, &["status"]),
                may(Field::At, &["createdAt"]),
            ],
        )
        .with_statuses(ENROLMENT_STATUSES),
        FileFacts::of(
            &["rewards"],
            ImportKind::Rule,
            &[
                must(Field::Id, &["id"]),
                must(Field::Programme, &["programId", "programmeId"]),
                must(Field::RateKind, &["type"]),
                may(Field::RateEvent, &["event"]),
                must(Field::Rate, &["amount"]),
                may(Field::Currency, &["currency"]),
            ],
        ),
        FileFacts::of(
            &["links"],
            ImportKind::Link,
            &[
                must(Field::Id, &["id"]),
                must(Field::User, &["userId"]),
                must(Field::Url, &["url"]),
                must(Field::Key, &["key"]),
                may(Field::Host, &["domain"]),
                may(Field::Partner, &["partnerId"]),
                may(Field::Programme, &["programId", "programmeId"]),
                may(Field::Clicks, &["clicks"]),
                may(Field::SignUps, &["leads"]),
                may(Field::Archived, &["archived"]),
                may(Field::At, &["createdAt"]),
            ],
        )
        .required(),
        FileFacts::of(
            &["link_days"],
            ImportKind::LinkDay,
            &[
                must(Field::Id, &["linkId"]),
                must(Field::Id, &["date"]),
                must(Field::Link, &["linkId"]),
                must(Field::Day, &["date"]),
                may(Field::Clicks, &["clicks"]),
                may(Field::SignUps, &["leads"]),
            ],
        ),
        FileFacts::of(
            &["customers"],
            ImportKind::Customer,
            &[
                must(Field::Id, &["id"]),
                may(Field::Customer, &["externalId"]),
                may(Field::Name, &["name"]),
                may(Field::Email, &["email"]),
                may(Field::Link, &["linkId"]),
                may(Field::Partner, &["partnerId"]),
                may(Field::At, &["createdAt"]),
            ],
        ),
        FileFacts::of(
            &["payouts"],
            ImportKind::Payout,
            &[
                must(Field::Id, &["id"]),
                must(Field::Partner, &["partnerId"]),
                must(Field::Status, &["status"]),
                may(Field::Amount, &["amount"]),
                may(Field::Currency, &["currency"]),
                may(Field::PeriodStart, &["periodStart"]),
                may(Field::PeriodEnd, &["periodEnd"]),
                may(Field::PaidAt, &["paidAt"]),
                may(Field::At, &["createdAt"]),
            ],
        )
        .with_statuses(PAYOUT_STATUSES),
        FileFacts::of(
            &["commissions"],
            ImportKind::Commission,
            &[
                must(Field::Id, &["id"]),
                must(Field::Link, &["linkId"]),
                must(Field::Partner, &["partnerId"]),
                must(Field::Amount, &["earnings"]),
                may(Field::Base, &["amount"]),
                may(Field::Currency, &["currency"]),
                must(Field::Status, &["status"]),
                may(Field::Customer, &["customerId"]),
                may(Field::Payout, &["payoutId"]),
                may(Field::Invoice, &["invoiceId"]),
                may(Field::PaidAt, &["paidAt"]),
                must(Field::At, &["createdAt"]),
            ],
        )
        .required()
        .with_statuses(COMMISSION_STATUSES),
    ],
};
