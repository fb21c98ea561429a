//! Which partner manages a customer when, and by which link the customer came.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{
    pg::Pg,
    prelude::*,
    sql_types::{Array, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rust_decimal::Decimal;

use crate::{
    clock,
    db::{
        schema::{partner_accounts, partners},
        statement::statement,
    },
    ids::{ClickId, CustomerAccountId, CustomerId, LinkId, PartnerId, ProgrammeId, TenantId},
    models::{page::group, partners::status::PartnerStatus, programmes::link::LinkMeans, scope::Scope},
};

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
    /// How the customer came to the partner.
    #[diesel(embed)]
    pub origin: Origin,
    /// The customer's own rate, as a fraction.
    pub commission_rate: Option<Decimal>,
    /// Its first instant.
    pub managed_from: DateTime<Utc>,
    /// Its end, exclusive; `None` while it lasts.
    pub managed_to: Option<DateTime<Utc>>,
}

/// The partner's link by which a customer came; all of it is empty where it came by none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = partner_accounts)]
pub struct Origin {
    /// The link.
    pub link_id: Option<LinkId>,
    /// That link's programme.
    pub programme_id: Option<ProgrammeId>,
    /// How the customer came by it.
    pub means: Option<LinkMeans>,
    /// The click.
    pub click_id: Option<ClickId>,
    /// When that was.
    pub clicked_at: Option<DateTime<Utc>>,
}

/// A period that an instant falls into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Managed {
    /// The period.
    pub account: CustomerAccount,
    /// The partner's status now.
    pub status: PartnerStatus,
    /// With whom the partner shares what is earned by the link that the customer came by.
    pub sharers: Vec<PartnerId>,
}

impl Managed {
    /// Whose books a payment in the period is booked in.
    pub fn partners(&self) -> Vec<PartnerId> {
        std::iter::once(self.account.partner_id).chain(self.sharers.iter().copied()).collect()
    }
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
    /// How the customer came to the partner.
    #[diesel(embed)]
    pub origin: Origin,
    /// The customer's own rate.
    pub commission_rate: Option<Decimal>,
    /// Its first instant.
    pub managed_from: DateTime<Utc>,
    /// Its end, exclusive; `None` while none is known.
    pub managed_to: Option<DateTime<Utc>>,
}

/// Whose periods are meant.
#[derive(Debug, Clone, Copy)]
pub enum Whose {
    /// A partner's.
    Partner(PartnerId),
    /// A customer's.
    Customer(CustomerId),
}

impl CustomerAccount {
    /// Whether it is a period at all, and not one that was ended before it began.
    pub fn has_begun(&self) -> bool {
        self.managed_to.is_none_or(|end| end > self.managed_from)
    }

    /// Whether an instant falls into it.
    pub fn covers(&self, at: DateTime<Utc>) -> bool {
        self.managed_from <= at && self.managed_to.is_none_or(|end| end > at)
    }

    /// How the customer came by a link, in one sentence for people; `None` where it did not.
    pub fn attribution_sentence(&self) -> Option<String> {
        let since = clock::shown(self.managed_from);
        Some(match (self.origin.means?, self.origin.clicked_at) {
            (LinkMeans::Click, Some(clicked_at)) => {
                let clicked = clock::shown(clicked_at);
                format!("The customer followed the link at {clicked}, and is its partner's since {since}, by what came of that.")
            }
            (LinkMeans::CouponCode, _) => {
                format!("The customer gave the link's coupon code, and is its partner's since {since}.")
            }
            (LinkMeans::Click | LinkMeans::LinkKey, _) => {
                format!("The shop says that the customer came by the link; it is its partner's since {since}.")
            }
        })
    }

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

    /// The period that an instant falls into, as it is now; a closed partner manages nobody.
    pub async fn at(
        mut connection: &AsyncPgConnection,
        tenant: TenantId,
        customer: CustomerId,
        at: DateTime<Utc>,
    ) -> QueryResult<Option<Managed>> {
        let sharers = statement::<Array<SqlUuid>>(
            "ARRAY(SELECT s.partner_id FROM link_shares s WHERE s.tenant_id = partner_accounts.tenant_id AND s.link_id = partner_accounts.link_id)",
            Vec::new(),
        );
        partner_accounts::table
            .inner_join(
                partners::table
                    .on(partners::tenant_id.eq(partner_accounts::tenant_id).and(partners::id.eq(partner_accounts::partner_id))),
            )
            .filter(partners::status.ne(PartnerStatus::Closed))
            .select((Self::as_select(), partners::status, sharers))
            .filter(partner_accounts::tenant_id.eq(tenant))
            .filter(partner_accounts::customer_id.eq(customer))
            .filter(partner_accounts::managed_from.le(at))
            .filter(partner_accounts::managed_to.is_null().or(partner_accounts::managed_to.gt(at)))
            .first(&mut connection)
            .await
            .optional()
            .map(|found| found.map(|(account, status, sharers)| Managed { account, status, sharers }))
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
