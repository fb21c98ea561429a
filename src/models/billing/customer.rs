//! Customers: who pays the tenant, and which partner manages them when.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{
    pg::Pg,
    prelude::*,
    sql_types::{Numeric, Text, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::{
    db::{
        schema::{customers, partner_accounts},
        statement::{Bind, statement},
    },
    ids::{CustomerId, TenantId, UserId},
    models::{
        list::{Conditions, list},
        page::{Cursor, Key, KeyKind, Page, SortKey, finds, group},
        scope::Scope,
    },
};

/// A customer.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = customers)]
pub struct Customer {
    /// Its id.
    pub id: CustomerId,
    /// Its id in the billing system.
    pub external_id: String,
    /// Its name.
    pub name: String,
    /// The name as lists are ordered by it.
    pub name_sort: String,
    /// Its e-mail address.
    pub email: Option<String>,
    /// The user that it is, where that is known.
    pub user_id: Option<UserId>,
    /// When it was reported first.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// When the person was erased.
    pub erased_at: Option<DateTime<Utc>>,
}

/// What is reported of a customer.
#[derive(Debug, Clone)]
pub struct CustomerReport {
    /// Its id in the billing system.
    pub external_id: String,
    /// Its name.
    pub name: String,
    /// Its e-mail address.
    pub email: Option<String>,
}

/// Which customers a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct CustomerFilter {
    /// Those whose name, id in the billing system or e-mail address has every word of this.
    pub search: Option<String>,
}

/// By creation.
pub const BY_CREATED: SortKey =
    SortKey { name: "created", column: "customers.created_at", id: "customers.id", kind: KeyKind::Time };
/// By name, without regard to case.
pub const BY_NAME: SortKey = SortKey { name: "name", column: "customers.name_sort", id: "customers.id", kind: KeyKind::Text };

impl CustomerFilter {
    /// What holds for each of them.
    fn conditions(&self, scope: Scope) -> Conditions<'_, customers::table> {
        Conditions::of(customers::tenant_id.eq(scope.tenant))
            .and_if(scope.partner, |partner| {
                let managed = partner_accounts::table
                    .filter(partner_accounts::tenant_id.eq(scope.tenant))
                    .filter(partner_accounts::partner_id.eq(partner))
                    .filter(partner_accounts::customer_id.eq(customers::id))
                    .filter(
                        partner_accounts::managed_to
                            .is_null()
                            .or(partner_accounts::managed_to.gt(partner_accounts::managed_from.nullable())),
                    );
                diesel::dsl::exists(managed)
            })
            .and_if(&self.search, |search| finds("customers", search))
    }
}

list!(CustomerFilter => Customer; customers);

impl Customer {
    /// Those of `ids` that are in scope.
    pub async fn by_ids(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        ids: &[CustomerId],
    ) -> QueryResult<HashMap<CustomerId, Self>> {
        let query = Self::query().into_boxed::<Pg>();
        let all = CustomerFilter::default();
        let query = all.conditions(scope).narrow(query).filter(customers::id.eq_any(ids));
        let rows: Vec<Self> = query.load(&mut connection).await?;
        Ok(rows.into_iter().map(|row| (row.id, row)).collect())
    }

    /// The tenant's customer of that id in the billing system; until the transaction ends nobody changes who manages it.
    pub async fn hold(mut connection: &AsyncPgConnection, tenant: TenantId, external_id: &str) -> QueryResult<Option<Self>> {
        let query = Self::query().filter(customers::tenant_id.eq(tenant)).filter(customers::external_id.eq(external_id));
        query.for_share().first(&mut connection).await.optional()
    }

    /// The tenant's customer of that id in the billing system, locked as by [`Customer::lock`].
    pub async fn lock_by_external_id(
        mut connection: &AsyncPgConnection,
        tenant: TenantId,
        external_id: &str,
    ) -> QueryResult<Option<Self>> {
        let query = Self::query().filter(customers::tenant_id.eq(tenant)).filter(customers::external_id.eq(external_id));
        query.for_no_key_update().first(&mut connection).await.optional()
    }

    /// Where this row stands in a list.
    pub fn cursor(&self, page: &Page) -> Cursor {
        let key = match page.sort() {
            sort if sort == BY_NAME => Key::Text(self.name_sort.clone()),
            _ => Key::Time(self.created_at),
        };
        page.cursor(key, Uuid::from(self.id))
    }

