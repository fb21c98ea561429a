//! Allocations: credits assigned to a member in one go. Assigning them is in [`super::assignment`], using them in
//! [`super::redemption`], lists of them in [`super::list`].

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::{
    db::schema::credit_allocations,
    ids::{AllocationId, MemberId, PartnerId, UserId},
    models::scope::Scope,
};

/// Credits assigned to a member, and what has become of them as far as it is booked: what is past its time counts as available until
/// maintenance has seen it. [`Allocation::at`] gives the truth of an instant.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = credit_allocations)]
pub struct Allocation {
    /// Its id.
    pub id: AllocationId,
    /// Whose credits they were.
    pub partner_id: PartnerId,
    /// To whom they were assigned.
    pub member_id: MemberId,
    /// How many.
    pub credits: i32,
    /// How many were used.
    pub used: i32,
    /// How many expired.
    pub expired: i32,
    /// How many were revoked.
    pub revoked: i32,
    /// How many are none of these.
    pub available: i32,
    /// For how many days they were assigned.
    pub valid_days: i32,
    /// The first instant at which they can no longer be used.
    pub expires_at: DateTime<Utc>,
    /// Who assigned them.
    pub assigned_by: Option<UserId>,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// What an allocation's unused credits are at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unused {
    /// Those that can be used.
    pub available: i32,
    /// Those that are past their time.
    pub expired: i32,
}

impl Allocation {
    /// What its unused credits are at an instant, to the second, whether or not maintenance has run.
    pub fn at(&self, now: DateTime<Utc>) -> Unused {
        if now < self.expires_at {
            Unused { available: self.available, expired: self.expired }
        } else {
            Unused { available: 0, expired: self.expired + self.available }
        }
    }

    /// Those of `ids` that are in scope.
    pub async fn by_ids(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        ids: &[AllocationId],
    ) -> QueryResult<HashMap<AllocationId, Self>> {
        let rows: Vec<Self> = Self::query()
            .filter(credit_allocations::tenant_id.eq(scope.tenant))
            .filter(credit_allocations::id.eq_any(ids))
            .load(&mut connection)
            .await?;
        Ok(rows.into_iter().filter(|row| scope.includes(row.partner_id)).map(|row| (row.id, row)).collect())
    }
}
