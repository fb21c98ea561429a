//! What a query can begin with of customers.

use async_graphql::{Context, Object};

use super::customer::{Customer, CustomerFilterInput, CustomerOrder};
use crate::{
    error::Result,
    graphql::engine::{pagination::Connection, row::Row},
    ids::CustomerId,
    models::page::PageArguments,
};

#[derive(Default)]
pub struct CustomerQueries;

#[Object]
impl CustomerQueries {
    /// A customer. Null where there is no such customer, or your partner neither manages it nor ever did.
    async fn customer(&self, ctx: &Context<'_>, #[graphql(desc = "Its id.")] id: CustomerId) -> Option<Result<Row<Customer>>> {
        Customer::by_id(ctx, id).await.transpose()
    }

    /// The customers that your partner manages or once did; for operators and services all. The newest first where no order is given.
    async fn customers(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
        #[graphql(desc = "Which customers to show; all of them where it is not given.")] filter: Option<CustomerFilterInput>,
        #[graphql(desc = "How to order them.")] order_by: Option<CustomerOrder>,
    ) -> Result<Option<Connection<Customer>>> {
        Customer::paginate(ctx, PageArguments { first, after, last, before }, filter, order_by).await.map(Some)
    }
}
