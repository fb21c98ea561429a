//! What an import in the background reported of rows, as it ended.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::facts::ImportKind;
use crate::{
    db::schema::data_import_findings,
    ids::{DataImportId, ImportFindingId},
    models::{
        list::{Conditions, Filter, list_below},
        page::{Cursor, Key, KeyKind, Page, SortKey},
        scope::Scope,
    },
};

/// Something that was reported.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = data_import_findings)]
pub struct DataImportFinding {
    /// Its number within the import, from 1.
    pub number: i64,
    /// Its id.
    pub id: ImportFindingId,
    /// What the row is.
    pub kind: ImportKind,
    /// Its id there.
    pub source_id: String,
    /// The code.
    pub code: String,
    /// The cell; empty where it is of the whole row.
    pub field: String,
    /// What is in it.
    pub value: Option<String>,
    /// All of it in one sentence.
    pub message: String,
    /// Whether the row was left.
    pub is_left: bool,
    /// The file that it is in.
    pub file: String,
    /// The line; 0 where the row follows from others.
    pub line: i64,
}

/// Which findings a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct DataImportFindingFilter {
    /// Of these codes.
    pub codes: Option<Vec<&'static str>>,
    /// Of rows of this kind.
    pub kind: Option<ImportKind>,
    /// Of rows that were left, or of others.
    pub is_left: Option<bool>,
}

/// In the order of the report: by kind, then by the source's ids.
pub const BY_NUMBER: SortKey =
    SortKey { name: "number", column: "data_import_findings.number", id: "data_import_findings.id", kind: KeyKind::Number };

impl DataImportFindingFilter {
    /// What holds for each of them.
    fn conditions(&self, scope: Scope) -> Conditions<'_, data_import_findings::table> {
        Conditions::of(data_import_findings::tenant_id.eq(scope.tenant))
            .and_if(self.codes.as_deref(), |codes| data_import_findings::code.eq_any(codes))
            .and_if(self.kind, |kind| data_import_findings::kind.eq(kind))
            .and_if(self.is_left, |is_left| data_import_findings::is_left.eq(is_left))
    }
}

impl Filter for DataImportFindingFilter {
    type Row = DataImportFinding;

    fn cursor(row: &Self::Row, page: &Page) -> Cursor {
        page.cursor(Key::Number(row.number), row.id.uuid())
    }
}

list_below!(DataImportFindingFilter => DataImportFinding; data_import_findings; DataImportId, "data_import_findings.import_id");

impl DataImportFinding {
    /// Those of `ids` that are in scope.
    pub async fn by_ids(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        ids: &[ImportFindingId],
    ) -> QueryResult<HashMap<ImportFindingId, Self>> {
        let query =
            Self::query().filter(data_import_findings::tenant_id.eq(scope.tenant)).filter(data_import_findings::id.eq_any(ids));
        let rows: Vec<Self> = query.load(&mut connection).await?;
        Ok(rows.into_iter().map(|row| (row.id, row)).collect())
    }
}
