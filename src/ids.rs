//! Ids: one Rust type per kind of thing, a UUID in the database, a `TypeID` (`lead_01h455vb4pex5vsknk084sn02q`) everywhere else.
//!
//! `TypeID` is the format of <https://github.com/jetify-com/typeid/tree/main/spec>: a prefix that names the kind, and the UUID in
//! Crockford's base 32. An id of the wrong kind is refused with a sentence that says so.

use std::{fmt, str::FromStr};

use diesel::{
    deserialize::{FromSql, FromSqlRow},
    expression::AsExpression,
    pg::{Pg, PgValue},
    serialize::{Output, ToSql},
    sql_types,
};
use type_safe_id::{DynamicType, TypeSafeId};
use uuid::Uuid;

/// The longest text that can be a `TypeID`: 63 characters of prefix, an underscore, 26 of UUID.
const MAX_LENGTH: usize = 90;

/// A text that is not the id it should be. Displays as a sentence for the person who sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not a `TypeID` at all.
    #[error("{given:?} is not an id. {expected} looks like {expected_prefix}_01h455vb4pex5vsknk084sn02q.")]
    Malformed {
        /// The text, shortened.
        given: String,
        /// What should have been named, in words.
        expected: &'static str,
        /// The prefix of such an id.
        expected_prefix: &'static str,
    },
    /// A `TypeID` of another kind.
    #[error("{given:?} is the id of a {given_prefix}, but the id of a {expected_prefix} is needed here.")]
    WrongKind {
        /// The text.
        given: String,
        /// Its prefix.
        given_prefix: String,
        /// The prefix that is needed.
        expected_prefix: &'static str,
    },
}

/// Splits any `TypeID` into its prefix and UUID; `None` where the text is not one.
pub fn parse_any(text: &str) -> Option<(String, Uuid)> {
    // The length is bounded first: the parser cuts a long prefix at a byte that need not be a character's start.
    if text.len() > MAX_LENGTH || !text.is_ascii() {
        return None;
    }
    let id: TypeSafeId<DynamicType> = text.parse().ok()?;
    Some((id.type_prefix().to_owned(), id.uuid()))
}

/// Writes a UUID as a `TypeID`; `None` where the prefix is not one (1 to 63 of `a`–`z` and inner `_`).
pub fn format_any(prefix: &str, uuid: Uuid) -> Option<String> {
    let prefix = DynamicType::new(prefix).ok()?;
    Some(TypeSafeId::from_type_and_uuid(prefix, uuid).to_string())
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal, $words:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, AsExpression, FromSqlRow)]
        #[diesel(sql_type = sql_types::Uuid)]
        pub struct $name(Uuid);

        impl $name {
            /// What the text form begins with, before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// A fresh id. It is a `UUIDv7`: ids made later sort later.
            #[expect(clippy::new_without_default, reason = "a default that differs every time is a surprise")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// The UUID as the database holds it.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let prefix = DynamicType::new(Self::PREFIX).map_err(|_| fmt::Error)?;
                TypeSafeId::from_type_and_uuid(prefix, self.0).fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                match parse_any(text) {
                    Some((prefix, uuid)) if prefix == Self::PREFIX => Ok(Self(uuid)),
                    Some((given_prefix, _)) if !given_prefix.is_empty() => {
                        Err(IdError::WrongKind { given: text.to_owned(), given_prefix, expected_prefix: Self::PREFIX })
                    }
                    _ => Err(IdError::Malformed {
                        given: text.chars().take(MAX_LENGTH).collect(),
                        expected: $words,
                        expected_prefix: Self::PREFIX,
                    }),
                }
            }
        }

        impl FromSql<sql_types::Uuid, Pg> for $name {
            fn from_sql(bytes: PgValue<'_>) -> diesel::deserialize::Result<Self> {
                <Uuid as FromSql<sql_types::Uuid, Pg>>::from_sql(bytes).map(Self)
            }
        }

        impl ToSql<sql_types::Uuid, Pg> for $name {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> diesel::serialize::Result {
                <Uuid as ToSql<sql_types::Uuid, Pg>>::to_sql(&self.0, out)
            }
        }
    )*

        /// The prefixes of all kinds of id, for the command that decodes them.
        pub const PREFIXES: &[&str] = &[$($prefix),*];
    };
}

