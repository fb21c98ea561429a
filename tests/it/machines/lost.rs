//! Databases that are lost, or are not what they were, while queries are answered: none of them fails.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use futures_util::future::join_all;
use nix::sys::signal::Signal;
use partner_portal::{
    db::{
        DatabaseKind, LINGER, Pool, PoolSettings,
        session::{Caller, Session},
        standbys::State,
        wal::{self, WalPosition},
    },
    error::Error,
    ids::UserId,
};
use serde_json::json;
use tokio_postgres::config::TargetSessionAttrs;

use super::standbys::Primary;
use crate::{
    live::subscriptions::{LEADS, settled, step},
    support::{
        World,
        listening::Listening,
        processes::{parent, signal_all},
        sql::number,
        standby::Standby,
        token,
        world::{ACME, Setup},
    },
};

use super::reading::{SEND, ask, reader, until};

/// Asks all the time, by several callers, until the task is ended; a query that fails ends it too.
fn load(world: &Arc<World>) -> tokio::task::JoinHandle<()> {
    let world = Arc::clone(world);
    tokio::spawn(async move {
        loop {
            let answers = join_all((0..4).map(|_| world.owner_a("{ leads(first: 5) { nodes { id status } } }", json!({})))).await;
            for answer in answers {
                assert_eq!(answer.data()["leads"]["nodes"].as_array().map(Vec::len), Some(5));
            }
        }
    })
}

/// A standby that ends, and one that does not answer any more, fail no query: what was under way there is answered by another. Each is used again when it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn standbys_that_are_lost() {
    let Primary { world, server, .. } = &Primary::start().await;
    world.add_leads(world.acme, world.a, 10).await;
    world.owner_a("{ me { user { id } } }", json!({})).await.data();
    let (ending, silent) = (Standby::of(server, &[]).await, Standby::of(server, &[]).await);
    let reader = Arc::new(reader(world, &[&ending, &silent], Duration::from_secs(5)).await);
    let load = load(&reader);
    tokio::time::sleep(Duration::from_millis(500)).await;
    silent.freeze();
    until(&reader, "one is left out", |serving| serving == [true, false]).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    silent.thaw();
    until(&reader, "it is back", |serving| serving == [true, true]).await;
    drop(ending);
    until(&reader, "the other is left out", |serving| serving == [false, true]).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!load.is_finished(), "a query has failed: {:?}", load.await);
    load.abort();
    assert!(reader.app.standbys.repeated() > 0, "{:?}", reader.app.standbys.reads());
}

/// A standby that stays silent holds neither events nor exports up: they are read elsewhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn events_while_a_standby_is_silent() {
    let Primary { world, server, .. } = &Primary::start().await;
    let lead = world.add_lead(world.acme, world.a).await.to_string();
    world.owner_a("{ me { user { id } } }", json!({})).await.data();
    let standby = Standby::of(server, &[]).await;
    let reader = reader(world, &[&standby], Duration::from_secs(5)).await;
    let listening = Listening::start(&reader).await;
    let mut socket = listening.connect(&token("owner_a", ACME)).await;
    socket.subscribe("1", LEADS, json!({})).await;
    settled(&reader, 1).await;
    standby.freeze();
    step(world, &lead, "CONTACTED").await;
    let export = Request::get("/export/leads.csv").header(header::AUTHORIZATION, format!("Bearer {}", token("owner_a", ACME)));
    let (told, file) = tokio::join!(socket.next("1"), reader.send(export.body(Body::empty()).expect("a request")));
    assert_eq!(told["leadChanged"]["lead"]["status"], "CONTACTED");
    assert_eq!((file.status, file.text.lines().count()), (StatusCode::OK, 2));
}

/// A query that a standby ends for the sake of what it replays is answered by the primary.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_query_in_conflict_with_recovery() {
    let Primary { world, server, .. } = &Primary::start().await;
    world.owner_a("{ me { user { id } } }", json!({})).await.data();
    let standby = Standby::of(server, &["max_standby_streaming_delay=0", "hot_standby_feedback=off"]).await;
    let reader = reader(world, &[&standby], Duration::from_secs(5)).await;
    let (was_in_conflict, limit) = (|| reader.app.standbys.repeated() > 0, std::time::Instant::now() + Duration::from_secs(40));
    let goes_on = || !was_in_conflict() && std::time::Instant::now() < limit;
    let lock = async {
        while goes_on() {
            // What is locked on the primary is locked on the standby too: queries there stand in the way.
            world.sql("BEGIN; LOCK TABLE partner_leads; SELECT pg_sleep(0.02); COMMIT").await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let asks = async {
        while goes_on() {
            let answers = join_all((0..4).map(|_| reader.owner_a("{ leads(first: 5) { nodes { id } } }", json!({})))).await;
            for answer in answers {
                assert!(answer.data()["leads"].is_object());
            }
        }
    };
    tokio::join!(lock, asks);
    assert!(reader.app.standbys.repeated() > 0, "nothing was in conflict: this test proves nothing");
}

/// Whatever is known of a standby, the session that reads from it makes sure by itself that it is one, and has come far enough.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_session_makes_sure() {
    let Primary { world, server, .. } = &Primary::start().await;
    let standby = Standby::of(server, &[]).await;
    standby.catch_up(server).await;
    let there = wal::position(&standby.owner().await).await.expect("a position");
    let limit = Duration::from_secs(5);
    let settings = PoolSettings { size: 1, wait: limit, statement_timeout: limit, linger: LINGER, kind: DatabaseKind::Standby };
    let pool = Pool::new(standby.login(), settings).expect("a pool");
    let open = async |required: WalPosition| {
        let caller = Caller::Service { tenant: world.acme, user: UserId::new() };
        Session::open(&pool.requiring(required), caller, async |_| Ok(())).await.map(drop)
    };
    // Twice: also on a connection whose last transaction is still open.
    for _ in 0..2 {
        open(there).await.expect("it is as far");
        open(WalPosition::default()).await.expect("nothing is required");
        assert!(matches!(open(WalPosition(there.0 + (1 << 40))).await, Err(Error::Unavailable(_))));
    }
    standby.promote().await;
    assert!(matches!(open(there).await, Err(Error::Unavailable(_))), "it is no standby any more");
}

