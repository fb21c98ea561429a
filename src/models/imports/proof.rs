//! The proof of an import: what the source says, and what is here, side by side.

use std::collections::BTreeMap;

use diesel::{
    QueryResult,
    sql_types::{BigInt, Bool, Nullable, Numeric, Text},
};
use diesel_async::RunQueryDsl;
use futures_util::{Stream, TryStreamExt};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{facts::ImportKind, finding::CodeCount, run::ImportRun};
use crate::db::statement::statement;

/// The commissions of one currency and status.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sum {
    /// How many.
    pub count: i64,
    /// What they come to.
    pub amount: Decimal,
}

/// The commissions of one currency and status, there and here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofLine {
    /// The currency (ISO 4217); empty where it could not be read.
    pub currency: String,
    /// The status, in this system's words; empty where it could not be read.
    pub status: String,
    /// As the source says.
    pub there: Sum,
    /// As it is here.
    pub here: Sum,
}

impl ProofLine {
    /// Whether both say the same.
    pub fn agrees(&self) -> bool {
        self.there == self.here
    }
}

/// A finding as it was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptFinding {
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
    /// Whether the row is left.
    pub is_left: bool,
    /// The file that it is in.
    pub file: String,
    /// The line.
    pub line: i64,
}

impl ImportRun<'_> {
    /// The commissions of this run's files by currency and status, there and here; without those that a decision leaves out. What has become of one since
    /// it came in is not the import's: it counts under the status that it came with.
    pub async fn proof(&self) -> QueryResult<Vec<ProofLine>> {
        let there: Vec<(String, String, i64, Decimal)> = statement::<(Text, Text, BigInt, Numeric)>(
            "SELECT coalesce(currency, ''), coalesce(status, ''), count(*), coalesce(sum(amount), 0) FROM import_rows
             WHERE tenant_id = ? AND source = ? AND run = ?::integer AND kind = 'commission' AND decision -> 'leave' IS DISTINCT FROM 'true'::jsonb GROUP BY 1, 2",
            vec![self.tenant_bind(), self.source_bind(), self.run_bind()],
        )
        .load(&mut &*self.connection)
        .await?;
        let here: Vec<(String, String, i64, Decimal)> = statement::<(Text, Text, BigInt, Numeric)>(
            "SELECT e.currency, CASE WHEN e.updated_at > e.created_at THEN r.status ELSE e.status END, count(*), sum(e.amount) FROM import_rows r
             JOIN partner_commission_events e ON e.tenant_id = r.tenant_id AND e.id = r.target_id
             WHERE r.tenant_id = ? AND r.source = ? AND r.run = ?::integer AND r.kind = 'commission' AND r.state = 'in' GROUP BY 1, 2",
            vec![self.tenant_bind(), self.source_bind(), self.run_bind()],
        )
        .load(&mut &*self.connection)
        .await?;
        let mut lines = BTreeMap::<(String, String), (Sum, Sum)>::new();
        for (currency, status, count, amount) in there {
            lines.entry((currency, status)).or_default().0 = Sum { count, amount: amount.normalize() };
        }
        for (currency, status, count, amount) in here {
            lines.entry((currency, status)).or_default().1 = Sum { count, amount: amount.normalize() };
        }
        Ok(lines.into_iter().map(|((currency, status), (there, here))| ProofLine { currency, status, there, here }).collect())
    }

    /// How many findings there are of each code.
    pub async fn findings_by_code(&self) -> QueryResult<Vec<CodeCount>> {
        let sql = "SELECT code, is_left, count(*) FROM import_findings WHERE tenant_id = ? AND source = ? GROUP BY 1, 2 ORDER BY 2 DESC, 1";
        let binds = vec![self.tenant_bind(), self.source_bind()];
        let rows: Vec<(String, bool, i64)> = statement::<(Text, Bool, BigInt)>(sql, binds).load(&mut &*self.connection).await?;
        Ok(rows.into_iter().map(|(code, is_left, count)| CodeCount { code, is_left, count }).collect())
    }

    /// All findings, by kind, id, code and cell. One statement, of which rows come as they are read: by pages, each would begin anew, because
    /// row-level security lets no index serve a comparison of texts.
    pub async fn findings(&self) -> QueryResult<impl Stream<Item = QueryResult<KeptFinding>>> {
        type Columns = (Text, Text, Text, Text, Nullable<Text>, Text, Bool, Text, BigInt);
        type Found = (ImportKind, String, String, String, Option<String>, String, bool, String, i64);
        let found = statement::<Columns>(
            "SELECT f.kind, f.source_id, f.code, f.field, f.value, f.message, f.is_left, r.file, r.line FROM import_findings f
             JOIN import_rows r USING (tenant_id, source, kind, source_id)
             WHERE f.tenant_id = ? AND f.source = ? ORDER BY f.kind, f.source_id, f.code, f.field",
            vec![self.tenant_bind(), self.source_bind()],
        )
        .load_stream::<Found>(&mut &*self.connection)
        .await?;
        Ok(found.map_ok(|(kind, source_id, code, field, value, message, is_left, file, line)| KeptFinding {
            kind,
            source_id,
            code,
            field,
            value,
            message,
            is_left,
            file,
            line,
        }))
    }
}
