//! What each role may do, and may read that not every role may.

use crate::db::session::AuditActor;

/// What kind of caller it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, async_graphql::Enum)]
pub enum Role {
    /// Acts for a partner.
    PartnerMember,
    /// Acts for a partner and manages it.
    PartnerOwner,
    /// Staff of the tenant.
    Operator,
    /// A back-end system of the tenant.
    Service,
}

/// One thing that a caller may be allowed to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, async_graphql::Enum)]
pub enum Permission {
    /// Create and change leads.
    LeadsWrite,
    /// Make and change links.
    LinksManage,
    /// Assign credits to members.
    CreditsAssign,
    /// Change the partner's profile.
    ProfileWrite,
    /// Add, change and import members.
    MembersManage,
    /// Say who acts for the partner, and as what.
    UsersManage,
    /// Approve, reject and adjust commissions, and set their rules.
    CommissionsManage,
    /// Make payouts and take them through their steps.
    PayoutsManage,
    /// Create partners, change them and their status.
    PartnersManage,
    /// Change programmes, and decide which partners take part in them.
    ProgrammesManage,
    /// Grant credits to partners.
    CreditsGrant,
    /// Report customers, and say which partner manages them.
    CustomersManage,
    /// Report sign-ups, payments, refunds and the use of credits.
    EventsIngest,
    /// Change the tenant's settings.
    SettingsManage,
    /// Take part as an affiliate: the switch, the invite code, who invited one, and one's wallet. Also without an active partner.
    AffiliateTakePart,
    /// Set the terms for affiliates, and correct who referred whom and what wallets hold.
    AffiliatesManage,
    /// Import what other systems give out.
    DataImport,
    /// Say which other systems hear of what happens.
    WebhooksManage,
    /// Export what is kept of a person, and erase it.
    PeopleErase,
}

impl Permission {
    /// Whether it is about the person alone, and so does not depend on the partner that they act for.
    pub const fn is_personal(self) -> bool {
        matches!(self, Self::AffiliateTakePart)
    }
}

/// What only some roles may read. All else in a caller's scope is theirs to read, also while a partner is not active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readable {
    /// Lists of partners, and their leaderboard.
    AllPartners,
    /// How a partner is paid and reached.
    Profiles,
    /// What a partner said of itself when it applied.
    Applications,
    /// Accounts' transfers, and what accounts held after them.
    Ledgers,
    /// What was imported from other systems, and what was reported of it.
    Imports,
    /// Which other systems hear of what happens, and what was sent to them.
    Webhooks,
    /// Who has changed what, and why.
    Audit,
}

impl Role {
    /// The role as the audit trail has it.
    pub const fn actor(self) -> AuditActor {
        match self {
            Self::PartnerMember | Self::PartnerOwner => AuditActor::Partner,
            Self::Operator => AuditActor::Operator,
            Self::Service => AuditActor::Service,
        }
    }

    /// All of them.
    pub const ALL: [Self; 4] = [Self::PartnerMember, Self::PartnerOwner, Self::Operator, Self::Service];

    /// What the role may read that not every role may.
    pub const fn reads(self) -> &'static [Readable] {
        use Readable::{AllPartners, Applications, Audit, Imports, Ledgers, Profiles, Webhooks};
        match self {
            Self::PartnerMember => &[],
            Self::PartnerOwner => &[Profiles, Applications, Ledgers, Audit],
            Self::Operator => &[AllPartners, Profiles, Applications, Ledgers, Imports, Webhooks, Audit],
            Self::Service => &[AllPartners],
        }
    }

    /// What the role allows, for a partner's people only while the partner is active.
    pub const fn permissions(self) -> &'static [Permission] {
        use Permission::{
            AffiliateTakePart, AffiliatesManage, CommissionsManage, CreditsAssign, CreditsGrant, CustomersManage, DataImport,
            EventsIngest, LeadsWrite, LinksManage, MembersManage, PartnersManage, PayoutsManage, PeopleErase, ProfileWrite,
            ProgrammesManage, SettingsManage, UsersManage, WebhooksManage,
        };
        match self {
            Self::PartnerMember => &[LeadsWrite, LinksManage, CreditsAssign, AffiliateTakePart],
            Self::PartnerOwner => {
                &[LeadsWrite, LinksManage, CreditsAssign, ProfileWrite, MembersManage, UsersManage, AffiliateTakePart]
            }
            Self::Operator => &[
                LeadsWrite,
                LinksManage,
                ProfileWrite,
                MembersManage,
                UsersManage,
                CommissionsManage,
                PayoutsManage,
                PartnersManage,
                ProgrammesManage,
                CreditsGrant,
                CustomersManage,
                SettingsManage,
                AffiliatesManage,
                DataImport,
                WebhooksManage,
                PeopleErase,
            ],
            Self::Service => &[CreditsGrant, CustomersManage, EventsIngest],
        }
    }
}