ids! {
    /// The id of a tenant.
    TenantId = "tenant", "A tenant's id";
    /// The id of a user.
    UserId = "user", "A user's id";
    /// The id of a partner.
    PartnerId = "partner", "A partner's id";
    /// The id of a lead.
    LeadId = "lead", "A lead's id";
    /// The id of one entry of a lead's history.
    LeadStatusChangeId = "leadchange", "The id of a lead's status change";
    /// The id of a customer.
    CustomerId = "customer", "A customer's id";
    /// The id of a period in which a partner manages a customer.
    CustomerAccountId = "account", "A customer account's id";
    /// The id of one version of a commission rule.
    RuleId = "rule", "A commission rule's id";
    /// The id of a commission.
    CommissionId = "commission", "A commission's id";
    /// The id of a payout.
    PayoutId = "payout", "A payout's id";
    /// The id of a member.
    MemberId = "member", "A member's id";
    /// The id of a grant of credits.
    GrantId = "grant", "A credit grant's id";
    /// The id of an allocation of credits.
    AllocationId = "allocation", "A credit allocation's id";
    /// The id of a redemption of credits.
    RedemptionId = "redemption", "A credit redemption's id";
    /// The id of one extension of an allocation.
    ExtensionId = "extension", "The id of an extension of credits";
    /// The id of one entry of a lead's or commission's moves.
    MoveId = "move", "The id of a move";
    /// The id of one entry of a payout's history.
    PayoutChangeId = "payoutchange", "The id of a payout's status change";
    /// The id of a programme.
    ProgrammeId = "programme", "A programme's id";
    /// The id of a partner's part in a programme.
    EnrolmentId = "enrolment", "An enrolment's id";
    /// The id of one entry of an enrolment's history.
    EnrolmentChangeId = "enrolmentchange", "The id of an enrolment's status change";
    /// The id of a link.
    LinkId = "link", "A link's id";
    /// The id of a click on a link.
    ClickId = "click", "A click's id";
    /// The id of a sign-up by a link.
    SignUpId = "signup", "A sign-up's id";
    /// The id of a click, sign-up or sale among all that has come of links.
    LinkEventId = "linkevent", "The id of something that has come of a link";
    /// The id of a period in which a user is active as an affiliate.
    AffiliatePeriodId = "affiliateperiod", "The id of an affiliate's period";
    /// The id of one version of the terms for affiliates.
    AffiliateTermsId = "affiliateterms", "The id of terms for affiliates";
    /// The id of a person's referral by another.
    ReferralId = "referral", "A referral's id";
    /// The id of what a payment earns an affiliate.
    RewardId = "reward", "A reward's id";
    /// The id of one entry of a wallet.
    WalletTransactionId = "wallettransaction", "The id of a wallet's transaction";
    /// The id of an import that runs in the background.
    DataImportId = "dataimport", "The id of an import of data";
    /// The id of something that such an import reported.
    ImportFindingId = "importfinding", "The id of an import's finding";
    /// The id of an entry of the audit trail.
    AuditEntryId = "audit", "The id of an entry of the audit trail";
    /// The id of an invitation to act for a partner.
    InvitationId = "invitation", "An invitation's id";
    /// The id of an endpoint that events are sent to.
    WebhookEndpointId = "webhook", "The id of a webhook's endpoint";
    /// The id of a secret of such an endpoint.
    WebhookSecretId = "whsecret", "The id of a webhook's secret";
    /// The id of an event that is sent.
    WebhookEventId = "whevent", "The id of a webhook's event";
    /// The id of such an event's way to one endpoint.
    WebhookDeliveryId = "whdelivery", "The id of a webhook's delivery";
    /// The id of one request on that way.
    WebhookAttemptId = "whattempt", "The id of a webhook's attempt";
    /// The id of a service that reports what happens there.
    WebhookSourceId = "whsource", "The id of a webhook's source";
    /// The id of a secret that such a service signs with.
    WebhookSourceSecretId = "whsourcesecret", "The id of the secret of a webhook's source";
    /// The id of an event that such a service has reported.
    WebhookReceiptId = "whreceipt", "The id of a webhook's receipt";
    /// The id of a transfer of money: it stands for the transfer's number.
    TransferId = "transfer", "A transfer's id";
    /// The id of a transfer of credits: it stands for the transfer's number.
    CreditTransferId = "credittransfer", "The id of a transfer of credits";
}

/// Ids of what the database numbers: the number is the whole UUID.
macro_rules! numbered {
    ($($name:ident),*) => {$(
        impl $name {
            /// The id of the transfer with that number, from 1.
            pub const fn numbered(number: i64) -> Self {
                Self(Uuid::from_u128(number.unsigned_abs() as u128))
            }

            /// The number; `None` for an id that is none's.
            pub fn number(self) -> Option<i64> {
                i64::try_from(self.0.as_u128()).ok()
            }
        }
    )*};
}

numbered!(TransferId, CreditTransferId);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The `TypeID` specification's own example decodes to the UUID it names.
    #[test]
    fn specification_example() {
        let id: UserId = "user_01h455vb4pex5vsknk084sn02q".parse().expect("a valid id");
        assert_eq!(id.uuid().to_string(), "01890a5d-ac96-774b-bcce-b302099a8057");
        assert_eq!(id.to_string(), "user_01h455vb4pex5vsknk084sn02q");
    }

    /// An id of another kind says which kind it is and which is needed.
    #[test]
    fn wrong_kind_is_named() {
        let error = "lead_01h455vb4pex5vsknk084sn02q".parse::<PartnerId>().expect_err("a lead is no partner");
        assert_eq!(
            error.to_string(),
            "\"lead_01h455vb4pex5vsknk084sn02q\" is the id of a lead, but the id of a partner is needed here."
        );
    }

    proptest! {
        /// Every UUID survives the way to text and back; no text makes the parser panic.
        #[test]
        fn round_trip(bits: u128, noise in "\\PC{0,200}") {
            let id = LeadId::from(Uuid::from_u128(bits));
            prop_assert_eq!(id.to_string().parse::<LeadId>(), Ok(id));
            let _ = noise.parse::<LeadId>();
        }
    }
}
