//! What of a tenant there is to move, by PostgreSQL's catalogue: a table that a migration adds is moved too.

use diesel::sql_types::{Array, BigInt, Text};
use diesel_async::RunQueryDsl;

use super::{Side, fence};

use crate::{
    db::{
        Connection, QueryResult,
        statement::{Bind, statement},
    },
    error::Result,
    ids::TenantId,
};

/// Tables that are not moved: events, whose numbers are the cluster's own, and what is noted of moves.
const NOT_MOVED: &str = "'events', 'tenant_arrivals', 'tenant_moves'";

/// All tables whose rows go along.
pub(super) async fn tables(mut connection: &Connection) -> QueryResult<Vec<String>> {
    let sql = format!(
        "SELECT c.relname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname NOT IN ({NOT_MOVED}) ORDER BY 1"
    );
    statement::<Text>(sql, vec![]).load(&mut connection).await
}

/// The tables that hold a tenant's rows themselves, partitions among them. Events stay, for subscribers of other tenants who have one of them as their cursor.
pub(super) async fn leaves(mut connection: &Connection) -> QueryResult<Vec<String>> {
    let sql = "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname NOT IN ('events', 'tenant_moves') ORDER BY 1";
    statement::<Text>(sql, vec![]).load(&mut connection).await
}

/// The columns of a table that can be written.
pub(super) async fn columns(mut connection: &Connection, table: &str) -> QueryResult<Vec<String>> {
    let sql = "SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = to_regclass(?) AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum";
    statement::<Text>(sql, vec![Bind::text(table)]).load(&mut connection).await
}

/// The sequences that the tables draw from, with the last number that each has given.
pub(super) async fn sequences(mut connection: &Connection, tables: &[String]) -> QueryResult<Vec<(String, i64)>> {
    let sql = "SELECT s.oid::regclass::text, coalesce(pg_sequence_last_value(s.oid), 1)
         FROM pg_class s JOIN pg_depend d ON d.objid = s.oid AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
         JOIN pg_class c ON c.oid = d.refobjid WHERE s.relkind = 'S' AND c.relname = ANY (?) ORDER BY 1";
    statement::<(Text, BigInt)>(sql, vec![Bind::Texts(tables.to_vec())]).load(&mut connection).await
}

/// Makes the partitions of clicks that the source has and the target has not, as maintenance does: of the owner's, and as safe as the others.
pub(super) async fn copy_months(source: &Side, target: &Side) -> Result<()> {
    let sql = r"SELECT regexp_replace(c.relname, '^link_clicks_(\d{4})_(\d{2})$', '\1-\2-01') FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid
         WHERE i.inhparent = 'link_clicks'::regclass AND c.relname ~ '^link_clicks_\d{4}_\d{2}$' ORDER BY 1";
    let months: Vec<String> = statement::<Text>(sql, vec![]).load(&mut &source.connection).await?;
    let days: Vec<String> = months.iter().map(|month| format!("date '{month}'")).collect();
    fence::with_lock_retries(target, &format!("SELECT prepare_click_months(ARRAY[{}]::date[])", days.join(", "))).await
}

/// What of the tenant's is on the target already, of another tenant, and can be in a cluster once.
pub(super) async fn collisions(source: &Connection, target: &Connection, tenant: TenantId) -> QueryResult<Option<String>> {
    let unique = [
        (
            "the host of links",
            "SELECT host FROM link_hosts WHERE tenant_id = ?",
            "SELECT host FROM link_hosts WHERE tenant_id <> ? AND host = ANY (?)",
        ),
        (
            "the key of a link",
            "SELECT coalesce(host, '') || '/' || lower(key) FROM links WHERE tenant_id = ?",
            "SELECT coalesce(host, '') || '/' || lower(key) FROM links WHERE tenant_id <> ? AND coalesce(host, '') || '/' || lower(key) = ANY (?)",
        ),
        (
            "the invite code",
            "SELECT code_key FROM invite_codes WHERE tenant_id = ?",
            "SELECT code_key FROM invite_codes WHERE tenant_id <> ? AND code_key = ANY (?)",
        ),
    ];
    for (what, own, taken) in unique {
        let own = format!("SELECT coalesce(array_agg(u), '{{}}') FROM ({own}) AS o (u)");
        let own: Vec<String> = statement::<Array<Text>>(own, vec![Bind::Uuid(tenant.uuid())]).get_result(&mut &*source).await?;
        let taken: Vec<String> =
            statement::<Text>(taken, vec![Bind::Uuid(tenant.uuid()), Bind::Texts(own)]).load(&mut &*target).await?;
        if let [taken, ..] = taken.as_slice() {
            return Ok(Some(format!("{what} {taken:?} is another tenant's there")));
        }
    }
    Ok(None)
}

/// A text as a literal of SQL.
pub(super) fn literal(text: &str) -> String {
    // With standard_conforming_strings, which is the default, a backslash is itself.
    format!("'{}'", text.replace('\'', "''"))
}
