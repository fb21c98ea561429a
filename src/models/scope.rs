//! Whose rows a query may touch.

use uuid::Uuid;

use crate::ids::{PartnerId, TenantId, UserId};

/// One tenant's rows, or one partner's within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The tenant.
    pub tenant: TenantId,
    /// The partner, where the caller acts for one; `None` sees every partner of the tenant.
    pub partner: Option<PartnerId>,
    /// The person, where the caller is one who acts for a partner or for none; `None` sees what belongs to each person of the tenant.
    pub user: Option<UserId>,
}

impl Scope {
    /// Everything of a tenant's.
    pub fn tenant(tenant: TenantId) -> Self {
        Self { tenant, partner: None, user: None }
    }

    /// What belongs to one partner, and to no person; with none, nothing: no partner and no user has the nil id.
    pub fn partner(tenant: TenantId, partner: Option<PartnerId>) -> Self {
        let nobody = Uuid::nil();
        Self { tenant, partner: Some(partner.unwrap_or_else(|| nobody.into())), user: Some(nobody.into()) }
    }

    /// The same, and what belongs to a person.
    #[must_use]
    pub fn of_user(self, user: UserId) -> Self {
        Self { user: Some(user), ..self }
    }

    /// The same for one partner of it alone, where one is named; nothing where that is not in scope.
    #[must_use]
    pub fn narrowed(self, partner: Option<PartnerId>) -> Self {
        match partner {
            None => self,
            Some(partner) => {
                Self { user: self.user, ..Self::partner(self.tenant, Some(partner).filter(|&partner| self.includes(partner))) }
            }
        }
    }

    /// Whether rows of `partner` may be seen.
    pub fn includes(self, partner: PartnerId) -> bool {
        self.partner.is_none_or(|own| own == partner)
    }

    /// Whether what belongs to `user` alone may be seen.
    pub fn includes_user(self, user: UserId) -> bool {
        self.user.is_none_or(|own| own == user)
    }
}
