//! Invoices: what the billing system has reported of each, so that no report counts twice and none that comes late is lost.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rust_decimal::Decimal;

use crate::{
    db::schema::invoices,
    ids::{CustomerId, TenantId},
};

/// An invoice.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = invoices)]
pub struct Invoice {
    /// Its id in the billing system.
    pub external_id: String,
    /// Who paid it; `None` while only a refund is known.
    pub customer_id: Option<CustomerId>,
    /// The currency (ISO 4217).
    pub currency: String,
    /// How much was paid.
    pub amount: Option<Decimal>,
    /// When.
    pub paid_at: Option<DateTime<Utc>>,
    /// How much has been refunded in all.
    pub refunded: Decimal,
    /// When, the last time.
    pub refunded_at: Option<DateTime<Utc>>,
}

impl Invoice {
    /// The invoice, locked until the transaction ends. A second report of it waits here for the first.
    pub async fn lock_or_add(
        mut connection: &AsyncPgConnection,
        tenant: TenantId,
        external_id: &str,
        currency: &str,
    ) -> QueryResult<Self> {
        diesel::insert_into(invoices::table)
            .values((invoices::tenant_id.eq(tenant), invoices::external_id.eq(external_id), invoices::currency.eq(currency)))
            .on_conflict_do_nothing()
            .execute(&mut connection)
            .await?;
        Self::query()
            .filter(invoices::tenant_id.eq(tenant))
            .filter(invoices::external_id.eq(external_id))
            .for_no_key_update()
            .first(&mut connection)
            .await
    }

    /// Notes its payment.
    pub async fn pay(
        &self,
        mut connection: &AsyncPgConnection,
        tenant: TenantId,
        customer: CustomerId,
        amount: Decimal,
        paid_at: DateTime<Utc>,
    ) -> QueryResult<()> {
        let row = invoices::table.filter(invoices::tenant_id.eq(tenant)).filter(invoices::external_id.eq(&self.external_id));
        diesel::update(row)
            .set((
                invoices::customer_id.eq(customer),
                invoices::amount.eq(amount),
                invoices::paid_at.eq(paid_at),
                invoices::updated_at.eq(diesel::dsl::now),
            ))
            .execute(&mut connection)
            .await
            .map(drop)
    }

    /// Notes how much of it has been refunded in all.
    pub async fn refund(
        &self,
        mut connection: &AsyncPgConnection,
        tenant: TenantId,
        refunded: Decimal,
        refunded_at: DateTime<Utc>,
    ) -> QueryResult<()> {
        let row = invoices::table.filter(invoices::tenant_id.eq(tenant)).filter(invoices::external_id.eq(&self.external_id));
        diesel::update(row)
            .set((
                invoices::refunded.eq(refunded),
                invoices::refunded_at.eq(refunded_at),
                invoices::updated_at.eq(diesel::dsl::now),
            ))
            .execute(&mut connection)
            .await
            .map(drop)
    }
}
