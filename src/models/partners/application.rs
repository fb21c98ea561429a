//! Applications: what a partner that signed up says of itself, for the operators who decide about it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{prelude::*, upsert::excluded};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::{
    db::schema::partner_applications,
    ids::{PartnerId, TenantId, UserId},
    models::scope::Scope,
};

/// A partner's application. The rest of what it says is in its name and its profile.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery, Insertable)]
#[diesel(table_name = partner_applications)]
pub struct PartnerApplication {
    /// The tenant.
    pub tenant_id: TenantId,
    /// The partner.
    pub partner_id: PartnerId,
    /// How it will sell, in its own words.
    pub sales_plan: String,
    /// Who submitted it last.
    pub submitted_by: UserId,
    /// When it was submitted for the first time.
    pub submitted_at: DateTime<Utc>,
    /// When it was submitted for the last time.
    pub updated_at: DateTime<Utc>,
}

impl PartnerApplication {
    /// Those of `partners` that are in scope.
    pub async fn by_partners(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        partners: &[PartnerId],
    ) -> QueryResult<HashMap<PartnerId, Self>> {
        let rows = Self::query()
            .filter(partner_applications::tenant_id.eq(scope.tenant))
            .filter(partner_applications::partner_id.eq_any(partners))
            .load(&mut connection)
            .await?;
        Ok(rows.into_iter().filter(|row: &Self| scope.includes(row.partner_id)).map(|row| (row.partner_id, row)).collect())
    }

    /// Stores it over the one before, whose first time stays.
    pub async fn submit(&self, mut connection: &AsyncPgConnection) -> QueryResult<()> {
        diesel::insert_into(partner_applications::table)
            .values(self)
            .on_conflict((partner_applications::tenant_id, partner_applications::partner_id))
            .do_update()
            .set((
                partner_applications::sales_plan.eq(excluded(partner_applications::sales_plan)),
                partner_applications::submitted_by.eq(excluded(partner_applications::submitted_by)),
                partner_applications::updated_at.eq(excluded(partner_applications::updated_at)),
            ))
            .execute(&mut connection)
            .await
            .map(drop)
    }
}
