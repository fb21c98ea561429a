//! What imports in the background reported of rows, as the API shows it.

use std::sync::Arc;

use async_graphql::{Context, InputObject, Object};

use crate::{
    auth::Readable,
    error::{Error, Result},
    graphql::engine::{
        context::ContextExt,
        json::leaf_enums,
        lists::{self, Shown},
        loaders::batch_key,
        pagination::{Connection, Listed, TotalCount},
        row::plain,
    },
    ids::{DataImportId, ImportFindingId},
    models::{
        imports::{
            data_import_finding::{self, BY_NUMBER, DataImportFindingFilter},
            facts::ImportKind,
            finding::FindingCode,
        },
        page::{Page, PageArguments},
    },
};

/// A finding.
#[derive(Clone)]
pub struct DataImportFinding(pub Arc<data_import_finding::DataImportFinding>);

/// Something that an import has to say of a row.
#[Object]
impl DataImportFinding {
    /// Its id.
    pub async fn id(&self) -> ImportFindingId {
        self.0.id
    }

    /// What the row is.
    async fn kind(&self) -> ImportKind {
        self.0.kind
    }

    /// The row's id in the other system; of one without an id its file and line. Decisions name it.
    async fn source_id(&self) -> &str {
        &self.0.source_id
    }

    /// What there is to say.
    async fn code(&self) -> Result<FindingCode> {
        self.0.code.parse().map_err(Error::internal)
    }

    /// All of it in one sentence.
    async fn message(&self) -> &str {
        &self.0.message
    }

    /// The cell that it is about. Null where it is about the row.
    async fn field(&self) -> Option<&str> {
        Some(self.0.field.as_str()).filter(|field| !field.is_empty())
    }

    /// What is in that cell, shortened. Null where nothing is.
    async fn value(&self) -> Option<&str> {
        self.0.value.as_deref()
    }

    /// Whether it is a reason why the row was left out. A decision may bring it in.
    async fn is_left(&self) -> bool {
        self.0.is_left
    }

    /// The file that the row is in.
    async fn file(&self) -> &str {
        &self.0.file
    }

    /// In which line of it; of a page of JSON its index, from 1. Null where the row follows from others.
    async fn line(&self) -> Option<i64> {
        Some(self.0.line).filter(|line| *line > 0)
    }
}

leaf_enums!(FindingCode, ImportKind);

/// Which findings to show.
#[derive(InputObject)]
#[graphql(name = "DataImportFindingFilter")]
pub struct DataImportFindingFilterInput {
    /// Only those with one of these codes.
    code: Option<Vec<FindingCode>>,
    /// Only those of rows of this kind.
    kind: Option<ImportKind>,
    /// Only reasons why rows were left out, or only others.
    left: Option<bool>,
}

impl DataImportFinding {
    /// The finding of that id, if the viewer may see it.
    pub async fn by_id(ctx: &Context<'_>, id: ImportFindingId) -> Result<Option<Self>> {
        if !ctx.viewer().may_read(Readable::Imports) {
            return Ok(None);
        }
        Ok(ctx.load(FindingById(id)).await?.map(Self))
    }

    /// One page of an import's findings, fetched together with those of its siblings.
    pub async fn of_import(
        ctx: &Context<'_>,
        import: DataImportId,
        arguments: PageArguments,
        filter: Option<DataImportFindingFilterInput>,
    ) -> Result<Connection<Self>> {
        let filter = filter.map_or_else(DataImportFindingFilter::default, |filter| DataImportFindingFilter {
            codes: filter.code.map(|codes| codes.into_iter().map(FindingCode::as_str).collect()),
            kind: filter.kind,
            is_left: filter.left,
        });
        lists::nested(ctx, import, filter, Page::new(BY_NUMBER, false, arguments)?).await
    }
}

batch_key!(FindingById(ImportFindingId) -> Arc<data_import_finding::DataImportFinding>, data_import_finding::DataImportFinding::by_ids);

plain!(DataImportFinding: id, kind, source_id, code, message, field, value, is_left, file, line);

impl From<Arc<data_import_finding::DataImportFinding>> for DataImportFinding {
    fn from(row: Arc<data_import_finding::DataImportFinding>) -> Self {
        Self(row)
    }
}

impl Listed for DataImportFinding {
    type Beside = TotalCount;
}

impl Shown for DataImportFindingFilter {}
