//! What an import understood of a row, in one form for all systems.

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use uuid::Uuid;

crate::pg_enum! {
    /// What a row of another system is.
    pub enum ImportKind {
        /// A partner.
        Partner = "partner",
        /// A person.
        User = "user",
        /// That a person belongs to a partner.
        Membership = "membership",
        /// A programme.
        Programme = "programme",
        /// That a partner takes part in a programme.
        Enrolment = "enrolment",
        /// What a programme gives.
        Rule = "rule",
        /// A link.
        Link = "link",
        /// The clicks and sign-ups of a link on a day.
        LinkDay = "link_day",
        /// A customer.
        Customer = "customer",
        /// A payout.
        Payout = "payout",
        /// A commission.
        Commission = "commission",
    }
}

impl ImportKind {
    /// Several of them, in words.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Partner => "partners",
            Self::User => "users",
            Self::Membership => "memberships",
            Self::Programme => "programmes",
            Self::Enrolment => "enrolments",
            Self::Rule => "rules",
            Self::Link => "links",
            Self::LinkDay => "days of links",
            Self::Customer => "customers",
            Self::Payout => "payouts",
            Self::Commission => "commissions",
        }
    }
}

impl Serialize for ImportKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ImportKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

macro_rules! facts {
    ($($(#[$doc:meta])* $name:ident: $kind:ty,)*) => {
        /// What is known of a row. Blank cells are `None`.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct Facts {
            $($(#[$doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $name: Option<$kind>,)*
        }
    };
}

facts! {
    /// What a person decided that it is here: the id of something that is here already.
    existing: Uuid,
    /// The e-mail address.
    email: String,
    /// The name.
    name: String,
    /// A person's `sub` in tokens.
    subject: String,
    /// The status, in this system's words.
    status: String,
    /// The status as the source has it.
    source_status: String,
    /// The partner, by the source's id.
    partner: String,
    /// What stood where the partner's id should be, and was blank. `None` where nothing did.
    blank_partner: String,
    /// The partner, by its address.
    partner_email: String,
    /// Of a user the partner that they act for.
    default_partner: String,
    /// The person, by the source's id.
    user: String,
    /// The programme, by the source's id.
    programme: String,
    /// The link, by the source's id.
    link: String,
    /// The customer, by the source's id.
    customer: String,
    /// The payout, by the source's id.
    payout: String,
    /// The invoice in the billing system.
    invoice: String,
    /// The address that a link leads to, as the URL standard writes it.
    url: String,
    /// Its registrable domain; of a programme its shop's.
    domain: String,
    /// The host that a link is on.
    host: String,
    /// A link's key.
    key: String,
    /// In the currency's major unit: what a partner earned, what a payout paid, or what a rule gives for each payment.
    amount: Decimal,
    /// What was paid.
    base: Decimal,
    /// The currency (ISO 4217).
    currency: String,
    /// A fraction: 0.1 is ten per cent.
    rate: Decimal,
    /// A membership's role.
    role: String,
    /// When it came to be.
    at: DateTime<Utc>,
    /// When it was paid.
    paid_at: DateTime<Utc>,
    /// A payout's period: its begin.
    period_start: DateTime<Utc>,
    /// Its end.
    period_end: DateTime<Utc>,
    /// A day (UTC).
    day: NaiveDate,
    /// Clicks.
    clicks: i64,
    /// Sign-ups.
    sign_ups: i64,
    /// Whether a link is archived.
    is_archived: bool,
    /// Of a payout the commissions that it pays, by the source's ids.
    commissions: Vec<String>,
}
