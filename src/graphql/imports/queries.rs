//! Queries of imports.

use async_graphql::{Context, Object};

use super::{
    data_import::{DataImport, DataImportFilterInput},
    imported_as,
};
use crate::{
    auth::Readable,
    error::{Error, Result},
    graphql::{
        engine::{context::ContextExt, pagination::Connection},
        node::Node,
    },
    ids::DataImportId,
    models::{
        imports::{data_import::DataSource, facts::ImportKind},
        page::PageArguments,
    },
};

#[derive(Default)]
pub struct ImportQueries;

#[Object]
impl ImportQueries {
    /// An import that runs in the background, or did. Null where there is no such import, and for all but operators.
    async fn data_import(&self, ctx: &Context<'_>, #[graphql(desc = "Its id.")] id: DataImportId) -> Option<Result<DataImport>> {
        DataImport::by_id(ctx, id).await.transpose()
    }

    /// The imports that run in the background, or did, the latest first; for operators.
    async fn data_imports(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
        #[graphql(desc = "Which imports to show; all of them where it is not given.")] filter: Option<DataImportFilterInput>,
    ) -> Result<Option<Connection<DataImport>>> {
        if !ctx.viewer().may_read(Readable::Imports) {
            return Err(refused());
        }
        DataImport::paginate(ctx, PageArguments { first, after, last, before }, filter).await.map(Some)
    }

    /// What a row of another system has become here, by its id there. Null where it is not in, or is nothing of its own (a membership, a rule, a day of
    /// a link). For operators.
    async fn imported(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The system.")] source: DataSource,
        #[graphql(desc = "What the row is.")] kind: ImportKind,
        #[graphql(desc = "Its id there.")] source_id: String,
    ) -> Option<Result<Node>> {
        if !ctx.viewer().may_read(Readable::Imports) {
            return Some(Err(refused()));
        }
        imported_as::node(ctx, source, kind, &source_id).await.transpose()
    }
}

fn refused() -> Error {
    Error::Forbidden("Only operators see what was imported.".to_owned())
}
