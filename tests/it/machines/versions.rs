//! A version goes on serving while the schema of the next one is there already.

use std::{collections::BTreeSet, path::Path};

use diesel::sql_types::{Array, Text};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use partner_portal::db::{connect, statement::statement};

use crate::support::cluster;

/// What a program relies on, one line each: relations and columns with their types, functions, labels of enumerations, and rights.
const OFFERS: &str = "
    SELECT CASE relkind WHEN 'v' THEN 'view' WHEN 'S' THEN 'sequence' ELSE 'table' END || ' ' || relname
        FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'S') AND NOT relispartition
    UNION ALL SELECT format('column %s.%s %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod))
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL SELECT format('function %s(%s) %s', proname, oidvectortypes(proargtypes), pg_get_function_result(oid))
        FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prorettype <> 'trigger'::regtype
    UNION ALL SELECT format('label %s of %s', e.enumlabel, t.typname) FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid
    UNION ALL SELECT format('right of %s to %s %s', acl.grantee::regrole, acl.privilege_type, c.relname)
        FROM pg_class c, aclexplode(c.relacl) acl WHERE c.relnamespace = 'public'::regnamespace AND NOT c.relispartition AND acl.grantee <> c.relowner AND acl.grantee <> 0
    UNION ALL SELECT format('right of %s to %s %s.%s', acl.grantee::regrole, acl.privilege_type, c.relname, a.attname)
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid, aclexplode(a.attacl) acl
        WHERE c.relnamespace = 'public'::regnamespace AND NOT a.attisdropped AND acl.grantee <> c.relowner AND acl.grantee <> 0
    UNION ALL SELECT format('right of %s to %s(%s)', acl.grantee::regrole, p.proname, oidvectortypes(p.proargtypes))
        FROM pg_proc p, aclexplode(p.proacl) acl
        WHERE p.pronamespace = 'public'::regnamespace AND p.prorettype <> 'trigger'::regtype AND acl.grantee <> p.proowner AND acl.grantee <> 0";

/// What a program must keep to when it writes: the table, the columns without which the rule does not apply to it, and the rule. A new column with a default
/// demands nothing of a program that does not know it; a column that was there already does.
const DEMANDS: &str = "
    SELECT c.relname::text, CASE WHEN a.atthasdef OR a.attidentity <> '' THEN ARRAY[a.attname::text] ELSE ARRAY[]::text[] END, 'no NULL in ' || a.attname
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped AND a.attnotnull
    UNION ALL SELECT c.relname::text,
            ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY (k.conkey)), pg_get_constraintdef(k.oid)
        FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
        WHERE c.relnamespace = 'public'::regnamespace AND NOT c.relispartition AND k.contype IN ('c', 'f', 'x')
    UNION ALL SELECT c.relname::text, ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY (i.indkey::smallint[])),
            regexp_replace(pg_get_indexdef(i.indexrelid), 'INDEX .* ON', 'INDEX ON')
        FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
        WHERE c.relnamespace = 'public'::regnamespace AND NOT c.relispartition AND i.indisunique";

/// What a schema offers to a program, and what it demands of it.
struct Contract {
    offers: BTreeSet<String>,
    demands: BTreeSet<(String, Vec<String>, String)>,
}

impl Contract {
    async fn of(mut connection: &AsyncPgConnection) -> Self {
        use diesel_async::RunQueryDsl;
        let offers: Vec<String> = statement::<Text>(OFFERS, Vec::new()).load(&mut connection).await.expect("what it offers");
        let demands = statement::<(Text, Array<Text>, Text)>(DEMANDS, Vec::new()).load(&mut connection).await;
        Self { offers: offers.into_iter().collect(), demands: demands.expect("what it demands").into_iter().collect() }
    }

    /// What a program written for this schema can fail by on the next one.
    fn broken_by(&self, next: &Self) -> Vec<String> {
        let gone = self.offers.difference(&next.offers).map(|offer| format!("{offer} is gone"));
        let was = |line: &str| self.offers.contains(line);
        let column = |table: &str, column: &str| {
            let start = format!("column {table}.{column} ");
            self.offers.iter().any(|offer| offer.starts_with(&start))
        };
        let new = next.demands.difference(&self.demands).filter(|(table, columns, _)| {
            // A rule for a new column lets NULL, or its default, be.
            was(&format!("table {table}")) && columns.iter().all(|name| column(table, name))
        });
        gone.chain(new.map(|(table, _, rule)| format!("{table} demands {rule}"))).collect()
    }
}

