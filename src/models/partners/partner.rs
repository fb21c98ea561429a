//! Partners: the organisations that sell for a tenant.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{prelude::*, sql_types::Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rust_decimal::Decimal;
use uuid::Uuid;

use super::status::PartnerStatus;
use crate::{
    db::{
        QueryError, is_taken,
        schema::{partner_profiles, partners},
        statement::{Bind, statement},
    },
    ids::{PartnerId, TenantId},
    models::{
        list::{Conditions, list},
        page::{Cursor, Key, KeyKind, Page, SortKey, finds},
        scope::Scope,
    },
};

/// A partner.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = partners)]
pub struct Partner {
    /// Its tenant.
    pub tenant_id: TenantId,
    /// Its id.
    pub id: PartnerId,
    /// Its company's name.
    pub company_name: String,
    /// The name as lists are ordered by it.
    pub company_name_sort: String,
    /// Whether it may work.
    pub status: PartnerStatus,
    /// Its default share of a sale, as a fraction.
    pub commission_rate: Decimal,
    /// The organisation at the token issuer whose members act for it.
    pub clerk_org_id: Option<String>,
    /// Why it has its status, as the operator who gave it said.
    pub status_reason: Option<String>,
    /// The number of its leads.
    pub total_referrals: i32,
    /// The number of its converted leads.
    pub converted_referrals: i32,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// A partner to be added.
#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = partners)]
pub struct NewPartner<'a> {
    /// Its tenant.
    pub tenant_id: TenantId,
    /// Its id.
    pub id: PartnerId,
    /// Its company's name.
    pub company_name: &'a str,
    /// Whether it may work.
    pub status: PartnerStatus,
    /// Its default share of a sale.
    pub commission_rate: Decimal,
    /// The organisation at the token issuer.
    pub clerk_org_id: Option<&'a str>,
}

/// What to change of a partner; `None` stays as it is.
#[derive(Debug, Clone, Default, AsChangeset)]
#[diesel(table_name = partners)]
pub struct PartnerChanges {
    /// Its company's name.
    pub company_name: Option<String>,
    /// Its default share of a sale.
    pub commission_rate: Option<Decimal>,
    /// The organisation at the token issuer; `Some(None)` takes it away.
    pub clerk_org_id: Option<Option<String>>,
    /// Whether it may work.
    pub status: Option<PartnerStatus>,
    /// Why; `Some(None)` where no reason is given.
    pub status_reason: Option<Option<String>>,
}

impl PartnerChanges {
    /// Whether anything of a partner is not so already.
    pub fn differ_from(&self, partner: &Partner) -> bool {
        differ!(self, partner; company_name, commission_rate, clerk_org_id, status, status_reason)
    }
}

/// Which partners a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct PartnerFilter {
    /// Those of these statuses, which may be none at all; of whichever where it is not given.
    pub statuses: Option<Vec<PartnerStatus>>,
    /// Those whose name has every word of this.
    pub search: Option<String>,
}

/// Whether a write failed because another partner has the organisation already.
pub(super) fn is_organization_taken(error: &QueryError) -> bool {
    is_taken(error, "partners_clerk_org_id_key")
}

/// By creation.
pub const BY_CREATED: SortKey =
    SortKey { name: "created", column: "partners.created_at", id: "partners.id", kind: KeyKind::Time };
/// By the last change.
pub const BY_UPDATED: SortKey =
    SortKey { name: "updated", column: "partners.updated_at", id: "partners.id", kind: KeyKind::Time };
/// By name, without regard to case.
pub const BY_NAME: SortKey =
    SortKey { name: "name", column: "partners.company_name_sort", id: "partners.id", kind: KeyKind::Text };

impl PartnerFilter {
    /// What holds for each of them.
    fn conditions(&self, scope: Scope) -> Conditions<'_, partners::table> {
        Conditions::of(partners::tenant_id.eq(scope.tenant))
            .and_if(scope.partner, |partner| partners::id.eq(partner))
            .and_one_of(
                self.statuses.as_deref(),
                |status| partners::status.eq(status),
                |statuses| partners::status.eq_any(statuses),
            )
            .and_if(&self.search, |search| finds("partners", search))
    }
}

