//! Applications: what a partner that signed up says of itself, for the operators who decide about it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{prelude::*, upsert::excluded};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::{
    partner::{Partner, PartnerChanges},
    profile::{Profile, ProfileChanges, ProfileUpdate},
};
use crate::{
    db::schema::partner_applications,
    error::Result,
    ids::{PartnerId, TenantId, UserId},
    keyring::Keyring,
    models::{ledger::books::Books, scope::Scope},
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

/// What a partner says of itself now; `None` stays as it was said before.
#[derive(Debug, Clone, Default)]
pub struct ApplicationChanges {
    /// Its company's name.
    pub company_name: Option<String>,
    /// How it will sell.
    pub sales_plan: Option<String>,
    /// Where it is, and where its payments go.
    pub profile: ProfileChanges,
}

/// What a first application must say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needed {
    /// The company's name.
    CompanyName,
    /// The country.
    Country,
    /// How it will sell.
    SalesPlan,
}

/// Why an application was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApplicationFault {
    /// An operator has decided about the partner.
    Decided,
    /// It is the first one, and these are missing.
    Incomplete(Vec<Needed>),
}

impl ApplicationChanges {
    /// What of this a first application lacks.
    fn lacks(&self) -> Vec<Needed> {
        let said = [
            (Needed::CompanyName, self.company_name.is_some()),
            (Needed::Country, self.profile.address_country.is_some()),
            (Needed::SalesPlan, self.sales_plan.is_some()),
        ];
        said.into_iter().filter(|(_, is_said)| !is_said).map(|(needed, _)| needed).collect()
    }
}

impl Books<'_> {
    /// Takes what a partner that waits for approval says of itself, until an operator has decided. Gives whether anything was not so already.
    pub async fn submit_application(
        &self,
        scope: Scope,
        partner_id: PartnerId,
        by: UserId,
        keyring: &Keyring,
        said: ApplicationChanges,
    ) -> Result<std::result::Result<bool, ApplicationFault>> {
        // A row-level policy lets a partner lock its own row only while it is pending: an operator may be deciding just now.
        let Some(partner) = Partner::lock(self.connection, scope, partner_id).await? else {
            return Ok(Err(ApplicationFault::Decided));
        };
        let before = PartnerApplication::by_partners(self.connection, scope, &[partner_id]).await?.remove(&partner_id);
        let lacks = if before.is_some() { Vec::new() } else { said.lacks() };
        let known_plan = before.map(|before| before.sales_plan);
        let (Some(sales_plan), true) = (said.sales_plan.or_else(|| known_plan.clone()), lacks.is_empty()) else {
            return Ok(Err(ApplicationFault::Incomplete(lacks)));
        };
        let changes = PartnerChanges { company_name: said.company_name, ..PartnerChanges::default() };
        let has_new_name = changes.differ_from(&partner);
        if has_new_name {
            partner.update(self.connection, &changes).await?;
        }
        let has_new_plan = known_plan.is_none_or(|known| known != sales_plan);
        let profile = Profile::update(self.connection, keyring, scope, partner_id, &said.profile, None).await?;
        let has_changed = has_new_name || has_new_plan || profile == ProfileUpdate::Changed;
        if has_changed {
            let now = self.after_locks().at;
            let application = PartnerApplication {
                tenant_id: self.tenant,
                partner_id,
                sales_plan,
                submitted_by: by,
                submitted_at: now,
                updated_at: now,
            };
            application.store(self.connection).await?;
        }
        Ok(Ok(has_changed))
    }
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
    async fn store(&self, mut connection: &AsyncPgConnection) -> QueryResult<()> {
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