fn migrations() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut found: Vec<(String, String)> = std::fs::read_dir(folder)
        .expect("migrations")
        .filter_map(|entry| {
            let path = entry.expect("an entry").path();
            let text = std::fs::read_to_string(path.join("up.sql")).ok()?;
            Some((path.file_name()?.to_string_lossy().into_owned(), text))
        })
        .collect();
    found.sort();
    found
}

/// The last migration that removed something. What is removed in a release was replaced in one before it (migrations/README.md); its migration is then this one.
const LAST_REMOVAL: &str = "2026-11-28-220000_kept_plans";

/// An empty database as `migrate` finds it.
async fn connection() -> AsyncPgConnection {
    let database = cluster::empty_database().await;
    let mut connection = connect::establish(&database.owner, None).await.expect("a connection");
    // diesel's own table, which it makes before the first.
    let own =
        "CREATE TABLE __diesel_schema_migrations (version varchar(50) PRIMARY KEY, run_on timestamp NOT NULL DEFAULT now())";
    connection.batch_execute(own).await.expect("a table");
    connection
}

/// Each migration leaves what the version before it uses: it takes nothing away, and demands nothing of what that version writes. So that version serves on
/// while the next is rolled out, and can be rolled out again.
#[tokio::test(flavor = "multi_thread")]
async fn a_migration_only_adds() {
    let mut connection = connection().await;
    let mut before = None;
    let (mut broken, mut compared) = (Vec::new(), 0);
    for (name, text) in migrations() {
        connection.batch_execute(&format!("BEGIN; {text}; COMMIT")).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        if name.as_str() < LAST_REMOVAL {
            continue;
        }
        let after = Contract::of(&connection).await;
        if let Some(before) = before {
            compared += 1;
            broken.extend(Contract::broken_by(&before, &after).into_iter().map(|what| format!("{name}: {what}")));
        }
        before = Some(after);
    }
    assert!(compared > 0, "there is something to compare");
    assert_eq!(broken, Vec::<String>::new());
}

/// What a migration must not do is noticed, and what it may do is let pass.
#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_a_version_is_noticed() {
    let mut connection = connection().await;
    for (name, text) in migrations() {
        connection.batch_execute(&text).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let before = Contract::of(&connection).await;
    for (change, broken) in [
        ("ALTER TABLE partners RENAME company_name TO name", Some("column partners.company_name text is gone")),
        ("ALTER TABLE partners ADD x text NOT NULL", Some("partners demands no NULL in x")),
        ("ALTER TABLE partner_leads ALTER notes SET NOT NULL", Some("partner_leads demands no NULL in notes")),
        (
            "ALTER TABLE partner_leads ALTER notes SET DEFAULT '', ALTER notes SET NOT NULL",
            Some("partner_leads demands no NULL in notes"),
        ),
        ("ALTER TABLE partners ADD CHECK (company_name <> '')", Some("partners demands CHECK")),
        ("CREATE UNIQUE INDEX ON partners (tenant_id, company_name)", Some("partners demands CREATE UNIQUE INDEX")),
        (
            "DROP FUNCTION sealed_samples()",
            Some("function sealed_samples() TABLE(field text, tenant_id uuid, row_id uuid, sealed bytea) is gone"),
        ),
        ("REVOKE SELECT ON tenants FROM portal_gate", Some("right of portal_gate to SELECT tenants is gone")),
        ("REVOKE EXECUTE ON FUNCTION sealed_samples() FROM portal_app", Some("right of portal_app to sealed_samples() is gone")),
        ("CREATE TABLE x (a int NOT NULL UNIQUE CHECK (a > 0))", None),
        ("ALTER TABLE partners ADD x text UNIQUE CHECK (x <> ''), ADD y int NOT NULL DEFAULT 0 CHECK (y >= 0)", None),
        ("CREATE INDEX ON partners (company_name)", None),
    ] {
        connection.batch_execute(&format!("BEGIN; {change}")).await.unwrap_or_else(|error| panic!("{change}: {error}"));
        let found = before.broken_by(&Contract::of(&connection).await);
        assert_eq!(found.is_empty(), broken.is_none(), "{change}: {found:?}");
        assert!(broken.is_none_or(|words| found.iter().any(|found| found.contains(words))), "{change}: {found:?}");
        connection.batch_execute("ROLLBACK").await.expect("it is undone");
    }
}
