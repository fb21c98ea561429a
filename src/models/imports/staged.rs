//! Rows as they are read: kept once, known again, and settled in the order in which they came.

use std::collections::{HashMap, HashSet};

use diesel::{
    QueryResult,
    sql_types::{BigInt, Bool, Jsonb, Nullable, Numeric, Text},
};
use diesel_async::RunQueryDsl;
use rust_decimal::Decimal;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use uuid::Uuid;

use super::{
    facts::{Facts, ImportKind},
    finding::{Finding, FindingCode, RowName},
    run::ImportRun,
};
use crate::db::statement::{Bind, statement};

/// A row that was read.
#[derive(Debug, Clone)]
pub struct ReadRow {
    /// What it is.
    pub kind: ImportKind,
    /// Its id there.
    pub source_id: String,
    /// In which file.
    pub file: String,
    /// In which line of it; of pages of JSON its index, from 1.
    pub line: i64,
    /// Of its cells and the decision about it.
    pub digest: String,
    /// What was understood of it.
    pub facts: Facts,
    /// Its cells.
    pub raw: Value,
    /// The decision about it, where there is one.
    pub decision: Option<Value>,
    /// What there is to say of its cells.
    pub findings: Vec<Finding>,
}

/// A row whose turn it is.
#[derive(Debug, Clone)]
pub struct WaitingRow {
    /// Its id there.
    pub source_id: String,
    /// What was understood of it.
    pub facts: Facts,
}

/// What has become of a row.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Settled {
    /// Its id there.
    pub source_id: String,
    /// `in`, `left` or `ready`.
    pub state: &'static str,
    /// What it is here.
    pub target: Option<Uuid>,
    /// Whose it is.
    pub partner: Option<Uuid>,
    /// The link that it came by.
    pub link: Option<Uuid>,
    /// The customer.
    pub customer: Option<Uuid>,
    /// The payout that pays it.
    pub payout_key: Option<String>,
}

impl Settled {
    /// A row that is here now.
    pub fn inside(source_id: &str, target: Uuid) -> Self {
        Self { source_id: source_id.to_owned(), state: "in", target: Some(target), ..Self::default() }
    }

    /// One that is left.
    pub fn left(source_id: &str) -> Self {
        Self { source_id: source_id.to_owned(), state: "left", ..Self::default() }
    }
}

#[derive(Serialize)]
struct Insert<'r> {
    kind: &'static str,
    source_id: &'r str,
    file: &'r str,
    line: i64,
    digest: &'r str,
    state: &'static str,
    target: Option<Uuid>,
    partner: Option<Uuid>,
    facts: &'r Facts,
    raw: Option<&'r Value>,
    decision: Option<&'r Value>,
}

/// What is known of a row that comes again.
struct Kept {
    run: i32,
    digest: String,
    is_in: bool,
    file: String,
    line: i64,
    /// Its currency, status and amount.
    said: Said,
}

/// A commission's currency, status and amount, by which imports are proved.
type Said = (Option<String>, Option<String>, Option<Decimal>);

impl Kept {
    /// What there is to say where a row that is in comes again and says something else.
    fn change(&self, row: &ReadRow, said: &Said) -> Option<Finding> {
        let of = |code, message: String| Some(Finding::of(row.kind, &row.source_id, code, message));
        if self.digest == row.digest {
            return None;
        }
        if row.decision.is_some() {
            return of(
                FindingCode::DecisionTooLate,
                "The row is in already, and the decision changes nothing. Change it here.".to_owned(),
            );
        }
        let (before, now) = (&self.said, said);
        let is_same = (&before.0, &before.1) == (&now.0, &now.1)
            && before.2.map(|amount| amount.normalize()) == now.2.map(|amount| amount.normalize());
        if row.kind != ImportKind::Commission || is_same {
            return of(
                FindingCode::RowChanged,
                "The source says something else now than when the row was brought in. Change it here.".to_owned(),
            );
        }
        let shown = |(currency, status, amount): &Said| {
            let amount = amount.map(|amount| amount.normalize().to_string()).unwrap_or_default();
            format!("{amount} {}, {}", currency.as_deref().unwrap_or_default(), status.as_deref().unwrap_or_default())
        };
        of(
            FindingCode::SourceDiffers,
            format!(
                "The source said {} when the row was brought in, and says {} now. Change it here.",
                shown(before),
                shown(now)
            ),
        )
    }
}

