//! The ranks of partners by what they have earned in a currency, from their accounts.

use std::collections::HashMap;

use diesel::{
    QueryResult,
    sql_types::{BigInt, Numeric, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use iso_currency::Currency;
use rust_decimal::Decimal;

use crate::{
    db::statement::{Bind, statement},
    ids::PartnerId,
    models::scope::Scope,
};

/// The partners that have earned most in a currency, each with its rank and what it has earned; equal amounts share a rank.
pub async fn leaders(
    mut connection: &AsyncPgConnection,
    scope: Scope,
    currency: Currency,
    most: i64,
) -> QueryResult<Vec<(PartnerId, i64, Decimal)>> {
    statement::<(SqlUuid, BigInt, Numeric)>(
        "SELECT partner_id, rank() OVER (ORDER BY balance), -balance FROM (
             SELECT partner_id, balance FROM accounts WHERE tenant_id = ? AND kind = 'expense' AND unit = ? AND balance < 0
             ORDER BY balance, partner_id LIMIT ?) AS leaders ORDER BY balance, partner_id",
        vec![Bind::Uuid(scope.tenant.uuid()), Bind::text(currency.code()), Bind::BigInt(most)],
    )
    .load(&mut connection)
    .await
}

/// The ranks of partners by what they have earned in a currency; a partner that has earned nothing has none.
pub async fn ranks(
    mut connection: &AsyncPgConnection,
    partners: &[PartnerId],
    currency: Currency,
) -> QueryResult<HashMap<PartnerId, i64>> {
    let rows: Vec<(PartnerId, i64)> = statement::<(SqlUuid, BigInt)>(
        "SELECT partner_id, rank FROM partner_ranks(?, ?)",
        vec![Bind::Uuids(partners.iter().map(|id| id.uuid()).collect()), Bind::text(currency.code())],
    )
    .load(&mut connection)
    .await?;
    Ok(rows.into_iter().collect())
}
