//! What a query can begin with of credits.

use async_graphql::{Context, Object};

use super::credit::{CreditAllocation, CreditAllocationFilter};
use crate::{
    error::Result,
    graphql::engine::{pagination::Connection, row::Row},
    ids::AllocationId,
    models::page::PageArguments,
};

#[derive(Default)]
pub struct CreditQueries;

#[Object]
impl CreditQueries {
    /// Credits assigned to a member. Null where there is no such allocation, or it is not yours.
    async fn credit_allocation(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: AllocationId,
    ) -> Option<Result<Row<CreditAllocation>>> {
        CreditAllocation::by_id(ctx, id).await.transpose()
    }

    /// The credits that the partner for which you act has assigned, or for operators and services all partners. The latest first.
    async fn credit_allocations(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
        #[graphql(desc = "Which allocations to show; all of them where it is not given.")] filter: Option<CreditAllocationFilter>,
    ) -> Result<Option<Connection<CreditAllocation>>> {
        CreditAllocation::paginate(ctx, PageArguments { first, after, last, before }, filter).await.map(Some)
    }
}