impl ImportRun<'_> {
    /// Keeps rows that were read. One that is here already stays as it is, and where the source says something else of it now, that is reported.
    /// Of two rows of one id in one run the first counts.
    pub async fn keep(&self, rows: Vec<ReadRow>) -> QueryResult<()> {
        let mut kept = self.kept(&rows).await?;
        let (mut findings, mut inserted, mut again) = (Vec::new(), Vec::new(), Vec::new());
        let mut seen = HashSet::new();
        for mut row in rows {
            let name: RowName = (row.kind, row.source_id.clone());
            // Two of one record are in one call.
            let is_second = !seen.insert(name.clone());
            let said = || (row.facts.currency.clone(), row.facts.status.clone(), row.facts.amount);
            let now = |is_in| Kept {
                run: self.run,
                digest: row.digest.clone(),
                is_in,
                file: row.file.clone(),
                line: row.line,
                said: said(),
            };
            match kept.get(&name) {
                Some(first) if first.run == self.run && (is_second || (&first.file, first.line) != (&row.file, row.line)) => {
                    if first.digest == row.digest {
                        continue;
                    }
                    let message = format!("{}:{} has this id already, and says something else.", first.file, first.line);
                    let is_same_line = (&first.file, first.line) == (&row.file, row.line);
                    let index = if is_same_line { format!(".{}", inserted.len()) } else { String::new() };
                    let own = format!("{}:{}{index}", row.file, row.line);
                    let finding = Finding::of(row.kind, &own, FindingCode::DuplicateId, message);
                    row.findings.push(finding.at("id", Some(&name.1)));
                    row.source_id = own;
                    row.findings.iter_mut().for_each(|finding| finding.source_id.clone_from(&row.source_id));
                }
                Some(before) if before.is_in => {
                    findings.extend(before.change(&row, &said()));
                    again.push(name.clone());
                    kept.insert(name, now(true));
                    continue;
                }
                _ => {
                    kept.insert(name, now(false));
                }
            }
            inserted.push(row);
        }
        self.insert(&inserted).await?;
        self.note_read(&again).await?;
        findings.extend(inserted.into_iter().flat_map(|row| row.findings));
        self.report(&findings).await
    }

    /// Notes of rows that are in that this run has read them, so that another row of the id is known to be one too many.
    async fn note_read(&self, names: &[RowName]) -> QueryResult<()> {
        let kinds: HashSet<ImportKind> = names.iter().map(|(kind, _)| *kind).collect();
        for kind in kinds {
            let ids = names.iter().filter(|(known, _)| *known == kind).map(|(_, id)| id.clone()).collect();
            let binds =
                vec![self.run_bind(), self.tenant_bind(), self.source_bind(), Bind::text(kind.as_str()), Bind::Texts(ids)];
            let sql =
                "UPDATE import_rows SET run = ?::integer WHERE tenant_id = ? AND source = ? AND kind = ? AND source_id = ANY (?)";
            statement::<Text>(sql, binds).execute(&mut &*self.connection).await?;
        }
        Ok(())
    }

    async fn insert(&self, rows: &[ReadRow]) -> QueryResult<()> {
        let rows: Vec<Insert<'_>> = rows
            .iter()
            .map(|row| Insert {
                kind: row.kind.as_str(),
                source_id: &row.source_id,
                file: &row.file,
                line: row.line,
                digest: &row.digest,
                state: if row.findings.iter().any(|finding| finding.is_left) { "left" } else { "read" },
                target: None,
                partner: None,
                facts: &row.facts,
                raw: Some(&row.raw),
                decision: row.decision.as_ref(),
            })
            .collect();
        self.write(&rows).await
    }

    /// Keeps a row that follows from others, and is here already.
    pub(super) async fn derive(&self, kind: ImportKind, rows: &[(String, Facts, Uuid, Option<Uuid>)]) -> QueryResult<()> {
        let rows: Vec<Insert<'_>> = rows
            .iter()
            .map(|(source_id, facts, target, partner)| Insert {
                kind: kind.as_str(),
                source_id,
                file: "",
                line: 0,
                digest: "",
                state: "in",
                target: Some(*target),
                partner: *partner,
                facts,
                raw: None,
                decision: None,
            })
            .collect();
        self.write(&rows).await
    }

    async fn write(&self, rows: &[Insert<'_>]) -> QueryResult<()> {
        if rows.is_empty() {
            return Ok(());
        }
        statement::<Text>(
            "INSERT INTO import_rows (tenant_id, source, run, kind, source_id, file, line, digest, state, target_id, partner_id, facts, raw, decision)
             SELECT ?, ?, ?::integer, r.kind, r.source_id, r.file, r.line, r.digest, r.state, r.target, r.partner, r.facts, r.raw, r.decision
             FROM jsonb_to_recordset(?::jsonb) AS r (kind text, source_id text, file text, line bigint, digest text, state text, target uuid, partner uuid,
                 facts jsonb, raw jsonb, decision jsonb)
             ON CONFLICT (tenant_id, source, kind, source_id) DO UPDATE SET run = EXCLUDED.run, file = EXCLUDED.file, line = EXCLUDED.line,
                 digest = EXCLUDED.digest, state = EXCLUDED.state, facts = EXCLUDED.facts, raw = EXCLUDED.raw, decision = EXCLUDED.decision
             WHERE import_rows.state <> 'in'",
            vec![self.tenant_bind(), self.source_bind(), self.run_bind(), Bind::json(&rows)],
        )
        .execute(&mut &*self.connection)
        .await
        .map(drop)
    }

    async fn kept(&self, rows: &[ReadRow]) -> QueryResult<HashMap<RowName, Kept>> {
        type Columns = (Text, BigInt, Text, Bool, Text, BigInt, Nullable<Text>, Nullable<Text>, Nullable<Numeric>);
        type Found = (String, i64, String, bool, String, i64, Option<String>, Option<String>, Option<Decimal>);
        let kinds: HashSet<ImportKind> = rows.iter().map(|row| row.kind).collect();
        let mut kept = HashMap::new();
        for kind in kinds {
            let ids = rows.iter().filter(|row| row.kind == kind).map(|row| row.source_id.clone()).collect();
            let binds = vec![Bind::Texts(ids), self.tenant_bind(), self.source_bind(), Bind::text(kind.as_str())];
            // One look-up by the whole key for each id, whatever PostgreSQL knows of a table that has just begun to grow.
            let found: Vec<Found> = statement::<Columns>(
                "SELECT r.source_id, r.run::bigint, r.digest, r.state = 'in', r.file, r.line, r.currency, r.status, r.amount FROM unnest(?) AS w (id)
                 CROSS JOIN LATERAL (SELECT * FROM import_rows
                     WHERE tenant_id = ? AND source = ? AND kind = ? AND source_id = w.id LIMIT 1) AS r",
                binds,
            )
            .load(&mut &*self.connection)
            .await?;
            kept.extend(found.into_iter().map(|(id, run, digest, is_in, file, line, currency, status, amount)| {
                let run = i32::try_from(run).unwrap_or(i32::MAX);
                ((kind, id), Kept { run, digest, is_in, file, line, said: (currency, status, amount) })
            }));
        }
        Ok(kept)
    }

    /// The rows of a kind whose turn it is, as many as are settled at once.
    pub(super) async fn waiting(&self, kind: ImportKind) -> QueryResult<Vec<WaitingRow>> {
        let binds = vec![self.tenant_bind(), self.source_bind(), Bind::text(kind.as_str()), Bind::BigInt(self.batch)];
        let sql = "SELECT source_id, facts FROM import_rows WHERE tenant_id = ? AND source = ? AND kind = ? AND state = 'read' ORDER BY position LIMIT ?";
        let rows: Vec<(String, Value)> = statement::<(Text, Jsonb)>(sql, binds).load(&mut &*self.connection).await?;
        rows.into_iter().map(|(source_id, facts)| Ok(WaitingRow { source_id, facts: understood(facts)? })).collect()
    }

    /// Notes what has become of rows.
    pub(super) async fn settle(&self, kind: ImportKind, rows: &[Settled]) -> QueryResult<()> {
        statement::<Text>(
            "UPDATE import_rows r SET state = s.state, target_id = coalesce(s.target, r.target_id), partner_id = coalesce(s.partner, r.partner_id),
                 link_id = coalesce(s.link, r.link_id), customer_id = coalesce(s.customer, r.customer_id), payout_key = coalesce(s.payout_key, r.payout_key)
             FROM jsonb_to_recordset(?::jsonb) AS s (source_id text, state text, target uuid, partner uuid, link uuid, customer uuid, payout_key text)
             WHERE r.tenant_id = ? AND r.source = ? AND r.kind = ? AND r.source_id = s.source_id",
            vec![Bind::json(&rows), self.tenant_bind(), self.source_bind(), Bind::text(kind.as_str())],
        )
        .execute(&mut &*self.connection)
        .await
        .map(drop)
    }
}

/// The facts of a stored row.
pub(super) fn understood<T: DeserializeOwned>(facts: Value) -> QueryResult<T> {
    serde_json::from_value(facts).map_err(|error| diesel::result::Error::DeserializationError(Box::new(error)))
}
