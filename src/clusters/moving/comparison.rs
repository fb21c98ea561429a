//! Compares a tenant's rows on both sides, as they were while it was held: afterwards, so that it is not held for longer.

use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use futures_util::try_join;

use super::Side;
use crate::{
    db::{
        QueryResult,
        statement::{Bind, statement},
    },
    error::{Error, Result},
    ids::TenantId,
};

/// A transaction on each side that reads what there was at one moment.
pub(super) struct Comparison {
    source: Side,
    target: Side,
}

impl Comparison {
    /// Connects to both, so that no time is lost later.
    pub(super) async fn connect(source: &Side, target: &Side) -> Result<Self> {
        let (source, target) = try_join!(source.again(), target.again())?;
        Ok(Self { source, target })
    }

    /// Reads what there is now from now on.
    pub(super) async fn begin(&self) -> QueryResult<()> {
        // The first statement takes the snapshot.
        let begin = "BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ; SELECT pg_current_snapshot()";
        try_join!(self.source.run(begin), self.target.run(begin)).map(drop)
    }

    /// Compares the rows of each table by their number and their contents; gives how many there are.
    pub(super) async fn compare(&self, tables: &[String], tenant: TenantId) -> Result<i64> {
        let mut rows = 0;
        for table in tables {
            let (here, there) = try_join!(sum_of(&self.source, table, tenant), sum_of(&self.target, table, tenant))?;
            if here != there {
                return Err(Error::internal(format!(
                    "{table} has {} rows on {} and {} on {}, or other contents: the rows on {} are kept",
                    here.0, self.source.name, there.0, self.target.name, self.source.name
                )));
            }
            rows += here.0;
        }
        for side in [&self.source, &self.target] {
            side.run("COMMIT").await?;
        }
        Ok(rows)
    }
}

/// How many rows of the tenant's a table has, and the sum of their hashes.
async fn sum_of(side: &Side, table: &str, tenant: TenantId) -> QueryResult<(i64, String)> {
    let sql =
        format!("SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)), 0)::text FROM {table} t WHERE t.tenant_id = ?");
    statement::<(BigInt, Text)>(sql, vec![Bind::Uuid(tenant.uuid())]).get_result(&mut &side.connection).await
}
