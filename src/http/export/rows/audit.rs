//! Who has changed what, and why: a line for each change.

use serde_json::json;

use super::{or_empty, time};
use crate::{
    auth::{Readable, Viewer},
    db,
    error::{self, Error},
    http::export::{Export, parameters},
    ids::AuditEntryId,
    models::{
        audit::{
            change::AuditChange,
            entry::{self, AuditEntry, AuditFilter},
        },
        list::List,
        page::{Cursor, Page, Slice, SortKey},
    },
};

impl Export for AuditFilter {
    type Row = AuditEntry;

    const NAME: &'static str = "audit.csv";
    const ORDER: SortKey = entry::BY_TIME;
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "at",
        "action",
        "actor_kind",
        "actor_id",
        "impersonator",
        "reason",
        "request_id",
        "operation_name",
        "change",
        "subject",
        "subject_id",
        "partner_id",
        "count",
        "fields",
    ];

    fn parse(parameters: &[(String, String)]) -> Result<Self, String> {
        parameters::audit(parameters)
    }

    fn check(&self, viewer: &Viewer) -> error::Result<()> {
        if viewer.may_read(Readable::Audit) {
            return Ok(());
        }
        Err(Error::Forbidden("Only operators and owners of partners read the audit trail.".to_owned()))
    }

    fn cursor(row: &AuditEntry, page: &Page) -> Cursor {
        row.cursor(page)
    }

    async fn read(&self, connection: &db::Connection, viewer: &Viewer, page: &Page) -> db::QueryResult<Slice<AuditEntry>> {
        self.page(connection, viewer.scope(), page).await
    }

    async fn cells(connection: &db::Connection, viewer: &Viewer, rows: &[AuditEntry]) -> db::QueryResult<Vec<Vec<String>>> {
        let ids: Vec<AuditEntryId> = rows.iter().map(|row| row.id).collect();
        let changes = AuditChange::by_entries(connection, viewer.scope(), &ids, i64::MAX).await?;
        let lines =
            rows.iter().flat_map(|row| changes.get(&row.id).into_iter().flatten().map(move |change| line(row, change, viewer)));
        Ok(lines.collect())
    }
}

fn line(row: &AuditEntry, change: &AuditChange, viewer: &Viewer) -> Vec<String> {
    let fields = change.fields().into_iter().map(|field| {
        let values = if field.is_secret { json!("changed") } else { json!([field.before, field.after]) };
        (field.name, values)
    });
    vec![
        row.id.to_string(),
        time(row.at),
        row.action.clone(),
        row.actor_role.as_str().to_uppercase(),
        or_empty(row.actor_for(viewer.scope())),
        or_empty(row.impersonator_for(viewer.scope())),
        or_empty(row.reason.as_ref()),
        or_empty(row.request_id.as_ref()),
        or_empty(row.operation_name.as_ref()),
        change.change.as_str().to_uppercase(),
        change.subject.clone(),
        or_empty(change.subject()),
        or_empty(change.partner_id),
        change.row_count.to_string(),
        serde_json::Value::Object(fields.collect()).to_string(),
    ]
}
