//! Migrations: up, down, up again; two at once; one that fails.

use axum::{body::Body, http::Request};
use diesel_async::SimpleAsyncConnection;
use partner_portal::db::{connect, migrations};

use crate::support::{World, cluster};

/// How many migrations there are.
const ALL: usize = 64;

/// What a database is made of, as one text.
const SHAPE: &str = "SELECT hashtext((SELECT string_agg(format('%s.%s %s %s', table_name, column_name, udt_name, column_default), ';' ORDER BY table_name, ordinal_position)
        FROM information_schema.columns WHERE table_schema = 'public')
    || (SELECT string_agg(pg_get_constraintdef(oid) || conname, ';' ORDER BY conname, conrelid::regclass::text) FROM pg_constraint WHERE connamespace = 'public'::regnamespace)
    || (SELECT string_agg(indexdef, ';' ORDER BY indexname) FROM pg_indexes WHERE schemaname = 'public')
    || (SELECT string_agg(concat(tablename, policyname, roles, qual, with_check), ';' ORDER BY tablename, policyname) FROM pg_policies)
    || (SELECT string_agg(concat(table_name, grantee, privilege_type), ';' ORDER BY table_name, grantee, privilege_type) FROM information_schema.role_table_grants WHERE table_schema = 'public'))::bigint";

/// Taking every migration back leaves nothing behind, and applying them again makes the same database.
#[tokio::test(flavor = "multi_thread")]
async fn up_down_up() {
    let world = World::new().await;
    let config = world.database.owner.clone();
    let before = world.number(SHAPE).await;
    world.app.pool.close();
    migrations::revert_all(&config).await.expect("down");
    let left = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname NOT LIKE '\\_\\_diesel%'";
    assert_eq!(world.number(left).await, 0);
    let left = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace";
    assert_eq!(world.number(left).await, 0);
    let left = "SELECT count(*) FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype = 'd'";
    assert_eq!(world.number(left).await, 0);
    assert_eq!(migrations::run(&config).await.expect("up").len(), ALL);
    assert_eq!(world.number(SHAPE).await, before);
    assert!(migrations::run(&config).await.expect("nothing to do").is_empty());
}

/// Servers that start at the same time migrate once: the second waits and finds nothing missing.
#[tokio::test(flavor = "multi_thread")]
async fn two_at_once() {
    let database = cluster::empty_database().await;
    let run = |config: tokio_postgres::Config| tokio::spawn(async move { migrations::run(&config).await });
    let (one, two) = (run(database.owner.clone()), run(database.owner.clone()));
    let applied = [one.await.expect("a task").expect("migrated"), two.await.expect("a task").expect("migrated")];
    let mut counts = applied.map(|names| names.len());
    counts.sort_unstable();
    assert_eq!(counts, [0, ALL]);
}

/// A migration that fails is named with PostgreSQL's reason, and leaves what came before it as it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_failing_migration_is_named() {
    let database = cluster::empty_database().await;
    let mut connection = connect::establish(&database.owner, None).await.expect("a connection");
    connection.batch_execute("CREATE TABLE partners (in_the_way int)").await.expect("a table");
    let error = migrations::run(&database.owner).await.expect_err("it is in the way").to_string();
    assert_eq!(error, "migration 2026-11-20-090200_partners failed: relation \"partners\" already exists");
    connection.batch_execute("SELECT id FROM tenants; DROP TABLE partners").await.expect("the migration before it is applied");
    assert_eq!(migrations::run(&database.owner).await.expect("the rest").len(), ALL - 2);
}

/// A server is ready when every migration that it knows is applied.
#[tokio::test(flavor = "multi_thread")]
async fn readiness_follows_the_migrations() {
    let world = World::new().await;
    let ready = async || world.send(Request::get("/readyz").body(Body::empty()).expect("a request")).await;
    let answer = ready().await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, Some("ready\n")));
    world.sql("DELETE FROM __diesel_schema_migrations WHERE version = '20261120090300'").await;
    let answer = ready().await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (503, Some("migrations are missing\n")));
}
