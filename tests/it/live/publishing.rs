//! How changes come to be reported: what publishing passes over, and what it costs.

use std::time::Duration;

use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use partner_portal::models::event::Publisher;

use crate::support::{World, sql::number};

const WAITING: &str = "SELECT count(*) FROM events WHERE place IS NULL";

/// However much has changed since a report or a backup began to read, a change and its publishing look at few events: while it reads, no old
/// entry leaves the index of those that wait.
#[tokio::test(flavor = "multi_thread")]
async fn while_a_report_reads() {
    let world = World::new().await;
    let (mut report, mut owner) = (world.owner().await, world.owner().await);
    report.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM events").await.expect("a snapshot");
    let mut publisher = Publisher::default();
    for leads in [700, 700, 20, 20] {
        world.add_leads(world.acme, world.a, leads).await;
        assert_eq!(usize::try_from(publisher.publish(&owner, 10_000).await.expect("it publishes")), Ok(leads));
    }
    until_caught_up(&mut publisher, &mut owner).await;
    let change = "UPDATE partner_leads SET notes = 'x' WHERE id = (SELECT min(id::text)::uuid FROM partner_leads)";
    let ((), entries) = looks(&mut owner, async |mut owner| owner.batch_execute(change).await.expect("a change")).await;
    assert!(entries <= 64, "{entries} entries for a change");
    let (done, entries) = looks(&mut owner, async |owner| publisher.publish(owner, 10_000).await.expect("it publishes")).await;
    assert!(done == 1 && entries <= 64, "{entries} entries for its publishing");
    assert_eq!(world.number(WAITING).await, 0);
}

/// Waits until a publishing of nothing looks at next to nothing. Transactions of other databases count too: they must have ended.
async fn until_caught_up(publisher: &mut Publisher, owner: &mut AsyncPgConnection) {
    let mut entries = i64::MAX;
    for _ in 0..400 {
        publisher.publish(owner, 10_000).await.expect("it publishes");
        (_, entries) = looks(owner, async |owner| publisher.publish(owner, 10_000).await.expect("it publishes")).await;
        if entries <= 64 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{entries} entries for a publishing of nothing");
}

/// What `work` gives, and how many events and entries of those that wait it has looked at: in a transaction, in which the counts stay.
async fn looks<T>(owner: &mut AsyncPgConnection, work: impl AsyncFnOnce(&AsyncPgConnection) -> T) -> (T, i64) {
    let looked = "SELECT pg_stat_get_xact_tuples_returned('events_waiting_idx'::regclass) + pg_stat_get_xact_tuples_returned('events'::regclass)";
    owner.batch_execute("BEGIN").await.expect("it begins");
    let before = number(owner, looked).await;
    let done = work(owner).await;
    let after = number(owner, looked).await;
    owner.batch_execute("COMMIT").await.expect("it is committed");
    (done, after - before)
}

/// A publishing that is refused at its commit is tried again: what it would have published is not passed over.
#[tokio::test(flavor = "multi_thread")]
async fn a_publishing_is_refused_at_last() {
    let world = World::new().await;
    let (mut owner, mut late) = (world.owner().await, world.owner().await);
    let lead = world.add_lead(world.acme, world.a).await;
    world
        .sql(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN IF current_setting('test.refuses', true) = 'yes' THEN RAISE EXCEPTION 'refused at last'; END IF; RETURN NULL; END $$;
             CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON events DEFERRABLE INITIALLY DEFERRED
                 FOR EACH ROW EXECUTE FUNCTION refuse()",
        )
        .await;
    let mut publisher = Publisher::default();
    until_caught_up(&mut publisher, &mut owner).await;
    let change = format!("BEGIN; UPDATE partner_leads SET notes = 'x' WHERE id = '{}'", lead.uuid());
    late.batch_execute(&change).await.expect("a change");
    world.add_lead(world.acme, world.a).await;
    publisher.publish(&owner, 10_000).await.expect("it publishes");
    late.batch_execute("COMMIT").await.expect("it is committed");
    owner.batch_execute("SET test.refuses = 'yes'").await.expect("a setting");
    publisher.publish(&owner, 10_000).await.expect_err("it is refused");
    owner.batch_execute("RESET test.refuses").await.expect("a setting");
    assert_eq!(publisher.publish(&owner, 10_000).await.expect("it publishes"), 1);
    assert_eq!(world.number(WAITING).await, 0);
}

/// Where ids begin anew, what comes then is published.
#[tokio::test(flavor = "multi_thread")]
async fn ids_begin_anew() {
    let world = World::new().await;
    let mut owner = world.owner().await;
    let mut publisher = Publisher::default();
    world.add_leads(world.acme, world.a, 150).await;
    until_caught_up(&mut publisher, &mut owner).await;
    world.sql("DELETE FROM events; ALTER SEQUENCE events_id_seq RESTART").await;
    world.add_leads(world.acme, world.a, 5).await;
    while publisher.publish(&owner, 10_000).await.expect("it publishes") > 0 {}
    publisher.publish(&owner, 10_000).await.expect("it publishes");
    assert_eq!(world.number(WAITING).await, 0);
}

/// A transaction that comes to its end late is published late, and not passed over, however many have been published since it began.
#[tokio::test(flavor = "multi_thread")]
async fn who_ends_late_is_published() {
    let world = World::new().await;
    let (owner, mut late) = (world.owner().await, world.owner().await);
    let lead = world.add_lead(world.acme, world.a).await;
    late.batch_execute(&format!("BEGIN; UPDATE partner_leads SET notes = 'x' WHERE id = '{}'", lead.uuid()))
        .await
        .expect("a change");
    let mut publisher = Publisher::default();
    for _ in 0..5 {
        world.add_leads(world.acme, world.a, 3).await;
        assert!(publisher.publish(&owner, 10_000).await.expect("it publishes") >= 3);
    }
    late.batch_execute("COMMIT").await.expect("it is committed");
    assert_eq!(publisher.publish(&owner, 10_000).await.expect("it publishes"), 1);
    assert_eq!(world.number(WAITING).await, 0);
}
