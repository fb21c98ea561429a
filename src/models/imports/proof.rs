//! The proof of an import: what the source says, and what is here, side by side.

use std::collections::BTreeMap;

use diesel::{
    QueryResult,
    sql_types::{BigInt, Bool, Nullable, Numeric, Text},
};
use diesel_async::RunQueryDsl;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{facts::ImportKind, finding::CodeCount, run::ImportRun};
use crate::db::statement::{Bind, statement};

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
    /// Commissions by currency and status, there and here; without those that a decision leaves out.
    pub async fn proof(&self) -> QueryResult<Vec<ProofLine>> {
        let there: Vec<(String, String, i64, Decimal)> = statement::<(Text, Text, BigInt, Numeric)>(
            "SELECT coalesce(currency, ''), coalesce(status, ''), count(*), coalesce(sum(amount), 0) FROM import_rows
             WHERE tenant_id = ? AND source = ? AND kind = 'commission' AND decision -> 'leave' IS DISTINCT FROM 'true'::jsonb GROUP BY 1, 2",
            vec![self.tenant_bind(), self.source_bind()],
        )
        .load(&mut &*self.connection)
        .await?;
        let here: Vec<(String, String, i64, Decimal)> = statement::<(Text, Text, BigInt, Numeric)>(
            "SELECT e.currency, e.status, count(*), sum(e.amount) FROM import_rows r
             JOIN partner_commission_events e ON e.tenant_id = r.tenant_id AND e.id = r.target_id
             WHERE r.tenant_id = ? AND r.source = ? AND r.kind = 'commission' AND r.state = 'in' GROUP BY 1, 2",
            vec![self.tenant_bind(), self.source_bind()],
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

    /// Some findings, after one by its kind, id, code and cell.
    pub async fn findings_after(&self, after: Option<&KeptFinding>, most: i64) -> QueryResult<Vec<KeptFinding>> {
        type Columns = (Text, Text, Text, Text, Nullable<Text>, Text, Bool, Text, BigInt);
        type Found = (ImportKind, String, String, String, Option<String>, String, bool, String, i64);
        let from = after.map_or_else(
            || [String::new(), String::new(), String::new(), String::new()],
            |after| [after.kind.as_str().to_owned(), after.source_id.clone(), after.code.clone(), after.field.clone()],
        );
        let mut binds = vec![self.tenant_bind(), self.source_bind()];
        binds.extend(from.map(Bind::text));
        binds.push(Bind::BigInt(most));
        let found: Vec<Found> = statement::<Columns>(
            "SELECT f.kind, f.source_id, f.code, f.field, f.value, f.message, f.is_left, r.file, r.line FROM import_findings f
             JOIN import_rows r USING (tenant_id, source, kind, source_id)
             WHERE f.tenant_id = ? AND f.source = ? AND (f.kind::text, f.source_id, f.code, f.field) > (?, ?, ?, ?)
             ORDER BY f.kind::text, f.source_id, f.code, f.field LIMIT ?",
            binds,
        )
        .load(&mut &*self.connection)
        .await?;
        let kept = |(kind, source_id, code, field, value, message, is_left, file, line)| KeptFinding {
            kind,
            source_id,
            code,
            field,
            value,
            message,
            is_left,
            file,
            line,
        };
        Ok(found.into_iter().map(kept).collect())
    }
}