/// While the primary is away, queries are answered, and the server is ready for them; mutations get 503 and Retry-After.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_primary_that_is_lost() {
    let Primary { world, server, _folder } = Primary::start().await;
    world.add_leads(world.acme, world.a, 10).await;
    world.owner_a("{ me { user { id } } }", json!({})).await.data();
    let standby = Standby::of(&server, &[]).await;
    standby.catch_up(&server).await;
    let reader = Arc::new(reader(&world, &[&standby], Duration::from_millis(500)).await);
    let load = load(&reader);
    tokio::time::sleep(Duration::from_millis(500)).await;
    // It does not answer, and its connections stay; then it is gone.
    let mut owner = world.owner().await;
    let backend = number(&mut owner, "SELECT pg_backend_pid()::bigint").await;
    let postmaster = parent(i32::try_from(backend).expect("a process")).expect("the server").unsigned_abs();
    signal_all(postmaster, Signal::SIGSTOP);
    // It is known a while later; from then on nothing waits for it.
    let (refused, ready) = tokio::join!(reader.owner_a(SEND, json!({})), async {
        tokio::time::sleep(Duration::from_secs(4)).await;
        let asked = std::time::Instant::now();
        (reader.visit("GET", "/readyz", &[]).await.status(), asked.elapsed())
    });
    assert_eq!(refused.code(), "SERVICE_UNAVAILABLE", "{}", refused.body);
    assert!(ready.0 == StatusCode::OK && ready.1 < Duration::from_secs(1), "{ready:?}");
    signal_all(postmaster, Signal::SIGCONT);
    assert!(!load.is_finished(), "a query has failed: {:?}", load.await);
    server.stop().await;
    // Longer than a standby may be behind.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let answer = reader.owner_a(SEND, json!({})).await;
    assert_eq!((answer.code(), answer.headers.contains_key("retry-after")), ("SERVICE_UNAVAILABLE", true), "{}", answer.body);
    assert_eq!(reader.visit("GET", "/readyz", &[]).await.status(), StatusCode::OK);
    assert!(!load.is_finished(), "a query has failed: {:?}", load.await);
    load.abort();
}

/// After a failover, a standby that follows the new primary answers queries at once where the login may see that it does; one that stays behind answers none.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn standbys_after_a_failover() {
    let Primary { world, server, _folder } = Primary::start().await;
    world.sql("GRANT pg_read_all_stats TO portal; ALTER ROLE portal NOINHERIT").await;
    world.owner_a("{ me { role } }", json!({})).await.data();
    let (next, following, left) =
        (Standby::of(&server, &[]).await, Standby::of(&server, &[]).await, Standby::of(&server, &[]).await);
    let mut login = server.login();
    login.host_path(next.folder()).target_session_attrs(TargetSessionAttrs::ReadWrite);
    let setup = Setup {
        database: Some(world.database.clone().with_login(login)),
        standbys: vec![following.login(), left.login()],
        ..Setup::default()
    };
    let reader = world.twin_with(setup).await;
    until(&reader, "both serve", |serving| serving == [true, true]).await;
    for standby in [&next, &following, &left] {
        standby.catch_up(&server).await;
    }
    server.stop().await;
    next.promote().await;
    following.follow(&next).await;
    until(&reader, "the one that follows serves, and the other does not", |serving| serving == [true, false]).await;
    let states: Vec<State> = reader.app.standbys.status().iter().map(|standby| standby.state).collect();
    assert_eq!(states, [State::Serving, State::OfOldTimeline]);
    ask(&reader, "owner_a", SEND, json!({}), None).await.data();
}

/// What is no standby of the primary answers nothing: one that was promoted, and one of another cluster.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_no_standby() {
    let Primary { world, server, .. } = &Primary::start().await;
    let other = Primary::start().await;
    let (standby, of_another) = (Standby::of(server, &[]).await, Standby::of(&other.server, &[]).await);
    let setup = Setup { standbys: vec![standby.login(), of_another.login(), other.server.login()], ..Setup::default() };
    let reader = world.twin_with(setup).await;
    until(&reader, "its own serves", |serving| serving == [true, false, false]).await;
    standby.promote().await;
    until(&reader, "none serves", |serving| serving == [false, false, false]).await;
    let states: Vec<State> = reader.app.standbys.status().iter().map(|standby| standby.state).collect();
    assert_eq!(states, [State::Promoted, State::OfAnother, State::OfAnother]);
    reader.owner_a("{ me { role } }", json!({})).await.data();
}
