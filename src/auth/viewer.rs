//! Who is asking, and what they may do.

use std::sync::Arc;

use super::{
    claims::Claims,
    permissions::{Permission, Readable, Role},
};
use crate::{
    db::session::Caller,
    error::{Error, Result},
    ids::{PartnerId, UserId},
    models::{partners::status::PartnerStatus, people::tenant::Tenant, scope::Scope},
};

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
    /// The rows they may see: the whole tenant's, or one partner's and their own.
    pub fn scope(&self) -> Scope {
        match self.role {
            Role::Operator | Role::Service => Scope::tenant(self.tenant.id),
            Role::PartnerMember | Role::PartnerOwner => {
                Scope::partner(self.tenant.id, self.partner.map(|partner| partner.id)).of_user(self.user)
            }
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
    pub fn permissions(&self) -> Vec<Permission> {
        let is_hindered = self.hindrance().is_some();
        let all = self.role.permissions().iter().copied();
        all.filter(|permission| !is_hindered || permission.is_personal()).collect()
    }

    /// Refuses, with the reason, a caller without the permission.
    pub fn require(&self, permission: Permission) -> Result<()> {
        if !self.role.permissions().contains(&permission) {
            let name = async_graphql::resolver_utils::enum_value(permission);
            return Err(Error::Forbidden(format!("Your role does not allow this; it needs the permission {name}.")));
        }
        let hindrance = self.hindrance().filter(|_| !permission.is_personal());
        hindrance.map_or(Ok(()), |reason| Err(Error::Forbidden(reason.to_owned())))
    }

    /// Whether they may read what only some roles may, in their scope.
    pub fn may_read(&self, what: Readable) -> bool {
        self.role.reads().contains(&what)
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
