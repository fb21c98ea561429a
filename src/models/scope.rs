//! Whose rows a query may touch.

use uuid::Uuid;

use crate::ids::{PartnerId, TenantId};

/// One tenant's rows, or one partner's within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The tenant.
    pub tenant: TenantId,
    /// The partner, where the caller acts for one; `None` sees every partner of the tenant.
    pub partner: Option<PartnerId>,
}

impl Scope {
    /// Everything of a tenant's.
    pub fn tenant(tenant: TenantId) -> Self {
        Self { tenant, partner: None }
    }

    /// What belongs to one partner; with none, nothing: no partner has the nil id.
    pub fn partner(tenant: TenantId, partner: Option<PartnerId>) -> Self {
        Self { tenant, partner: Some(partner.unwrap_or_else(|| Uuid::nil().into())) }
    }

    /// The same for one partner of it alone, where one is named; nothing where that is not in scope.
    #[must_use]
    pub fn narrowed(self, partner: Option<PartnerId>) -> Self {
        match partner {
            None => self,
            Some(partner) => Self::partner(self.tenant, Some(partner).filter(|&partner| self.includes(partner))),
        }
    }

    /// Whether rows of `partner` may be seen.
    pub fn includes(self, partner: PartnerId) -> bool {
        self.partner.is_none_or(|own| own == partner)
    }
}
