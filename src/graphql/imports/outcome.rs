//! What came of an import in the background, as the API shows it.

use async_graphql::{Object, SimpleObject};

use crate::{
    error::{Error, Result},
    graphql::engine::scalars::{CurrencyCode, Money, currency},
    models::{
        commissions::commission::CommissionStatus,
        imports::{
            data_import,
            facts::ImportKind,
            finding::{CodeCount, FindingCode},
            proof::ProofLine,
        },
    },
};

/// An outcome.
pub struct DataImportOutcome(data_import::DataImportOutcome);

impl DataImportOutcome {
    /// Reads a stored one.
    pub fn read(stored: serde_json::Value) -> Result<Self> {
        serde_json::from_value(stored).map(Self).map_err(Error::internal)
    }
}

/// What came of an import that has completed.
#[Object]
impl DataImportOutcome {
    /// Whether count and sum of the commissions are the same there and here, in each currency and status. They differ by the rows that were left.
    async fn is_proved(&self) -> bool {
        self.0.is_proved()
    }

    /// Whether rows were left that wait for a decision.
    async fn is_anything_left(&self) -> bool {
        self.0.is_anything_left()
    }

    /// How many rows of each kind are in.
    async fn counts(&self) -> Vec<DataImportCount> {
        let shown = |count: &crate::models::imports::run::KindCount| DataImportCount {
            kind: count.kind,
            imported: count.inside,
            total: count.all,
        };
        self.0.counts.iter().map(shown).collect()
    }

    /// How often each code was reported, those of rows that were left first.
    async fn codes(&self) -> Result<Vec<DataImportCodeCount>> {
        self.0.findings.iter().map(DataImportCodeCount::of).collect()
    }

    /// The commissions by currency and status, there and here.
    async fn proof(&self) -> Result<Vec<DataImportProof>> {
        self.0.proof.iter().map(DataImportProof::of).collect()
    }
}

/// How many rows of a kind are in.
#[derive(SimpleObject)]
struct DataImportCount {
    /// The kind.
    kind: ImportKind,
    /// How many are in, those of earlier runs included.
    imported: i64,
    /// Of how many.
    total: i64,
}

/// How often something was reported.
#[derive(SimpleObject)]
struct DataImportCodeCount {
    /// What.
    code: FindingCode,
    /// Whether rows were left because of it.
    is_left: bool,
    /// How often.
    count: i64,
}

impl DataImportCodeCount {
    fn of(count: &CodeCount) -> Result<Self> {
        Ok(Self { code: count.code.parse().map_err(Error::internal)?, is_left: count.is_left, count: count.count })
    }
}

/// The commissions of one currency and status, there and here.
#[derive(SimpleObject)]
struct DataImportProof {
    /// The currency. Null for commissions of which it could not be read.
    currency: Option<CurrencyCode>,
    /// The status that they have here, or would have. Null for commissions of which it could not be read.
    status: Option<CommissionStatus>,
    /// How many there are in the other system.
    source_count: i64,
    /// What those come to. Null where the currency is.
    source_amount: Option<Money>,
    /// How many are here.
    count: i64,
    /// What those come to. Null where the currency is.
    amount: Option<Money>,
    /// Whether both say the same.
    agrees: bool,
}

impl DataImportProof {
    fn of(line: &ProofLine) -> Result<Self> {
        let code = Some(&line.currency).filter(|code| !code.is_empty()).map(|code| currency(code)).transpose()?;
        Ok(Self {
            currency: code.map(CurrencyCode),
            status: line.status.parse().ok(),
            source_count: line.there.count,
            source_amount: code.map(|code| Money::of(line.there.amount, code)),
            count: line.here.count,
            amount: code.map(|code| Money::of(line.here.amount, code)),
            agrees: line.agrees(),
        })
    }
}
