//! Imports that run in the background, as the API shows them.

use std::sync::Arc;

use async_graphql::{Context, InputObject, Object, SimpleObject};

use super::{
    finding::{DataImportFinding, DataImportFindingFilterInput},
    outcome::DataImportOutcome,
};
use crate::{
    auth::Readable,
    error::{Error, Result},
    graphql::{
        engine::{
            context::ContextExt,
            json::leaf_enums,
            lists::{self, Shown},
            loaders::batch_key,
            pagination::{Connection, Listed, TotalCount},
            row::plain,
            scalars::DateTime,
        },
        people::user::User,
    },
    ids::DataImportId,
    models::{
        imports::data_import::{self, BY_CREATED, DataImportFilter, DataImportStatus, DataSource},
        page::{Page, PageArguments},
    },
};

/// An import.
#[derive(Clone)]
pub struct DataImport(pub Arc<data_import::DataImport>);

/// An import of what another system gave out, which runs in the background. Watch it with the subscription `dataImportChanged`.
#[Object]
impl DataImport {
    /// Its id.
    pub async fn id(&self) -> DataImportId {
        self.0.id
    }

    /// From which system.
    async fn source(&self) -> DataSource {
        self.0.source
    }

    /// Whether it does everything and rolls it back in the end: the same report, and nothing is written.
    async fn is_dry_run(&self) -> bool {
        self.0.is_dry_run
    }

    /// Its files.
    async fn files(&self) -> Result<Vec<DataImportFile>> {
        let files: Vec<data_import::DataImportFile> = serde_json::from_value(self.0.files.clone()).map_err(Error::internal)?;
        Ok(files
            .into_iter()
            .map(|file| DataImportFile { name: file.name, bytes: i64::try_from(file.bytes).unwrap_or(i64::MAX) })
            .collect())
    }

    /// How far it is.
    async fn status(&self) -> DataImportStatus {
        self.0.status
    }

    /// What it is doing. Null unless it runs.
    async fn step(&self) -> Option<&str> {
        self.0.step.as_deref().filter(|_| self.0.status == DataImportStatus::Running)
    }

    /// How many rows of the step are done.
    async fn rows_done(&self) -> i64 {
        self.0.rows_done
    }

    /// About how many rows the step has.
    async fn rows_total(&self) -> i64 {
        self.0.rows_total
    }

    /// What came of it. Null unless it has completed.
    async fn outcome(&self) -> Result<Option<DataImportOutcome>> {
        self.0.outcome.clone().map(DataImportOutcome::read).transpose()
    }

    /// Why it failed, and what to do. Null where it did not.
    async fn failure(&self) -> Option<&str> {
        self.0.failure.as_deref()
    }

    /// What was reported of rows, by kind of row and the source's ids. Empty until it completes.
    async fn findings(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How many, counted from the start or from `after`: 1 to 500. 100 where neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "A cursor: only what comes after it.")] after: Option<String>,
        #[graphql(desc = "How many, counted from the end or from `before`: 1 to 500.")] last: Option<i32>,
        #[graphql(desc = "A cursor: only what comes before it.")] before: Option<String>,
        #[graphql(desc = "Which findings to show; all of them where it is not given.")] filter: Option<
            DataImportFindingFilterInput,
        >,
    ) -> Result<Option<Connection<DataImportFinding>>> {
        DataImportFinding::of_import(ctx, self.0.id, PageArguments { first, after, last, before }, filter).await.map(Some)
    }

    /// Who asked for it.
    async fn created_by(&self, ctx: &Context<'_>) -> Option<Result<User>> {
        User::by_id(ctx, self.0.created_by).await.transpose()
    }

    /// Who acted in the name of `createdBy`, as the sign-in service knows them. Null where nobody did.
    async fn impersonator(&self) -> Option<&str> {
        self.0.impersonator.as_deref()
    }

    /// When it was asked for.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When it began. Null while it waits.
    async fn started_at(&self) -> Option<DateTime> {
        self.0.started_at.map(DateTime)
    }

    /// When it ended. Null until then.
    async fn finished_at(&self) -> Option<DateTime> {
        self.0.finished_at.map(DateTime)
    }
}

/// A file of an import.
#[derive(SimpleObject)]
pub struct DataImportFile {
    /// Its name.
    name: String,
    /// Its length in bytes.
    bytes: i64,
}

leaf_enums!(DataSource, DataImportStatus);

/// Which imports to show.
#[derive(InputObject)]
#[graphql(name = "DataImportFilter")]
pub struct DataImportFilterInput {
    /// Only those from this system.
    source: Option<DataSource>,
    /// Only those in one of these states.
    status: Option<Vec<DataImportStatus>>,
}

impl DataImport {
    /// The import of that id, if the viewer may see it.
    pub async fn by_id(ctx: &Context<'_>, id: DataImportId) -> Result<Option<Self>> {
        if !ctx.viewer().may_read(Readable::Imports) {
            return Ok(None);
        }
        Ok(ctx.load(DataImportById(id)).await?.map(Self))
    }

    /// One page of the tenant's imports, the latest first. For those alone who may see them.
    pub async fn paginate(
        ctx: &Context<'_>,
        arguments: PageArguments,
        filter: Option<DataImportFilterInput>,
    ) -> Result<Connection<Self>> {
        let filter = filter
            .map_or_else(DataImportFilter::default, |filter| DataImportFilter { source: filter.source, status: filter.status });
        lists::root(ctx, filter, Page::new(BY_CREATED, true, arguments)?).await
    }
}

batch_key!(DataImportById(DataImportId) -> Arc<data_import::DataImport>, data_import::DataImport::by_ids);

plain!(DataImport: id, source, is_dry_run, status, step, rows_done, rows_total, failure, impersonator, created_at, started_at, finished_at);

impl From<Arc<data_import::DataImport>> for DataImport {
    fn from(row: Arc<data_import::DataImport>) -> Self {
        Self(row)
    }
}

impl Listed for DataImport {
    type Beside = TotalCount;
}

impl Shown for DataImportFilter {}