    /// What each of many customers has paid, less what was refunded, by currency: by all invoices, or where the scope is a partner's, by
    /// those that have earned it something.
    pub async fn revenues(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        customers: &[CustomerId],
    ) -> QueryResult<HashMap<CustomerId, Vec<(String, Decimal)>>> {
        let ids = Bind::Uuids(customers.iter().map(|id| id.uuid()).collect());
        let (text, binds) = match scope.partner {
            Some(_) => ("SELECT customer_id, currency, revenue FROM own_customer_revenue(?) ORDER BY 1, 2", vec![ids]),
            None => (
                "SELECT customer_id, currency::text, sum(amount - least(refunded, amount)) FROM invoices
                    WHERE tenant_id = ? AND customer_id = ANY (?) AND amount IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2",
                vec![Bind::Uuid(scope.tenant.uuid()), ids],
            ),
        };
        let rows: Vec<(CustomerId, String, Decimal)> =
            statement::<(SqlUuid, Text, Numeric)>(text, binds).load(&mut connection).await?;
        Ok(group(rows.into_iter().map(|(customer, currency, revenue)| (customer, (currency, revenue))).collect()))
    }

    /// Adds the customer, or brings the one of that id in the billing system up to date; and whether it was not so already.
    pub async fn upsert(
        mut connection: &AsyncPgConnection,
        tenant: TenantId,
        report: &CustomerReport,
    ) -> QueryResult<(CustomerId, bool)> {
        let upsert = diesel::insert_into(customers::table)
            .values((
                customers::tenant_id.eq(tenant),
                customers::id.eq(CustomerId::new()),
                customers::external_id.eq(&report.external_id),
                customers::name.eq(&report.name),
                customers::email.eq(&report.email),
            ))
            .on_conflict((customers::tenant_id, customers::external_id))
            .do_update()
            .set((
                customers::name.eq(&report.name),
                customers::email.eq(&report.email),
                customers::updated_at.eq(diesel::dsl::now),
            ));
        let differs = customers::name.ne(&report.name).or(customers::email.is_distinct_from(&report.email));
        // One who was erased is not named again.
        let differs = customers::erased_at.is_null().and(differs);
        let changed: Option<CustomerId> = diesel::query_dsl::methods::FilterDsl::filter(upsert, differs)
            .returning(customers::id)
            .get_result(&mut connection)
            .await
            .optional()?;
        if let Some(id) = changed {
            return Ok((id, true));
        }
        let known =
            customers::table.filter(customers::tenant_id.eq(tenant)).filter(customers::external_id.eq(&report.external_id));
        Ok((known.select(customers::id).first(&mut connection).await?, false))
    }

    /// The customer of that id in the billing system, added where there is none; one that is there stays as it is. Locked as by
    /// [`Customer::lock`].
    pub async fn add(mut connection: &AsyncPgConnection, tenant: TenantId, report: &CustomerReport) -> QueryResult<CustomerId> {
        let added = diesel::insert_into(customers::table)
            .values((
                customers::tenant_id.eq(tenant),
                customers::id.eq(CustomerId::new()),
                customers::external_id.eq(&report.external_id),
                customers::name.eq(&report.name),
                customers::email.eq(&report.email),
            ))
            .on_conflict_do_nothing()
            .returning(customers::id)
            .get_result(&mut connection)
            .await
            .optional()?;
        match added {
            Some(id) => Ok(id),
            None => {
                customers::table
                    .filter(customers::tenant_id.eq(tenant))
                    .filter(customers::external_id.eq(&report.external_id))
                    .select(customers::id)
                    .for_no_key_update()
                    .first(&mut connection)
                    .await
            }
        }
    }

    /// The customer, locked until the transaction ends: who manages it is not changed by two at once.
    pub async fn lock(mut connection: &AsyncPgConnection, tenant: TenantId, id: CustomerId) -> QueryResult<Option<Self>> {
        let query = Self::query().filter(customers::tenant_id.eq(tenant)).filter(customers::id.eq(id)).for_no_key_update();
        query.first(&mut connection).await.optional()
    }
}
