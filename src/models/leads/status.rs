//! The pipeline of leads: its states, and the record of every step.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::{
    db::schema::lead_status_changes,
    ids::{LeadId, LeadStatusChangeId, PartnerId, TenantId, UserId},
    models::{page::group, scope::Scope},
};

crate::pg_enum! {
    /// How far a lead has come.
    pub enum LeadStatus {
        /// Sent by the partner; nobody has spoken to it yet.
        Pending = "pending",
        /// Somebody has spoken to it.
        Contacted = "contacted",
        /// It is in need of what is sold and can pay.
        Qualified = "qualified",
        /// It has become a customer. Final.
        Converted = "converted",
        /// It will not become a customer for now; it can be taken up again.
        Lost = "lost",
    }
}

impl LeadStatus {
    /// The statuses that a lead can be given from this one.
    pub fn next(self) -> &'static [Self] {
        match self {
            Self::Pending => &[Self::Contacted, Self::Qualified, Self::Converted, Self::Lost],
            Self::Contacted => &[Self::Qualified, Self::Converted, Self::Lost],
            Self::Qualified => &[Self::Converted, Self::Lost],
            Self::Converted => &[],
            Self::Lost => &[Self::Pending],
        }
    }

    /// The statuses from which a lead can be given this one.
    pub fn previous(self) -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(move |status| status.next().contains(&self))
    }
}

/// One step that a lead has taken.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = lead_status_changes)]
pub struct LeadStatusChange {
    /// Its id.
    pub id: LeadStatusChangeId,
    /// The lead.
    pub lead_id: LeadId,
    /// The status before; `None` for the first entry.
    pub from_status: Option<LeadStatus>,
    /// The status after.
    pub to_status: LeadStatus,
    /// Who did it; `None` when no person did.
    pub changed_by: Option<UserId>,
    /// Who acted in their name.
    pub impersonator: Option<String>,
    /// What they noted.
    pub note: Option<String>,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// A step to be recorded.
#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = lead_status_changes, treat_none_as_default_value = false)]
pub struct NewLeadStatusChange<'a> {
    /// The tenant.
    pub tenant_id: TenantId,
    /// The entry's id.
    pub id: LeadStatusChangeId,
    /// The lead's partner.
    pub partner_id: PartnerId,
    /// The lead.
    pub lead_id: LeadId,
    /// The status before.
    pub from_status: Option<LeadStatus>,
    /// The status after.
    pub to_status: LeadStatus,
    /// Who does it.
    pub changed_by: Option<UserId>,
    /// What they note.
    pub note: Option<&'a str>,
}

impl LeadStatusChange {
    /// Those of `ids` that are in scope.
    pub async fn by_ids(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        ids: &[LeadStatusChangeId],
    ) -> QueryResult<HashMap<LeadStatusChangeId, Self>> {
        let mut query = Self::query()
            .filter(lead_status_changes::tenant_id.eq(scope.tenant))
            .filter(lead_status_changes::id.eq_any(ids))
            .into_boxed();
        if let Some(partner) = scope.partner {
            query = query.filter(lead_status_changes::partner_id.eq(partner));
        }
        let rows: Vec<Self> = query.load(&mut connection).await?;
        Ok(rows.into_iter().map(|row| (row.id, row)).collect())
    }

    /// Each lead's steps, the first one first.
    pub async fn by_leads(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        leads: &[LeadId],
    ) -> QueryResult<HashMap<LeadId, Vec<Self>>> {
        let mut query = Self::query()
            .filter(lead_status_changes::tenant_id.eq(scope.tenant))
            .filter(lead_status_changes::lead_id.eq_any(leads))
            .order((lead_status_changes::created_at, lead_status_changes::id))
            .into_boxed();
        if let Some(partner) = scope.partner {
            query = query.filter(lead_status_changes::partner_id.eq(partner));
        }
        let rows: Vec<Self> = query.load(&mut connection).await?;
        Ok(group(rows.into_iter().map(|row| (row.lead_id, row)).collect()))
    }

    /// Records a step.
    pub async fn insert(mut connection: &AsyncPgConnection, new: &NewLeadStatusChange<'_>) -> QueryResult<()> {
        diesel::insert_into(lead_status_changes::table).values(new).execute(&mut connection).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::LeadStatus::{self, Contacted, Converted, Lost, Pending, Qualified};

    /// Forward by any number of steps, out of any open status to lost, from lost to the start, and never out of converted.
    #[test]
    fn pipeline() {
        let order = [Pending, Contacted, Qualified, Converted];
        for from in LeadStatus::ALL {
            for to in LeadStatus::ALL {
                let rank = |status| order.iter().position(|known| known == status);
                let allowed = match (*from, *to) {
                    (Converted, _) => false,
                    (Lost, to) => to == Pending,
                    (_, Lost) => true,
                    (from, to) => rank(&from) < rank(&to),
                };
                assert_eq!(from.next().contains(to), allowed, "{from:?} to {to:?}");
            }
        }
    }
}
