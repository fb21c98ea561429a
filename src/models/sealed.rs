//! Sealed values, sealed anew with the active key: for `rotate-keys`, as the tables' owner.

use diesel::{
    prelude::*,
    sql_types::{Bytea, Text, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use crate::{
    db::statement::statement,
    error::{Error, Result},
    ids::TenantId,
    keyring::{Keyring, SealedField},
};

#[derive(QueryableByName)]
struct Sealed {
    #[diesel(sql_type = SqlUuid)]
    tenant_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    row_id: Uuid,
    #[diesel(sql_type = Bytea)]
    value: Vec<u8>,
}

/// A sealed value, and where it belongs.
pub struct Sample {
    /// The field.
    pub field: SealedField,
    /// The tenant of the row.
    pub tenant: TenantId,
    /// The row.
    pub row: Uuid,
    /// The value.
    pub sealed: Vec<u8>,
}

/// The oldest and the newest value of each field that each version of a key has sealed, as the server's login sees them.
pub async fn samples(mut connection: &AsyncPgConnection) -> Result<Vec<Sample>> {
    let rows: Vec<(String, Uuid, Uuid, Vec<u8>)> = statement::<(Text, SqlUuid, SqlUuid, Bytea)>(
        "SELECT field, tenant_id, row_id, sealed FROM sealed_samples() ORDER BY 1, substr(sealed, 1, 4), 3",
        Vec::new(),
    )
    .load(&mut connection)
    .await?;
    rows.into_iter()
        .map(|(name, tenant, row, sealed)| {
            let field = SealedField::ALL.into_iter().find(|field| field.name() == name);
            let field = field.ok_or_else(|| Error::internal(format!("{name} is no field that is sealed")))?;
            Ok(Sample { field, tenant: tenant.into(), row, sealed })
        })
        .collect()
}

/// The table of a field, the column that names the row, and the column with the sealed value.
fn column(field: SealedField) -> (&'static str, &'static str, &'static str) {
    match field {
        SealedField::TaxId => ("partner_profiles", "partner_id", "tax_id_sealed"),
        SealedField::BankAccount => ("partner_profiles", "partner_id", "bank_account_sealed"),
        SealedField::WebhookSecret => ("webhook_secrets", "id", "sealed"),
        SealedField::WebhookSourceSecret => ("webhook_source_secrets", "id", "sealed"),
    }
}

/// Seals anew, with the active key, what older keys have sealed. Gives how many values.
pub async fn seal_anew(connection: &AsyncPgConnection, keyring: &Keyring) -> Result<usize> {
    let mut changed = 0;
    for field in SealedField::ALL {
        changed += seal_field_anew(connection, keyring, field).await?;
    }
    Ok(changed)
}

async fn seal_field_anew(mut connection: &AsyncPgConnection, keyring: &Keyring, field: SealedField) -> Result<usize> {
    let (table, row, value) = column(field);
    let query = format!("SELECT tenant_id, {row} AS row_id, {value} AS value FROM {table} WHERE {value} IS NOT NULL");
    // Only if it is still what was read: a change made meanwhile is sealed with the active key already.
    let update = format!("UPDATE {table} SET {value} = $1 WHERE tenant_id = $2 AND {row} = $3 AND {value} = $4");
    let mut changed = 0;
    for sealed in diesel::sql_query(query).load::<Sealed>(&mut connection).await? {
        if Keyring::version_of(&sealed.value) == Some(keyring.active_version()) {
            continue;
        }
        let failed = |error| Error::internal(format!("{value} of {table}, {row} {}: {error}", sealed.row_id));
        let tenant = TenantId::from(sealed.tenant_id);
        let plain = keyring.open(&sealed.value, field, tenant, sealed.row_id).map_err(failed)?;
        let anew = keyring.seal(&plain, field, tenant, sealed.row_id).map_err(failed)?;
        let update = diesel::sql_query(&update).bind::<Bytea, _>(anew).bind::<SqlUuid, _>(sealed.tenant_id);
        changed += update.bind::<SqlUuid, _>(sealed.row_id).bind::<Bytea, _>(sealed.value).execute(&mut connection).await?;
    }
    Ok(changed)
}
