//! What the server's login may do, and what is in the database.

use std::collections::BTreeSet;

use diesel::{
    QueryResult,
    sql_types::{BigInt, Bool, Nullable, Text},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use super::Findings;
use crate::{
    config::Settings,
    db::{
        migrations,
        statement::{Bind, statement},
    },
    error::Result,
    keyring::{Keyring, KeyringError},
    models::sealed::{Sample, samples},
};

/// Whether row-level security holds the login.
pub async fn rights(mut connection: &AsyncPgConnection, findings: &mut Findings) -> QueryResult<()> {
    let (login, is_superuser, bypassing, owned, missing): (String, bool, Option<String>, i64, Option<String>) =
        statement::<(Text, Bool, Nullable<Text>, BigInt, Nullable<Text>)>(
            "SELECT session_user::text, r.rolsuper, (SELECT string_agg(m.rolname::text, ', ') FROM pg_roles m WHERE (m.rolbypassrls OR m.rolsuper) AND pg_has_role(r.oid, m.oid, 'MEMBER')),
                 (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                     WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND pg_has_role(r.oid, c.relowner, 'MEMBER')),
                 (SELECT string_agg(w.role, ', ') FROM unnest(ARRAY['portal_gate', 'portal_partner', 'portal_operator', 'portal_service']) AS w (role)
                     LEFT JOIN pg_roles c ON c.rolname = w.role LEFT JOIN pg_roles app ON app.rolname = 'portal_app'
                     WHERE c.oid IS NULL OR app.oid IS NULL OR NOT pg_has_role(app.oid, c.oid, 'MEMBER'))
             FROM pg_roles r WHERE r.rolname = session_user",
            Vec::new(),
        )
        .get_result(&mut connection)
        .await?;
    let about = "rights of the login";
    let before = findings.0.len();
    if is_superuser {
        findings.fault(
            about,
            format!("{login} is a superuser: row-level security does not hold it; make a login that is nothing more"),
        );
    } else if let Some(role) = bypassing {
        findings.fault(
            about,
            format!("{login} bypasses row-level security by the rights of {role}: ALTER ROLE {role} NOSUPERUSER NOBYPASSRLS, or REVOKE {role} from who has it"),
        );
    } else if owned > 0 {
        findings.fault(
            about,
            format!("{login} owns {owned} tables, or is a member of their owner: row-level security does not hold it; let another role own them"),
        );
    }
    if let Some(missing) = missing {
        findings.fault(
            about,
            format!("portal_app may not take the roles {missing}: GRANT them TO portal_app, as docs/operations.md says"),
        );
    }
    if findings.0.len() == before {
        findings.sound(about, format!("{login} owns nothing, and row-level security holds it"));
    }
    Ok(())
}

/// Whether the database is at this program's version, and the roles have what the migrations gave them.
pub async fn migrated(mut connection: &AsyncPgConnection, findings: &mut Findings) -> Result<bool> {
    let about = "migrations";
    match migrations::are_applied(connection).await {
        Ok(true) => findings.sound(about, "are applied"),
        Ok(false) => {
            findings.fault(about, "are missing: run `partner-portal migrate` with PORTAL_OWNER_URL");
            return Ok(false);
        }
        Err(error) => {
            findings.fault(
                about,
                format!("cannot be seen ({error}): run `partner-portal migrate` with PORTAL_OWNER_URL, and leave the login's search_path as it is"),
            );
            return Ok(false);
        }
    }
    let has_rights: bool = statement::<Bool>(
        "SELECT has_function_privilege('portal_app', 'publish_events(bigint, bigint)', 'EXECUTE') AND has_table_privilege('portal_gate', 'tenants', 'SELECT')
             AND has_table_privilege('portal_partner', 'partner_leads', 'SELECT') AND has_table_privilege('portal_operator', 'partner_leads', 'SELECT')
             AND has_function_privilege('portal_service', 'tenants_with_due_commissions(timestamptz)', 'EXECUTE')",
        Vec::new(),
    )
    .get_result(&mut connection)
    .await?;
    if !has_rights {
        findings.fault("rights of the roles", "that the migrations gave are missing, as after a restore without them: restore with the owner's rights and grants (no --no-acl)");
    }
    Ok(has_rights)
}

/// Whether row-level security is on everywhere.
pub async fn isolation(mut connection: &AsyncPgConnection, findings: &mut Findings) -> QueryResult<()> {
    let open: Option<String> = statement::<Nullable<Text>>(
        "SELECT string_agg(c.relname, ', ' ORDER BY c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relrowsecurity
             AND c.relname <> '__diesel_schema_migrations'",
        Vec::new(),
    )
    .get_result(&mut connection)
    .await?;
    match open {
        Some(tables) => findings.fault(
            "row-level security",
            format!("is off on {tables}: ALTER TABLE … ENABLE ROW LEVEL SECURITY, or tenants see each other's rows"),
        ),
        None => findings.sound("row-level security", "is on for every table"),
    }
    owners(connection, findings).await
}

/// Whether all tables are of one owner, who is nothing more.
async fn owners(mut connection: &AsyncPgConnection, findings: &mut Findings) -> QueryResult<()> {
    let about = "owner of the tables";
    let (owner, is_superuser, others): (String, bool, Option<String>) = statement::<(Text, Bool, Nullable<Text>)>(
        "SELECT o.rolname::text, o.rolsuper, (SELECT string_agg(c.relname, ', ' ORDER BY c.relname) FROM pg_class c
             WHERE c.relnamespace = t.relnamespace AND c.relkind IN ('r', 'p') AND c.relowner <> t.relowner)
         FROM pg_class t JOIN pg_roles o ON o.oid = t.relowner WHERE t.oid = 'public.tenants'::regclass",
        Vec::new(),
    )
    .get_result(&mut connection)
    .await?;
    if let Some(tables) = others {
        findings.fault(
            about,
            format!("is {owner}, but not of {tables}: ALTER TABLE … OWNER TO {owner}, or it can make no dump of them"),
        );
    } else if is_superuser {
        findings.note(about, format!("{owner} is a superuser: a role that owns the tables and is nothing more can do less harm"));
    } else {
        findings.sound(about, format!("is {owner}"));
    }
    Ok(())
}

