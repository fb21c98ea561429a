//! The steps of payouts: their states, and the record of every step.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::{
    db::schema::partner_payout_changes,
    ids::{PartnerId, PayoutChangeId, PayoutId, TenantId, UserId},
    models::{page::group, scope::Scope},
};

crate::pg_enum! {
    /// How far a payout has come.
    pub enum PayoutStatus {
        /// Made, and still to be checked.
        Pending = "pending",
        /// Released for payment.
        Ready = "ready",
        /// On its way to the partner.
        Processing = "processing",
        /// Paid.
        Completed = "completed",
        /// Could not be paid, or came back. Its commissions are free again; it can be tried again as long as they are.
        Failed = "failed",
        /// Given up. Its commissions are free again. Final.
        Cancelled = "cancelled",
    }
}

/// The steps of payouts: from which statuses each can be taken, and which one follows.
pub mod way {
    use super::PayoutStatus::{self, Cancelled, Completed, Failed, Pending, Processing, Ready};

    /// From where a step goes, and where to.
    pub type Way = (&'static [PayoutStatus], PayoutStatus);

    /// It is released for payment.
    pub const RELEASE: Way = (&[Pending], Ready);
    /// It is sent off.
    pub const START: Way = (&[Ready], Processing);
    /// It has arrived.
    pub const COMPLETE: Way = (&[Processing], Completed);
    /// It could not be paid.
    pub const FAIL: Way = (&[Processing], Failed);
    /// It is tried again.
    pub const RETRY: Way = (&[Failed], Ready);
    /// It is given up.
    pub const CANCEL: Way = (&[Pending, Ready, Failed], Cancelled);
    /// It arrived and came back.
    pub const RETURN: Way = (&[Completed], Failed);

    /// All of them.
    pub const ALL: [Way; 7] = [RELEASE, START, COMPLETE, FAIL, RETRY, CANCEL, RETURN];
}

impl PayoutStatus {
    /// The statuses that a payout can be given from this one: where the steps from it lead.
    pub fn next(self) -> Vec<Self> {
        way::ALL.iter().filter(|(from, _)| from.contains(&self)).map(|(_, to)| *to).collect()
    }

    /// Whether a payout of this status has its commissions.
    pub fn is_live(self) -> bool {
        match self {
            Self::Pending | Self::Ready | Self::Processing | Self::Completed => true,
            Self::Failed | Self::Cancelled => false,
        }
    }
}

/// One step that a payout has taken.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = partner_payout_changes)]
pub struct PayoutChange {
    /// Its id.
    pub id: PayoutChangeId,
    /// The payout.
    pub payout_id: PayoutId,
    /// The status before; `None` for the first entry.
    pub from_status: Option<PayoutStatus>,
    /// The status after.
    pub to_status: PayoutStatus,
    /// Who did it.
    pub changed_by: Option<UserId>,
    /// Who acted in their name.
    pub impersonator: Option<String>,
    /// The reference or reason that was given.
    pub note: Option<String>,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// A step to be recorded.
#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = partner_payout_changes, treat_none_as_default_value = false)]
pub struct NewPayoutChange<'a> {
    /// The tenant.
    pub tenant_id: TenantId,
    /// The entry's id.
    pub id: PayoutChangeId,
    /// The payout's partner.
    pub partner_id: PartnerId,
    /// The payout.
    pub payout_id: PayoutId,
    /// The status before.
    pub from_status: Option<PayoutStatus>,
    /// The status after.
    pub to_status: PayoutStatus,
    /// Who does it.
    pub changed_by: Option<UserId>,
    /// The reference or reason.
    pub note: Option<&'a str>,
    /// When.
    pub created_at: DateTime<Utc>,
}

impl PayoutChange {
    /// Those of `ids` that are in scope.
    pub async fn by_ids(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        ids: &[PayoutChangeId],
    ) -> QueryResult<HashMap<PayoutChangeId, Self>> {
        let mut query = Self::query()
            .filter(partner_payout_changes::tenant_id.eq(scope.tenant))
            .filter(partner_payout_changes::id.eq_any(ids))
            .into_boxed();
        if let Some(partner) = scope.partner {
            query = query.filter(partner_payout_changes::partner_id.eq(partner));
        }
        let rows: Vec<Self> = query.load(&mut connection).await?;
        Ok(rows.into_iter().map(|row| (row.id, row)).collect())
    }

    /// Each payout's steps, the first one first.
    pub async fn by_payouts(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        payouts: &[PayoutId],
    ) -> QueryResult<HashMap<PayoutId, Vec<Self>>> {
        let mut query = Self::query()
            .filter(partner_payout_changes::tenant_id.eq(scope.tenant))
            .filter(partner_payout_changes::payout_id.eq_any(payouts))
            .order((partner_payout_changes::created_at, partner_payout_changes::id))
            .into_boxed();
        if let Some(partner) = scope.partner {
            query = query.filter(partner_payout_changes::partner_id.eq(partner));
        }
        let rows: Vec<Self> = query.load(&mut connection).await?;
        Ok(group(rows.into_iter().map(|row| (row.payout_id, row)).collect()))
    }

    /// Records a step.
    pub async fn insert(mut connection: &AsyncPgConnection, new: &NewPayoutChange<'_>) -> QueryResult<()> {
        diesel::insert_into(partner_payout_changes::table).values(new).execute(&mut connection).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::PayoutStatus::{self, Cancelled, Completed, Failed, Pending, Processing, Ready};

    /// The whole table of steps.
    #[test]
    fn steps() {
        let allowed = [
            (Pending, Ready),
            (Ready, Processing),
            (Processing, Completed),
            (Processing, Failed),
            (Completed, Failed),
            (Failed, Ready),
            (Pending, Cancelled),
            (Ready, Cancelled),
            (Failed, Cancelled),
        ];
        for from in PayoutStatus::ALL {
            for to in PayoutStatus::ALL {
                assert_eq!(from.next().contains(to), allowed.contains(&(*from, *to)), "{from:?} to {to:?}");
            }
        }
    }
}
