//! Customers as the API shows them.

use std::sync::Arc;

use async_graphql::{Context, Enum, InputObject, Object};
use rust_decimal::Decimal as Number;

use crate::{
    error::Result,
    graphql::{
        commissions::{
            commission::Commission,
            list::{CommissionFilterInput, CommissionOrder},
        },
        engine::{
            arguments::{OrderDirection, search_text},
            context::{ContextExt, missing},
            lists::{self, Shown},
            loaders::batch_key,
            pagination::{Connection, Listed, TotalCount},
            row::{Row, plain},
            scalars::{DateTime, Decimal, EmailAddress, Money},
        },
        imports::imported::ImportedFrom,
        partners::partner::Partner,
        people::user::User,
        programmes::sign_up::CustomerAttribution,
    },
    ids::{CustomerAccountId, CustomerId},
    models::{
        billing::{
            account,
            customer::{self, BY_CREATED, BY_NAME, CustomerFilter},
        },
        imports::facts::ImportKind,
        page::{Page, PageArguments, SortKey},
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
                Partner::by_id(ctx, periods.iter().find(|period| period.covers(now))?.partner_id).await.transpose()
            }
            Err(error) => Some(Err(error)),
        }
    }

    /// By which link it came to the partner that manages it now. Null where nobody does, where it did not come by a link, and where it is
    /// another partner's.
    async fn attribution(&self, ctx: &Context<'_>) -> Option<Result<CustomerAttribution>> {
        match self.periods(ctx).await {
            Ok(periods) => Some(Ok(CustomerAttribution::of(periods.iter().find(|period| period.covers(ctx.now()))?)?)),
            Err(error) => Some(Err(error)),
        }
    }

    /// By whom it is and was managed, and when; the last one first. Partners see their own periods.
    async fn accounts(&self, ctx: &Context<'_>) -> Result<Vec<CustomerAccount>> {
        Ok(self.periods(ctx).await?.iter().cloned().map(CustomerAccount).collect())
    }

    /// The commissions that its payments have earned, and what was taken back of them. Partners see their own. The latest first where no order
    /// is given.
    async fn commissions(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
        #[graphql(desc = "Which commissions to show; all of them where it is not given.")] filter: Option<CommissionFilterInput>,
        #[graphql(desc = "How to order them.")] order_by: Option<CommissionOrder>,
    ) -> Result<Option<Connection<Commission>>> {
        let arguments = PageArguments { first, after, last, before };
        Commission::of_customer(ctx, self.0.id, arguments, filter, order_by).await.map(Some)
    }

    /// What it has paid, less what was refunded, in each currency. For partners it counts the payments that have earned them a commission.
    async fn revenue(&self, ctx: &Context<'_>) -> Result<Vec<Money>> {
        let revenue = ctx.load(RevenueOfCustomer(self.0.id)).await?.unwrap_or_default();
        revenue.iter().map(|(currency, amount)| Money::stored(*amount, currency)).collect()
    }

    /// The user that the customer is. Null where that is not known, or you may not see them.
    async fn user(&self, ctx: &Context<'_>) -> Option<Result<User>> {
        User::by_id(ctx, self.0.user_id?).await.transpose()
    }

    /// Which row of another system it was imported as. Null where it was not, and for all but operators.
    async fn imported_from(&self, ctx: &Context<'_>) -> Option<Result<ImportedFrom>> {
        ImportedFrom::of(ctx, ImportKind::Customer, self.0.id).await.transpose()
    }

    /// When it was reported first.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When it last changed.
    async fn updated_at(&self) -> DateTime {
        self.0.updated_at.into()
    }

    /// When the person was erased, and their name replaced by a pseudonym. Null where they were not.
    async fn erased_at(&self) -> Option<DateTime> {
        self.0.erased_at.map(DateTime)
    }
}

/// A period in which a partner manages a customer.
#[derive(Clone)]
pub struct CustomerAccount(account::CustomerAccount);

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

    /// By which link the customer came to the partner. Null where it did not come by one.
    async fn attribution(&self) -> Option<CustomerAttribution> {
        CustomerAttribution::of(&self.0)
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

/// How to order customers.
#[derive(InputObject, Default)]
pub struct CustomerOrder {
    /// By what.
    field: CustomerOrderField,
    /// In which direction.
    #[graphql(default)]
    direction: OrderDirection,
}

/// What customers can be ordered by.
#[derive(Enum, Clone, Copy, PartialEq, Eq, Default)]
pub enum CustomerOrderField {
    /// When they were reported first.
    #[default]
    CreatedAt,
    /// Their name, without regard to case.
    Name,
}

impl CustomerOrderField {
    fn sort_key(self) -> SortKey {
        match self {
            Self::CreatedAt => BY_CREATED,
            Self::Name => BY_NAME,
        }
    }
}

plain!(Customer: id, external_id, name, email, created_at, updated_at, erased_at);

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

    /// One page of the customers that the viewer may see.
    pub async fn paginate(
        ctx: &Context<'_>,
        arguments: PageArguments,
        filter: Option<CustomerFilterInput>,
        order: Option<CustomerOrder>,
    ) -> Result<Connection<Self>> {
        let order = order.unwrap_or_default();
        let page = Page::new(order.field.sort_key(), order.direction.is_descending(), arguments)?;
        let search = search_text(filter.and_then(|filter| filter.search))?;
        lists::root(ctx, CustomerFilter { search }, page).await
    }

    async fn periods(&self, ctx: &Context<'_>) -> Result<Arc<[account::CustomerAccount]>> {
        Ok(ctx.load(AccountsByCustomer(self.0.id)).await?.unwrap_or_default())
    }
}

batch_key!(RevenueOfCustomer(CustomerId) -> Arc<[(String, Number)]>, customer::Customer::revenues);

batch_key!(CustomerById(CustomerId) -> Arc<customer::Customer>, customer::Customer::by_ids);

impl CustomerAccount {
    /// The period of that id, if the viewer may see it.
    pub async fn by_id(ctx: &Context<'_>, id: CustomerAccountId) -> Result<Option<Self>> {
        Ok(ctx.load(AccountById(id)).await?.map(|row| Self(row.as_ref().clone())))
    }
}

batch_key!(AccountById(CustomerAccountId) -> Arc<account::CustomerAccount>, account::CustomerAccount::by_ids);

batch_key!(AccountsByCustomer(CustomerId) -> Arc<[account::CustomerAccount]>, account::CustomerAccount::by_customers);

impl Listed for Customer {
    type Beside = TotalCount;
}

impl Shown for CustomerFilter {}
