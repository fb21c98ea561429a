//! The map of ids as the API shows it: what here was made of which row elsewhere. The other way round is in `imported_as`.

use std::{collections::HashMap, sync::Arc};

use async_graphql::{Context, Object};
use uuid::Uuid;

use crate::{
    auth::Readable,
    db,
    error::Result,
    graphql::engine::{context::ContextExt, loaders::BatchKey},
    models::{
        imports::{data_import::DataSource, facts::ImportKind, imported::ImportedRow},
        scope::Scope,
    },
};

/// A row of another system.
pub struct ImportedFrom(Arc<ImportedRow>);

/// The row of another system that something here was made of.
#[Object]
impl ImportedFrom {
    /// The system.
    async fn source(&self) -> DataSource {
        self.0.source
    }

    /// What the row is.
    async fn kind(&self) -> ImportKind {
        self.0.kind
    }

    /// Its id there. What follows from another row, as a payout from the commissions that were paid, begins with that one's.
    async fn source_id(&self) -> &str {
        &self.0.source_id
    }

    /// The file that it was read in. Null where it follows from other rows.
    async fn file(&self) -> Option<&str> {
        Some(self.0.file.as_str()).filter(|_| self.0.line > 0)
    }

    /// In which line of it. Null where it follows from other rows.
    async fn line(&self) -> Option<i64> {
        Some(self.0.line).filter(|line| *line > 0)
    }
}

impl ImportedFrom {
    /// What something was made of; `None` where it was not imported, or the viewer may not see it.
    pub async fn of(ctx: &Context<'_>, kind: ImportKind, id: impl Into<Uuid>) -> Result<Option<Self>> {
        if !ctx.viewer().may_read(Readable::Imports) {
            return Ok(None);
        }
        Ok(ctx.load(ImportedKey(kind, id.into())).await?.map(Self))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ImportedKey(ImportKind, Uuid);

impl BatchKey for ImportedKey {
    type Value = Arc<ImportedRow>;

    async fn fetch(connection: &db::Connection, scope: Scope, keys: &[Self]) -> db::QueryResult<HashMap<Self, Self::Value>> {
        let targets: Vec<(ImportKind, Uuid)> = keys.iter().map(|key| (key.0, key.1)).collect();
        let found = ImportedRow::of_targets(connection, scope, &targets).await?;
        Ok(found.into_iter().map(|((kind, id), row)| (Self(kind, id), Arc::new(row))).collect())
    }
}
