//! Customers as the API shows them.

use std::sync::Arc;

use async_graphql::{Context, InputObject, Object};

use super::{
    context::{ContextExt, missing},
    lists::{self, Shown},
    loaders::batch_key,
    pagination::Connection,
    partner::Partner,
    query::search_text,
    row::{Row, plain},
    scalars::{DateTime, Decimal, EmailAddress},
};
use crate::{
    error::Result,
    ids::{CustomerAccountId, CustomerId},
    models::{
        customer::{self, BY_CREATED, CustomerFilter},
        page::{Page, PageArguments},
    },
};

/// A customer.
#[derive(Clone)]
pub struct Customer(pub Arc<customer::Customer>);

/// Somebody who pays the tenant, as its billing system knows them.
#[Object]
impl Customer {
    /// Its id.
    pub async fn id(&self) -> CustomerId {
        self.0.id
    }

    /// Its id in the billing system.
    async fn external_id(&self) -> &str {
        &self.0.external_id
    }

    /// Its name.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Its e-mail address. Null where none is known.
    async fn email(&self) -> Option<EmailAddress> {
        self.0.email.clone().map(EmailAddress)
    }

    /// The partner that manages it now. Null where none does, and where it is another than yours.
    async fn partner(&self, ctx: &Context<'_>) -> Option<Result<Row<Partner>>> {
        match self.periods(ctx).await {
            Ok(periods) => {
                let now = ctx.now();
                let holds = |period: &&customer::CustomerAccount| {
                    period.managed_from <= now && period.managed_to.is_none_or(|end| end > now)
                };
                Partner::by_id(ctx, periods.iter().find(holds)?.partner_id).await.transpose()
            }
            Err(error) => Some(Err(error)),
        }
    }

    /// By whom it is and was managed, and when; the last one first. Partners see their own periods.
    async fn accounts(&self, ctx: &Context<'_>) -> Result<Vec<CustomerAccount>> {
        Ok(self.periods(ctx).await?.iter().cloned().map(CustomerAccount).collect())
    }

    /// When it was reported first.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When it last changed.
    async fn updated_at(&self) -> DateTime {
        self.0.updated_at.into()
    }
}

/// A period in which a partner manages a customer.
#[derive(Clone)]
pub struct CustomerAccount(customer::CustomerAccount);

/// A period in which a partner manages a customer and earns by what it pays.
#[Object]
impl CustomerAccount {
    /// Its id.
    pub async fn id(&self) -> CustomerAccountId {
        self.0.id
    }

    /// The partner.
    async fn partner(&self, ctx: &Context<'_>) -> Result<Row<Partner>> {
        Partner::by_id(ctx, self.0.partner_id).await?.ok_or_else(|| missing("a customer's partner"))
    }

    /// The customer's own rate, as a fraction; it goes before every rule. Null where the rules decide.
    async fn commission_rate(&self) -> Option<Decimal> {
        self.0.commission_rate.map(Decimal)
    }

    /// Its first instant.
    async fn managed_from(&self) -> DateTime {
        self.0.managed_from.into()
    }

    /// Its end, exclusive. Null while it lasts.
    async fn managed_to(&self) -> Option<DateTime> {
        self.0.managed_to.map(DateTime)
    }
}

/// Which customers to show.
#[derive(InputObject)]
#[graphql(name = "CustomerFilter")]
pub struct CustomerFilterInput {
    /// Only those whose name, id in the billing system or e-mail address has every word of this text, in any order, without regard to case, accents and compatibility forms.
    search: Option<String>,
}

plain!(Customer: id, external_id, name, email, created_at, updated_at);

impl From<Arc<customer::Customer>> for Customer {
    fn from(row: Arc<customer::Customer>) -> Self {
        Self(row)
    }
}

impl Customer {
    /// The customer of that id, if the viewer may see it.
    pub async fn by_id(ctx: &Context<'_>, id: CustomerId) -> Result<Option<Row<Self>>> {
        Ok(ctx.load(CustomerById(id)).await?.map(|row| Row(Self(row))))
    }

    /// One page of the customers that the viewer may see, the newest first.
    pub async fn paginate(
        ctx: &Context<'_>,
        arguments: PageArguments,
        filter: Option<CustomerFilterInput>,
    ) -> Result<Connection<Self>> {
        let page = Page::new(BY_CREATED, true, arguments)?;
        let search = search_text(filter.and_then(|filter| filter.search))?;
        lists::root(ctx, CustomerFilter { search }, page).await
    }

    async fn periods(&self, ctx: &Context<'_>) -> Result<Arc<[customer::CustomerAccount]>> {
        Ok(ctx.load(AccountsByCustomer(self.0.id)).await?.unwrap_or_default())
    }
}

batch_key!(CustomerById(CustomerId) -> Arc<customer::Customer>, customer::Customer::by_ids);

impl CustomerAccount {
    /// The period of that id, if the viewer may see it.
    pub async fn by_id(ctx: &Context<'_>, id: CustomerAccountId) -> Result<Option<Self>> {
        Ok(ctx.load(AccountById(id)).await?.map(|row| Self(row.as_ref().clone())))
    }
}

batch_key!(AccountById(CustomerAccountId) -> Arc<customer::CustomerAccount>, customer::CustomerAccount::by_ids);

batch_key!(AccountsByCustomer(CustomerId) -> Arc<[customer::CustomerAccount]>, customer::CustomerAccount::by_customers);

impl Shown for CustomerFilter {}
