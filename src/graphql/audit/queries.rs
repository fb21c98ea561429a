//! Queries of the audit trail.

use async_graphql::{Context, Object};

use super::entry::{AuditEntry, AuditFilterInput};
use crate::{
    auth::Readable,
    error::{Error, Result},
    graphql::engine::{context::ContextExt, pagination::Connection},
    models::page::PageArguments,
};

#[derive(Default)]
pub struct AuditQueries;

#[Object]
impl AuditQueries {
    /// Who has changed what, and why, the latest first. Operators see all entries, owners of a partner those of their partner.
    async fn audit_log(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
        #[graphql(desc = "Which of them.")] filter: Option<AuditFilterInput>,
    ) -> Result<Option<Connection<AuditEntry>>> {
        if !ctx.viewer().may_read(Readable::Audit) {
            return Err(Error::Forbidden("Only operators and owners of partners read the audit trail.".to_owned()));
        }
        AuditEntry::paginate(ctx, filter, PageArguments { first, after, last, before }).await.map(Some)
    }
}
