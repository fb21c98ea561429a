//! `FirstPromoter`: the answers of its API, version 2.

use crate::{
    imports::history::source::{Field, FileFacts, MoneyForm, NumericTime, SourceFacts, may, must},
    models::imports::facts::ImportKind,
};

/// Amounts are whole numbers of minor units of the account's currency, which they do not name: `--currency` does. A commission that is paid says so beside its
/// status.
pub const FIRSTPROMOTER: SourceFacts = SourceFacts {
    name: "firstpromoter",
    money: MoneyForm::Minor,
    money_in_csv: MoneyForm::Minor,
    numeric_time: NumericTime::Either,
    currency: None,
    has_users: false,
    files: &[
        FileFacts::of(
            &["promoters"],
            ImportKind::Partner,
            &[
                must(Field::Id, &["id"]),
                may(Field::Name, &["name"]),
                may(Field::FirstName, &["profile.first_name"]),
                may(Field::LastName, &["profile.last_name"]),
                may(Field::Company, &["profile.company_name"]),
                must(Field::Email, &["email"]),
                may(Field::Status, &["promoter_campaigns.0.state"]),
                may(Field::At, &["joined_at", "created_at"]),
            ],
        )
        .required()
        .with_statuses(&[
            ("", "active"),
            ("accepted", "active"),
            ("pending", "pending"),
            ("rejected", "closed"),
            ("blocked", "closed"),
            ("inactive", "suspended"),
        ]),
        FileFacts::of(
            &["promoters"],
            ImportKind::Link,
            &[
                must(Field::Id, &["id"]),
                must(Field::Key, &["ref_token"]),
                must(Field::Url, &["ref_link"]),
                must(Field::Partner, &["^.id"]),
                may(Field::At, &["created_at", "^.created_at"]),
            ],
        )
        .for_each("promoter_campaigns"),
        FileFacts::of(
            &["referrals"],
            ImportKind::Customer,
            &[
                must(Field::Id, &["id"]),
                may(Field::Customer, &["uid", "email"]),
                may(Field::FirstName, &["first_name"]),
                may(Field::LastName, &["last_name"]),
                may(Field::Email, &["email"]),
                may(Field::Partner, &["promoter_campaign.promoter_id"]),
                may(Field::Link, &["promoter_campaign.id"]),
                may(Field::At, &["customer_since", "created_at"]),
            ],
        )
        .unless("state", &["denied", "moved"]),
        FileFacts::of(
            &["payouts"],
            ImportKind::Payout,
            &[
                must(Field::Id, &["id"]),
                must(Field::Partner, &["promoter.id"]),
                must(Field::Status, &["status"]),
                may(Field::Amount, &["amount"]),
                may(Field::Unit, &["unit"]),
                may(Field::Commissions, &["commissions.id"]),
                may(Field::PeriodStart, &["period_start"]),
                may(Field::PeriodEnd, &["period_end"]),
                may(Field::PaidAt, &["paid_at"]),
                may(Field::At, &["created_at"]),
            ],
        )
        .with_statuses(&[
            ("completed", "completed"),
            ("processing", "processing"),
            ("pending", "pending"),
            ("failed", "failed"),
            ("cancelled", "cancelled"),
        ]),
        FileFacts::of(
            &["commissions"],
            ImportKind::Commission,
            &[
                must(Field::Id, &["id"]),
                must(Field::Amount, &["amount"]),
                may(Field::Unit, &["unit"]),
                must(Field::Status, &["status"]),
                may(Field::IsPaid, &["is_paid"]),
                may(Field::Base, &["sale_amount"]),
                may(Field::Invoice, &["event_id"]),
                may(Field::Partner, &["promoter_campaign.promoter_id"]),
                may(Field::Link, &["promoter_campaign.id"]),
                may(Field::Customer, &["referral.id"]),
                may(Field::Payout, &["payout_id"]),
                must(Field::At, &["created_at"]),
            ],
        )
        .with_statuses(&[("pending", "pending"), ("approved", "approved"), ("denied", "rejected")]),
    ],
};
