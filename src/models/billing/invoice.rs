//! Invoices: what the billing system has reported of each, so that no report counts twice and none that comes late is lost.

use chrono::{DateTime, Utc};
use diesel::{prelude::*, sql_types::Bool};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rust_decimal::Decimal;

use crate::{
    db::{schema::invoices, statement::statement},
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
    /// How much has been refunded in all, by the latest report. More than was paid counts as all of that.
    pub refunded: Decimal,
    /// The time that the latest report gives.
    pub refunded_at: Option<DateTime<Utc>>,
}

/// What is reported of an invoice that may be new.
#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = invoices, treat_none_as_default_value = false)]
pub struct NewInvoice<'a> {
    /// Its tenant.
    pub tenant_id: TenantId,
    /// Its id in the billing system.
    pub external_id: &'a str,
    /// Who paid it.
    pub customer_id: Option<CustomerId>,
    /// The currency.
    pub currency: &'a str,
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
    /// Adds the invoice, or finds the one that is there; either way it is locked until the transaction ends, so that a second report
    /// waits here for the first. The answer's second part is whether it is new.
    pub async fn add(mut connection: &AsyncPgConnection, new: &NewInvoice<'_>) -> QueryResult<(Self, bool)> {
        diesel::insert_into(invoices::table)
            .values(new)
            .on_conflict((invoices::tenant_id, invoices::external_id))
            .do_update()
            // Changes nothing, and so locks and returns what is there.
            .set(invoices::updated_at.eq(invoices::updated_at))
            // Only a row that was there has been updated.
            .returning((Self::as_returning(), statement::<Bool>("xmax = 0", vec![])))
            .get_result(&mut connection)
            .await
    }

    /// How much was paid, as it is by now in this transaction.
    pub async fn amount_now(&self, mut connection: &AsyncPgConnection, tenant: TenantId) -> QueryResult<Option<Decimal>> {
        invoices::table.find((tenant, &self.external_id)).select(invoices::amount).first(&mut connection).await
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