list!(PartnerFilter => Partner; partners);

impl Partner {
    /// Those of `ids` that are in scope.
    pub async fn by_ids(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        ids: &[PartnerId],
    ) -> QueryResult<HashMap<PartnerId, Self>> {
        let rows = Self::query()
            .filter(partners::tenant_id.eq(scope.tenant))
            .filter(partners::id.eq_any(ids))
            .load(&mut connection)
            .await?;
        Ok(rows.into_iter().filter(|row: &Self| scope.includes(row.id)).map(|row| (row.id, row)).collect())
    }

    /// Where this row stands in a list of that order.
    pub fn cursor(&self, page: &Page) -> Cursor {
        let key = match page.sort() {
            sort if sort == BY_NAME => Key::Text(self.company_name_sort.clone()),
            sort if sort == BY_UPDATED => Key::Time(self.updated_at),
            _ => Key::Time(self.created_at),
        };
        page.cursor(key, Uuid::from(self.id))
    }

    /// The share of its leads that converted, as a fraction with four digits; zero without leads.
    pub fn conversion_rate(&self) -> Decimal {
        let rate = Decimal::from(self.converted_referrals).checked_div(Decimal::from(self.total_referrals)).unwrap_or_default();
        let mut rate = rate.round_dp(4);
        rate.rescale(4);
        rate
    }

    /// Adds a partner and its empty profile.
    pub async fn insert(mut connection: &AsyncPgConnection, new: &NewPartner<'_>) -> QueryResult<()> {
        diesel::insert_into(partners::table).values(new).execute(&mut connection).await?;
        diesel::insert_into(partner_profiles::table)
            .values((partner_profiles::tenant_id.eq(new.tenant_id), partner_profiles::partner_id.eq(new.id)))
            .execute(&mut connection)
            .await
            .map(drop)
    }

    /// The partner, whose organisation and id stay until the transaction ends.
    pub async fn hold(mut connection: &AsyncPgConnection, scope: Scope, id: PartnerId) -> QueryResult<Option<Self>> {
        let hold = statement::<Text>("SELECT portal_hold_partner(?)::text", vec![Bind::Uuid(id.uuid())]);
        hold.execute(&mut connection).await?;
        Ok(Self::by_ids(connection, scope, &[id]).await?.remove(&id))
    }

    /// The partner, locked until the transaction ends, for changes of its status.
    pub async fn lock(mut connection: &AsyncPgConnection, scope: Scope, id: PartnerId) -> QueryResult<Option<Self>> {
        let query = Self::query().filter(partners::tenant_id.eq(scope.tenant)).filter(partners::id.eq(id)).for_no_key_update();
        Ok(query.first(&mut connection).await.optional()?.filter(|row: &Self| scope.includes(row.id)))
    }

    /// The same for all changes. The organisation is a column of a unique key, and changing it needs the stronger lock: a transaction that
    /// took the weaker one first would deadlock with `createLead`, which holds the key's lock and then locks the row to count itself.
    pub async fn lock_key(mut connection: &AsyncPgConnection, scope: Scope, id: PartnerId) -> QueryResult<Option<Self>> {
        let query = Self::query().filter(partners::tenant_id.eq(scope.tenant)).filter(partners::id.eq(id)).for_update();
        Ok(query.first(&mut connection).await.optional()?.filter(|row: &Self| scope.includes(row.id)))
    }

    /// Changes the partner, which the caller has locked.
    pub async fn update(&self, mut connection: &AsyncPgConnection, changes: &PartnerChanges) -> QueryResult<()> {
        diesel::update(partners::table.filter(partners::tenant_id.eq(self.tenant_id)).filter(partners::id.eq(self.id)))
            .set((changes, partners::updated_at.eq(diesel::dsl::now)))
            .execute(&mut connection)
            .await
            .map(drop)
    }
}

/// The tenant of a partner, in whatever tenant it is; for the command line, as the tables' owner.
pub async fn tenant_of(mut connection: &AsyncPgConnection, partner: PartnerId) -> QueryResult<Option<TenantId>> {
    partners::table.filter(partners::id.eq(partner)).select(partners::tenant_id).first(&mut connection).await.optional()
}
