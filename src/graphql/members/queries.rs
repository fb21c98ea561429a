//! What a query can begin with of members.

use async_graphql::{Context, Object};

use super::member::{Member, MemberFilterInput, MemberOrder};
use crate::{
    error::Result,
    graphql::engine::{pagination::Connection, row::Row},
    ids::MemberId,
    models::page::PageArguments,
};

#[derive(Default)]
pub struct MemberQueries;

#[Object]
impl MemberQueries {
    /// A member. Null where there is no such member, or it is not yours.
    async fn member(&self, ctx: &Context<'_>, #[graphql(desc = "Its id.")] id: MemberId) -> Option<Result<Row<Member>>> {
        Member::by_id(ctx, id).await.transpose()
    }

    /// The members of the partner that you act for, or for operators and services of all partners. The newest first where no order is given.
    async fn members(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
        #[graphql(desc = "Which members to show; all of them where it is not given.")] filter: Option<MemberFilterInput>,
        #[graphql(desc = "How to order them.")] order_by: Option<MemberOrder>,
    ) -> Result<Option<Connection<Member>>> {
        Member::paginate(ctx, PageArguments { first, after, last, before }, filter, order_by).await.map(Some)
    }
}
