//! Who is asking, and what they may do.

use std::sync::Arc;

use super::claims::Claims;
use crate::{
    db::session::Caller,
    error::{Error, Result},
    ids::{PartnerId, UserId},
    models::{partners::partner::PartnerStatus, people::tenant::Tenant, scope::Scope},
};

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
    /// Grant credits to partners.
    CreditsGrant,
    /// Report customers, and say which partner manages them.
    CustomersManage,
    /// Report payments, refunds and the use of credits.
    EventsIngest,
    /// Change the tenant's settings.
    SettingsManage,
}

impl Role {
    /// What the role allows, for a partner's people only while the partner is active.
    pub const fn permissions(self) -> &'static [Permission] {
        use Permission::{
            CommissionsManage, CreditsAssign, CreditsGrant, CustomersManage, EventsIngest, LeadsWrite, MembersManage,
            PartnersManage, PayoutsManage, ProfileWrite, SettingsManage, UsersManage,
        };
        match self {
            Self::PartnerMember => &[LeadsWrite, CreditsAssign],
            Self::PartnerOwner => &[LeadsWrite, CreditsAssign, ProfileWrite, MembersManage, UsersManage],
            Self::Operator => &[
                LeadsWrite,
                ProfileWrite,
                MembersManage,
                UsersManage,
                CommissionsManage,
                PayoutsManage,
                PartnersManage,
                CreditsGrant,
                CustomersManage,
                SettingsManage,
            ],
            Self::Service => &[CreditsGrant, CustomersManage, EventsIngest],
        }
    }
}

/// The partner that a caller acts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActivePartner {
    /// Which.
    pub id: PartnerId,
    /// Its status when the request began.
    pub status: PartnerStatus,
}

/// The person or machine behind a request.
#[derive(Debug, Clone)]
pub struct Viewer {
    /// Their tenant.
    pub tenant: Tenant,
    /// Their user.
    pub user: UserId,
    /// What kind of caller they are.
    pub role: Role,
    /// Whom they act for; `None` for staff, machines, and people without a partner.
    pub partner: Option<ActivePartner>,
    /// What their token says.
    pub claims: Arc<Claims>,
}

impl Viewer {
    /// The rows they may see: the whole tenant's or one partner's.
    pub fn scope(&self) -> Scope {
        match self.role {
            Role::Operator | Role::Service => Scope::tenant(self.tenant.id),
            Role::PartnerMember | Role::PartnerOwner => Scope::partner(self.tenant.id, self.partner.map(|partner| partner.id)),
        }
    }

    /// The same for PostgreSQL.
    pub fn caller(&self) -> Caller {
        let (tenant, user) = (self.tenant.id, self.user);
        match self.role {
            Role::Operator => Caller::Operator { tenant, user },
            Role::Service => Caller::Service { tenant, user },
            Role::PartnerMember | Role::PartnerOwner => {
                Caller::Partner { tenant, partner: self.partner.map(|partner| partner.id), user }
            }
        }
    }

    /// Whether they are staff of the tenant.
    pub fn is_operator(&self) -> bool {
        self.role == Role::Operator
    }

    /// What they may do now.
    pub fn permissions(&self) -> &'static [Permission] {
        if self.hindrance().is_some() { &[] } else { self.role.permissions() }
    }

    /// Refuses, with the reason, whoever does not have the permission.
    pub fn require(&self, permission: Permission) -> Result<()> {
        if !self.role.permissions().contains(&permission) {
            let name = async_graphql::resolver_utils::enum_value(permission);
            return Err(Error::Forbidden(format!("Your role does not allow this; it needs the permission {name}.")));
        }
        self.hindrance().map_or(Ok(()), |reason| Err(Error::Forbidden(reason.to_owned())))
    }

    /// Why a partner's people can only read at the moment.
    fn hindrance(&self) -> Option<&'static str> {
        if !matches!(self.role, Role::PartnerMember | Role::PartnerOwner) {
            return None;
        }
        match self.partner.map(|partner| partner.status) {
            Some(PartnerStatus::Active) => None,
            Some(PartnerStatus::Pending) => Some(
                "Your partner account is waiting for approval. You can read, and write once it is approved; until then an owner can say who you are with `submitPartnerApplication`.",
            ),
            Some(PartnerStatus::Suspended) => Some("Your partner account is suspended. You can read but not change anything."),
            Some(PartnerStatus::Closed) => Some("Your partner account is closed. You can read but not change anything."),
            None => Some(
                "You do not act for a partner. If you belong to one by an organisation, choose that organisation where you signed in; else ask your contact to invite you.",
            ),
        }
    }
}
