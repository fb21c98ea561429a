//! Sealed values, sealed anew with the active key: for `rotate-keys`, as the tables' owner.

use diesel::{
    prelude::*,
    sql_types::{Bytea, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use crate::{
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
