//! `partner-portal doctor`: a set-up that is right passes, and each thing that is wrong is found, with what to do.

use std::process::Command;

use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use partner_portal::keyring::{Keyring, SealedField};
use serde_json::Value;
use uuid::Uuid;

use crate::support::{binary::command, production::Production, sql::text, standby::sockets};

/// A set-up, and what is wrong with it for the moment.
struct Patient(Production);

impl Patient {
    /// What the doctor says with other settings, and the exit status.
    fn ask(&self, changed: &[(&'static str, Option<&str>)]) -> (Option<i32>, Vec<Value>) {
        let mut settings = self.0.settings.clone();
        for (name, value) in changed {
            match value {
                Some(value) => settings.insert(name, (*value).to_owned()),
                None => settings.remove(name),
            };
        }
        let mut program: Command = command(&self.0.data.0);
        let output = program.args(["doctor", "--json"]).envs(settings).output().expect("the program runs");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let findings: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert!(!findings.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        (output.status.code(), findings)
    }

    /// The faults alone.
    fn faults(&self, changed: &[(&'static str, Option<&str>)]) -> Vec<String> {
        let (status, findings) = self.ask(changed);
        let faults: Vec<String> = findings
            .iter()
            .filter(|finding| finding["weight"] == "fault")
            .map(|finding| format!("{}: {}", finding["about"].as_str().expect("text"), finding["text"].as_str().expect("text")))
            .collect();
        assert_eq!(status, Some(i32::from(!faults.is_empty())), "{findings:?}");
        faults
    }

    /// One fault is found, and these words are in it.
    fn finds(&self, words: &str, changed: &[(&'static str, Option<&str>)]) {
        let faults = self.faults(changed);
        assert!(faults.len() == 1 && faults[0].contains(words), "{words}: {faults:#?}");
    }

    /// The same of what an administrator has done.
    async fn finds_after(&mut self, words: &str, done: &str, undone: &str) {
        self.0.administrator.batch_execute(done).await.unwrap_or_else(|error| panic!("{done}: {error}"));
        self.finds(words, &[]);
        self.0.administrator.batch_execute(undone).await.unwrap_or_else(|error| panic!("{undone}: {error}"));
    }

    /// The same of a setting of the PostgreSQL server.
    async fn finds_setting(&mut self, words: &str, name: &str, value: &str) {
        let reload = async |administrator: &mut AsyncPgConnection, how: String| {
            administrator.batch_execute(&how).await.expect("a setting");
            administrator.batch_execute("SELECT pg_reload_conf()").await.expect("it is read");
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        };
        reload(&mut self.0.administrator, format!("ALTER SYSTEM SET {name} = {value}")).await;
        self.finds(words, &[]);
        reload(&mut self.0.administrator, format!("ALTER SYSTEM RESET {name}")).await;
    }
}

/// What is right passes; of what is planted, each fault is found alone, by what it is about, and the exit status says so.
#[tokio::test(flavor = "multi_thread")]
async fn what_it_is_set_to() {
    let portal = Patient(Production::start().await);
    assert_eq!(portal.faults(&[]), Vec::<String>::new(), "the set-up of docs/operations.md");
    let url = portal.0.settings["DATABASE_URL"].clone();
    let issuer = portal.0.settings["CLERK_ISSUER"].clone();

    // Settings.
    portal.finds("PORTAL_PUBLIC_URL: is not set", &[("PORTAL_PUBLIC_URL", None)]);
    portal.finds("the address that the world knows", &[("PORTAL_PUBLIC_URL", Some("http://localhost:8080"))]);
    portal.finds("PORTAL_CORS_ORIGINS", &[("PORTAL_CORS_ORIGINS", Some("http://app.example.com"))]);
    portal.finds("PORTAL_STATEMENT_TIMEOUT: is 30 s", &[("PORTAL_STATEMENT_TIMEOUT", Some("30"))]);
    portal.finds("PORTAL_UPLOAD_TIMEOUT", &[("PORTAL_UPLOAD_TIMEOUT", Some("3"))]);
    portal.finds("lower PORTAL_MAX_SOCKETS", &[("PORTAL_MAX_SOCKETS", Some("100000000"))]);
    portal.finds("is in memory", &[("PORTAL_CLICK_DIR", Some("/dev/shm/clicks"))]);
    portal.finds("cannot be written", &[("PORTAL_CLICK_DIR", Some("/proc/clicks"))]);
    portal.finds("PORTAL_ENCRYPTION_KEYS (--encryption-keys) is not set", &[("PORTAL_ENCRYPTION_KEYS", None)]);

    // Issuers.
    let nobody = "http://127.0.0.1:9";
    let of_nobody = portal.faults(&[("CLERK_ISSUER", Some(nobody))]);
    assert!(of_nobody.iter().any(|fault| fault.contains("its keys cannot be had")), "{of_nobody:?}");
    assert!(of_nobody.iter().any(|fault| fault.contains("nobody with its tokens can sign in")), "{of_nobody:?}");
    portal.finds("holds no usable key", &[("CLERK_JWKS_URL", Some(&format!("{issuer}/empty/.well-known/jwks.json")))]);
    portal.finds("let both follow NTP", &[("CLERK_JWKS_URL", Some(&format!("{issuer}/late/.well-known/jwks.json")))]);

    // The way to the database.
    portal.finds("there is no connection", &[("DATABASE_URL", Some("postgres://portal@127.0.0.1:9/portal"))]);
    portal.finds(
        "there is no connection",
        &[("DATABASE_URL", Some(&url.replace("/portal?", "/other?").replace("/portal", "/other")))],
    );
    let socket = sockets(&portal.0.cluster.owner()).display().to_string();
    let two = format!("host={socket},/nowhere user=portal dbname=portal");
    portal.finds("target_session_attrs=read-write", &[("DATABASE_URL", Some(&two))]);
    portal.finds("is no standby", &[("PORTAL_READ_URL", Some(&url))]);
    portal.finds("is not used: ", &[("PORTAL_READ_URL", Some("postgres://portal@127.0.0.1:9/portal"))]);
    portal.finds("is a superuser", &[("DATABASE_URL", Some(&url.replace("portal@", "postgres@")))]);
    portal.finds("owns", &[("DATABASE_URL", Some(&url.replace("portal@", "portal_owner@")))]);
    portal.finds("max_connections of PostgreSQL leaves", &[("PORTAL_POOL_SIZE", Some("500"))]);

    portal.0.cluster.stop().await;
}

/// The same of what an administrator has done to the database.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_to_the_database() {
    let mut portal = Patient(Production::start().await);
    portal
        .finds_after("by the rights of portal: ALTER ROLE", "ALTER ROLE portal BYPASSRLS", "ALTER ROLE portal NOBYPASSRLS")
        .await;
    portal
        .finds_after(
            "the login's CONNECTION LIMIT",
            "ALTER ROLE portal CONNECTION LIMIT 5",
            "ALTER ROLE portal CONNECTION LIMIT -1",
        )
        .await;
    portal
        .finds_after(
            "is portal_owner, but not of customers: ALTER TABLE",
            "ALTER TABLE customers OWNER TO postgres",
            "ALTER TABLE customers OWNER TO portal_owner",
        )
        .await;
    portal.finds_after("may not take the role portal_app", "REVOKE portal_app FROM portal", "GRANT portal_app TO portal").await;
    portal
        .finds_after(
            "portal_operator: GRANT them",
            "REVOKE portal_operator FROM portal_app",
            "GRANT portal_operator TO portal_app",
        )
        .await;
    portal
        .finds_after(
            "row-level security: is off on partner_leads",
            "ALTER TABLE partner_leads DISABLE ROW LEVEL SECURITY",
            "ALTER TABLE partner_leads ENABLE ROW LEVEL SECURITY",
        )
        .await;
    let last = text(&mut portal.0.owner, "SELECT max(version) FROM __diesel_schema_migrations").await;
    portal
        .finds_after(
            "migrations: are missing",
            &format!("DELETE FROM __diesel_schema_migrations WHERE version = '{last}'"),
            &format!("INSERT INTO __diesel_schema_migrations (version) VALUES ('{last}')"),
        )
        .await;
    portal
        .finds_after(
            "is off on tenants",
            "ALTER TABLE tenants DISABLE ROW LEVEL SECURITY",
            "ALTER TABLE tenants ENABLE ROW LEVEL SECURITY",
        )
        .await;
    portal
        .finds_after(
            "by the rights of portal_service",
            "ALTER ROLE portal_service SUPERUSER",
            "ALTER ROLE portal_service NOSUPERUSER",
        )
        .await;
    portal
        .finds_after(
            "rights of the roles",
            "REVOKE EXECUTE ON FUNCTION publish_events(bigint, bigint) FROM portal_app",
            "GRANT EXECUTE ON FUNCTION publish_events(bigint, bigint) TO portal_app",
        )
        .await;
    portal
        .finds_after(
            "default_transaction_read_only: is on",
            "ALTER ROLE portal SET default_transaction_read_only = on",
            "ALTER ROLE portal RESET default_transaction_read_only",
        )
        .await;
    for (words, name, value) in [
        ("fsync: is off", "fsync", "off"),
        ("full_page_writes: is off", "full_page_writes", "off"),
        ("autovacuum: is off", "autovacuum", "off"),
        ("track_counts: is off", "track_counts", "off"),
        ("synchronous_commit: is off", "synchronous_commit", "off"),
        ("none of them is connected", "synchronous_standby_names", "'standby'"),
    ] {
        portal.finds_setting(words, name, value).await;
    }

    // A key that has sealed something and is not there.
    let sealed = "INSERT INTO partners (tenant_id, id, company_name, status, commission_rate) SELECT id, gen_random_uuid(), 'P', 'active', 0.1 FROM tenants;
        INSERT INTO partner_profiles (tenant_id, partner_id, tax_id_sealed, tax_id_last4)
            SELECT tenant_id, id, '\\x00000007aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', '1234' FROM partners";
    portal.0.administrator.batch_execute(sealed).await.expect("a sealed value");
    portal.finds("sealed values: tax_id with key 7 cannot be read", &[]);

    // Another key of the number that has sealed something.
    let (partner, tenant) = ("SELECT id::text FROM partners", "SELECT id::text FROM tenants");
    let partner: Uuid = text(&mut portal.0.owner, partner).await.parse().expect("an id");
    let tenant: Uuid = text(&mut portal.0.owner, tenant).await.parse().expect("an id");
    let (keyring, setting) = Keyring::generate().expect("a key");
    let sealed = keyring.seal("DE123456789", SealedField::TaxId, tenant.into(), partner).expect("sealed");
    let sealed = format!("UPDATE partner_profiles SET tax_id_sealed = decode('{}', 'hex')", hex::encode(sealed));
    portal.0.administrator.batch_execute(&sealed).await.expect("a sealed value");
    portal.finds("sealed values: tax_id with key 1 does not open", &[]);
    assert_eq!(portal.faults(&[("PORTAL_ENCRYPTION_KEYS", Some(&setting))]), Vec::<String>::new());
    portal.0.cluster.stop().await;
}
