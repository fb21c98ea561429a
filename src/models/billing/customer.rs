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
        schema::{customers, partner_accounts, partners},
        statement::{Bind, statement},
    },
    ids::{CustomerAccountId, CustomerId, LinkId, PartnerId, ProgrammeId, TenantId},
    models::{
        list::{Conditions, list},
        page::{Cursor, Key, KeyKind, Page, SortKey, finds, group},
        partners::status::PartnerStatus,
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
    /// When it was reported first.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// A period in which a partner manages a customer.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = partner_accounts)]
pub struct CustomerAccount {
    /// Its id.
    pub id: CustomerAccountId,
    /// The partner.
    pub partner_id: PartnerId,
    /// The customer.
    pub customer_id: CustomerId,
    /// The partner's link that the customer came by.
    pub link_id: Option<LinkId>,
    /// That link's programme.
    pub programme_id: Option<ProgrammeId>,
    /// The customer's own rate, as a fraction.
    pub commission_rate: Option<Decimal>,
    /// Its first instant.
    pub managed_from: DateTime<Utc>,
    /// Its end, exclusive; `None` while it lasts.
    pub managed_to: Option<DateTime<Utc>>,
}

/// A period to be added.
#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = partner_accounts)]
pub struct NewCustomerAccount {
    /// Its tenant.
    pub tenant_id: TenantId,
    /// Its id.
    pub id: CustomerAccountId,
    /// The partner.
    pub partner_id: PartnerId,
    /// The customer.
    pub customer_id: CustomerId,
    /// The partner's link that the customer came by.
    pub link_id: Option<LinkId>,
    /// That link's programme.
    pub programme_id: Option<ProgrammeId>,
    /// The customer's own rate.
    pub commission_rate: Option<Decimal>,
    /// Its first instant.
    pub managed_from: DateTime<Utc>,
}

/// Whose periods are meant.
#[derive(Debug, Clone, Copy)]
pub enum Whose {
    /// A partner's.
    Partner(PartnerId),
    /// A customer's.
    Customer(CustomerId),
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
                    .filter(partner_accounts::customer_id.eq(customers::id));
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

    /// The customer, locked until the transaction ends: who manages it is not changed by two at once.
    pub async fn lock(mut connection: &AsyncPgConnection, tenant: TenantId, id: CustomerId) -> QueryResult<Option<Self>> {
        let query = Self::query().filter(customers::tenant_id.eq(tenant)).filter(customers::id.eq(id)).for_no_key_update();
        query.first(&mut connection).await.optional()
    }
}

impl CustomerAccount {
    /// Those of `ids` that are in scope.
    pub async fn by_ids(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        ids: &[CustomerAccountId],
    ) -> QueryResult<HashMap<CustomerAccountId, Self>> {
        let query = Self::query().filter(partner_accounts::tenant_id.eq(scope.tenant)).filter(partner_accounts::id.eq_any(ids));
        let rows: Vec<Self> = query.load(&mut connection).await?;
        Ok(rows.into_iter().filter(|row| scope.includes(row.partner_id)).map(|row| (row.id, row)).collect())
    }

    /// Each customer's periods in scope, the last one first.
    pub async fn by_customers(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        customers: &[CustomerId],
    ) -> QueryResult<HashMap<CustomerId, Vec<Self>>> {
        let rows: Vec<Self> = Self::query()
            .filter(partner_accounts::tenant_id.eq(scope.tenant))
            .filter(partner_accounts::customer_id.eq_any(customers))
            .order((partner_accounts::managed_from.desc(), partner_accounts::id))
            .load(&mut connection)
            .await?;
        let rows = rows.into_iter().filter(|row| scope.includes(row.partner_id));
        Ok(group(rows.map(|row| (row.customer_id, row)).collect()))
    }

    /// The period that an instant falls into, and the partner's status now; a closed partner manages nobody.
    pub async fn at(
        mut connection: &AsyncPgConnection,
        tenant: TenantId,
        customer: CustomerId,
        at: DateTime<Utc>,
    ) -> QueryResult<Option<(Self, PartnerStatus)>> {
        partner_accounts::table
            .inner_join(
                partners::table
                    .on(partners::tenant_id.eq(partner_accounts::tenant_id).and(partners::id.eq(partner_accounts::partner_id))),
            )
            .filter(partners::status.ne(PartnerStatus::Closed))
            .select((Self::as_select(), partners::status))
            .filter(partner_accounts::tenant_id.eq(tenant))
            .filter(partner_accounts::customer_id.eq(customer))
            .filter(partner_accounts::managed_from.le(at))
            .filter(partner_accounts::managed_to.is_null().or(partner_accounts::managed_to.gt(at)))
            .first(&mut connection)
            .await
            .optional()
    }

    /// The last period, those that never began left out.
    pub async fn latest(mut connection: &AsyncPgConnection, tenant: TenantId, customer: CustomerId) -> QueryResult<Option<Self>> {
        Self::query()
            .filter(partner_accounts::tenant_id.eq(tenant))
            .filter(partner_accounts::customer_id.eq(customer))
            .filter(
                partner_accounts::managed_to
                    .is_null()
                    .or(partner_accounts::managed_to.gt(partner_accounts::managed_from.nullable())),
            )
            .order(partner_accounts::managed_from.desc())
            .first(&mut connection)
            .await
            .optional()
    }

    /// Adds a period.
    pub async fn insert(mut connection: &AsyncPgConnection, new: &NewCustomerAccount) -> QueryResult<Self> {
        let insert = diesel::insert_into(partner_accounts::table).values(new).returning(Self::as_returning());
        insert.get_result(&mut connection).await
    }

    /// Ends the period, unless it has ended by then; one that has not begun by then never begins.
    pub async fn end(&self, mut connection: &AsyncPgConnection, tenant: TenantId, at: DateTime<Utc>) -> QueryResult<()> {
        diesel::update(
            partner_accounts::table
                .filter(partner_accounts::tenant_id.eq(tenant))
                .filter(partner_accounts::id.eq(self.id))
                .filter(partner_accounts::managed_to.is_null().or(partner_accounts::managed_to.gt(at))),
        )
        .set(partner_accounts::managed_to.eq(at.max(self.managed_from)))
        .execute(&mut connection)
        .await
        .map(drop)
    }

    /// Ends every period of a partner's or a customer's that has not ended by then; those that have not begun never begin. Whether there were
    /// any.
    pub async fn end_all(
        mut connection: &AsyncPgConnection,
        tenant: TenantId,
        whose: Whose,
        at: DateTime<Utc>,
    ) -> QueryResult<bool> {
        let mut query = Self::query()
            .into_boxed::<Pg>()
            .filter(partner_accounts::tenant_id.eq(tenant))
            .filter(partner_accounts::managed_to.is_null().or(partner_accounts::managed_to.gt(at)));
        query = match whose {
            Whose::Partner(partner) => query.filter(partner_accounts::partner_id.eq(partner)),
            Whose::Customer(customer) => query.filter(partner_accounts::customer_id.eq(customer)),
        };
        let open: Vec<Self> = query.load(&mut connection).await?;
        for period in &open {
            period.end(connection, tenant, at).await?;
        }
        // One that never began, and does not now either, ends when it begins.
        Ok(open.iter().any(|period| period.managed_to.is_none_or(|end| end != at.max(period.managed_from))))
    }
}