/// Whether each issuer has tenants.
pub async fn tenants(mut connection: &AsyncPgConnection, settings: &Settings, findings: &mut Findings) -> Result<()> {
    for issuer in &settings.issuer {
        connection.batch_execute("BEGIN READ ONLY").await?;
        let announced = "SELECT set_config('role', 'portal_gate', true), set_config('app.issuer', ?, true)";
        statement::<(Text, Text)>(announced, vec![Bind::text(issuer.0.clone())]).execute(&mut connection).await?;
        let count: i64 = statement::<BigInt>("SELECT count(*) FROM tenants", Vec::new()).get_result(&mut connection).await?;
        connection.batch_execute("COMMIT").await?;
        let about = format!("tenants of {}", issuer.0);
        match count {
            0 if settings.clusters.is_some() => findings.note(about, "there is none on this cluster: `partner-portal tenant add` makes one, `tenant move` brings one"),
            0 => findings.fault(about, "there is none: nobody with its tokens can sign in; `partner-portal tenant add` makes one, or CLERK_ISSUER is mistyped"),
            count => findings.sound(about, format!("there are {count}")),
        }
    }
    Ok(())
}

/// Whether the keys open what they have sealed.
pub async fn sealed(connection: &AsyncPgConnection, keyring: Option<&Keyring>, findings: &mut Findings) -> Result<()> {
    let Some(keyring) = keyring else { return Ok(()) };
    let samples = samples(connection).await?;
    let (mut missing, mut other) = (BTreeSet::new(), BTreeSet::new());
    for Sample { field, tenant, row, sealed } in &samples {
        let of = || format!("{} with key {}", field.name(), Keyring::version_of(sealed).unwrap_or_default());
        match keyring.open(sealed, *field, *tenant, *row) {
            Ok(_) => {}
            Err(KeyringError::UnknownVersion(_)) => drop(missing.insert(of())),
            Err(_) => drop(other.insert(of())),
        }
    }
    let about = "sealed values";
    let list = |names: BTreeSet<String>| names.into_iter().collect::<Vec<_>>().join(", ");
    let all_open = missing.is_empty() && other.is_empty();
    if !missing.is_empty() {
        findings.fault(
            about,
            format!(
                "{} cannot be read: PORTAL_ENCRYPTION_KEYS must hold each key that has sealed something until `partner-portal rotate-keys` has run",
                list(missing)
            ),
        );
    }
    if !other.is_empty() {
        findings.fault(
            about,
            format!(
                "{} does not open: PORTAL_ENCRYPTION_KEYS holds another key of that number than the one that sealed it",
                list(other)
            ),
        );
    }
    if all_open && !samples.is_empty() {
        findings.sound(about, "open with the keys that have sealed them");
    }
    Ok(())
}
