//! What rows refer to: other rows of the same source, by their ids there.

use std::collections::{HashMap, HashSet};

use diesel::{
    QueryResult,
    sql_types::{Jsonb, Nullable, Text, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use serde_json::Value;
use uuid::Uuid;

use super::{
    facts::{Facts, ImportKind},
    finding::{Finding, FindingCode},
    run::ImportRun,
    staged::{Settled, WaitingRow, understood},
};
use crate::{
    db::statement::{Bind, statement},
    models::members::member::email_key,
};

/// A row that others refer to.
#[derive(Debug, Clone)]
pub struct Known {
    /// What has become of it.
    pub state: String,
    /// What it is here, once it is in.
    pub target: Option<Uuid>,
    /// Whose it is; of a user the partner that they act for.
    pub partner: Option<Uuid>,
    /// What was understood of it.
    pub facts: Facts,
}

impl Known {
    /// What it is here, if it is.
    pub fn inside(&self) -> Option<Uuid> {
        self.target.filter(|_| self.state == "in")
    }
}

impl ImportRun<'_> {
    /// Those of a kind that are known by these ids.
    pub(super) async fn known<'i>(
        &self,
        kind: ImportKind,
        ids: impl IntoIterator<Item = Option<&'i String>>,
    ) -> QueryResult<HashMap<String, Known>> {
        type Found = (String, String, Option<Uuid>, Option<Uuid>, Value);
        let ids: HashSet<String> = ids.into_iter().flatten().cloned().collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let ids = Bind::Texts(ids.into_iter().collect());
        let rows: Vec<Found> =
            statement::<(Text, Text, Nullable<SqlUuid>, Nullable<SqlUuid>, Jsonb)>(
                "SELECT source_id, state, target_id, partner_id, facts FROM import_rows WHERE tenant_id = ? AND source = ? AND kind = ? AND source_id = ANY (?)",
                vec![self.tenant_bind(), self.source_bind(), Bind::text(kind.as_str()), ids],
            )
            .load(&mut &*self.connection)
            .await?;
        rows.into_iter()
            .map(|(id, state, target, partner, facts)| Ok((id, Known { state, target, partner, facts: understood(facts)? })))
            .collect()
    }

    /// The rows of a kind that have these addresses, those first that were there first: which of them keeps its address, and which partner is meant
    /// by one.
    pub(super) async fn first_of_addresses(
        &self,
        kind: ImportKind,
        addresses: impl IntoIterator<Item = Option<&String>>,
    ) -> QueryResult<HashMap<String, (String, Option<Uuid>)>> {
        let keys: HashSet<String> = addresses.into_iter().flatten().map(|address| email_key(address.trim())).collect();
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let rows: Vec<(String, String, Option<Uuid>)> = statement::<(Text, Text, Nullable<SqlUuid>)>(
            "SELECT DISTINCT ON (email_key) email_key, source_id, CASE state WHEN 'in' THEN target_id END FROM import_rows
             WHERE tenant_id = ? AND source = ? AND kind = ? AND kind IN ('partner', 'user') AND email_key = ANY (?)
             ORDER BY email_key, facts ->> 'at' NULLS LAST, source_id",
            vec![self.tenant_bind(), self.source_bind(), Bind::text(kind.as_str()), Bind::Texts(keys.into_iter().collect())],
        )
        .load(&mut &*self.connection)
        .await?;
        Ok(rows.into_iter().map(|(key, id, target)| (key, (id, target))).collect())
    }

    /// Leaves the rows whose decisions name something that is not here; gives the others.
    pub(super) async fn without_unknown(&self, kind: ImportKind, rows: Vec<WaitingRow>) -> QueryResult<Vec<WaitingRow>> {
        let named: Vec<Uuid> = rows.iter().filter_map(|row| row.facts.existing).collect();
        if named.is_empty() {
            return Ok(rows);
        }
        let sql = match kind {
            ImportKind::User => "SELECT id FROM users WHERE tenant_id = ? AND id = ANY (?)",
            ImportKind::Programme => "SELECT id FROM programmes WHERE tenant_id = ? AND id = ANY (?)",
            ImportKind::Customer => "SELECT id FROM customers WHERE tenant_id = ? AND id = ANY (?)",
            _ => "SELECT id FROM partners WHERE tenant_id = ? AND id = ANY (?)",
        };
        let here: Vec<Uuid> =
            statement::<SqlUuid>(sql, vec![self.tenant_bind(), Bind::Uuids(named)]).load(&mut &*self.connection).await?;
        let (known, unknown): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|row| row.facts.existing.is_none_or(|id| here.contains(&id)));
        let said = |row: &WaitingRow| {
            Finding::of(kind, &row.source_id, FindingCode::DecisionUnknown, "The decision names something that is not here.")
        };
        let settled: Vec<Settled> = unknown.iter().map(|row| Settled::left(&row.source_id)).collect();
        self.settle(kind, &settled).await?;
        self.report(&unknown.iter().map(said).collect::<Vec<_>>()).await?;
        Ok(known)
    }
}
