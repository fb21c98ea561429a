//! Rows that a rule of the database refuses: each is reported by itself, and keeps no other out.

use diesel::{
    QueryResult,
    result::{DatabaseErrorKind, Error},
    sql_types::Text,
};
use diesel_async::RunQueryDsl;

use super::{
    facts::ImportKind,
    finding::{Finding, FindingCode, RowName},
    run::ImportRun,
    staged::Settled,
};
use crate::db::statement::{Bind, statement};

/// What PostgreSQL says of values that are too large for what they are put into (SQLSTATE 22003, 54000, 21000); these have no kind of their own in diesel.
const OUT_OF_RANGE: [&str; 4] = ["out of range", "overflow", "too long", "exceeds"];

/// Why the database refuses a row, as a sentence; `None` for errors that are about no row, such as a lost connection.
pub fn refusal(error: &Error) -> Option<String> {
    let Error::DatabaseError(kind, info) = error else { return None };
    let is_rule = matches!(
        kind,
        DatabaseErrorKind::UniqueViolation
            | DatabaseErrorKind::ForeignKeyViolation
            | DatabaseErrorKind::NotNullViolation
            | DatabaseErrorKind::CheckViolation
            | DatabaseErrorKind::ExclusionViolation
            | DatabaseErrorKind::RestrictViolation
    );
    if !is_rule {
        let is_large = OUT_OF_RANGE.iter().any(|words| info.message().contains(words));
        return is_large.then(|| "A value is larger than it can be here.".to_owned());
    }
    Some(match info.constraint_name() {
        Some("accounts_not_overdrawn") => {
            "It takes back more than waits to be approved of the partner's commissions in this currency. A decision can give it another status.".to_owned()
        }
        Some("users_clerk_user_id_key") => "Another user has this id at the sign-in service.".to_owned(),
        Some("partner_accounts_one_at_a_time") => "Another partner manages the customer at that time.".to_owned(),
        Some(name) if name.ends_with("_range") => format!("An amount or a time is out of range ({name})."),
        Some(name) if name.ends_with("_length") => format!("A text has more characters than it can have here ({name})."),
        Some(name) => format!("It does not keep to the rule {name}."),
        None => "It does not keep to a rule of the database.".to_owned(),
    })
}

impl ImportRun<'_> {
    /// Reports and leaves the next row of a kind, or the commissions of the next payout, whose turn it is; gives how many.
    pub async fn refuse_next(&self, kind: ImportKind, why: &str) -> QueryResult<usize> {
        let single = ImportRun { batch: 1, ..*self };
        let mut ids: Vec<String> = single.waiting(kind).await?.into_iter().map(|row| row.source_id).collect();
        if ids.is_empty() && kind == ImportKind::Commission {
            ids = single.ready_ids().await?;
        }
        let findings: Vec<Finding> =
            ids.iter().map(|id| Finding::of(kind, id, FindingCode::RowRefused, why.to_owned())).collect();
        let settled: Vec<Settled> = ids.iter().map(|id| Settled::left(id)).collect();
        self.settle(kind, &settled).await?;
        self.report(&findings).await?;
        Ok(ids.len())
    }

    /// One of these rows that there is none of.
    pub async fn without_row(&self, names: Vec<RowName>) -> QueryResult<Option<RowName>> {
        if names.is_empty() {
            return Ok(None);
        }
        let (kinds, ids) = names.into_iter().map(|(kind, id)| (kind.as_str().to_owned(), id)).unzip();
        let binds = vec![Bind::Texts(kinds), Bind::Texts(ids), self.tenant_bind(), self.source_bind()];
        let found: Vec<(ImportKind, String)> = statement::<(Text, Text)>(
            "SELECT n.kind, n.id FROM unnest(?, ?) AS n (kind, id)
             WHERE NOT EXISTS (SELECT FROM import_rows r WHERE r.tenant_id = ? AND r.source = ? AND r.kind = n.kind AND r.source_id = n.id) ORDER BY 1, 2 LIMIT 1",
            binds,
        )
        .load(&mut &*self.connection)
        .await?;
        Ok(found.into_iter().next())
    }
}
