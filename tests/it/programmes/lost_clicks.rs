//! No click is lost that was answered: while the database is away, and when the process is killed.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::http::StatusCode;
use diesel::sql_types::Uuid as SqlUuid;
use futures_util::future::join_all;
use nix::sys::signal::Signal;
use partner_portal::{
    db::{
        connect,
        embedded::{Embedded, Options},
        migrations,
        statement::statement,
    },
    ids::ClickId,
};
use serde_json::json;

use super::{figures, path, until_written};
use crate::support::{
    World,
    binary::{Folder, Server, eventually, run},
    cluster::{self, Database},
    programmes::BROWSER,
    world::Setup,
};

/// While PostgreSQL is stopped redirects go on, and every click that was answered is there once it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn redirects_go_on_without_the_database() {
    let folder = Folder::new();
    let options = Options { throw_away: false, ..cluster::options() };
    let server = Embedded::start(&folder.0, &options).await.expect("PostgreSQL");
    migrations::run(&server.owner()).await.expect("migrations");
    server.grant_roles().await.expect("grants");
    let database = Database::of(&server);
    let world = World::with(Setup { database: Some(database), ..Setup::default() }).await;
    let tasks = world.follow_links().await;
    let link = world.link("https://example.com/1").await;
    let mut answered = 0;
    let mut follow = async |count: usize, part: usize| {
        let visits = (0..count).map(|number| {
            let (world, path) = (&world, path(&link));
            async move { world.follow(&path, &format!("198.51.{part}.{number}")).await }
        });
        assert!(join_all(visits).await.iter().all(|leads| leads.contains("click_id=click_")));
        answered += i64::try_from(count).expect("few");
    };
    follow(50, 1).await;
    server.stop().await;
    follow(200, 2).await;
    // What is not remembered cannot be looked up, and says so.
    let unknown = world.visit("GET", "/l/unknown", &[("user-agent", BROWSER)]).await;
    assert_eq!(
        (unknown.status(), &unknown.headers()["retry-after"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"5".parse().expect("a value"))
    );
    assert!(world.app.clicks.backlog() > 0);
    let again = Embedded::start(&folder.0, &options).await.expect("PostgreSQL again");
    follow(50, 3).await;
    until_written(&world, answered).await;
    assert_eq!(figures(&world, &link).await, json!({"clicks": answered, "visitors": answered}));
    assert_eq!(world.broken_rules().await, [""; 0]);
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    again.stop().await;
}

/// The process is killed under load: each click that was answered is in the database after the next start, once, with the id that the shop was
/// given.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killed_under_load_no_click_is_lost() {
    let folder = Folder::new();
    let server = Server::start(&folder.0);
    let partner = String::from_utf8(run(&folder.0, &["token"]).stdout).expect("a token").trim().to_owned();
    let made = server.ask(&partner, "mutation { createLink(input: { url: \"https://example.com/\", key: \"killed\" }) { link { id } userErrors { message } } }").await;
    assert!(made["data"]["createLink"]["link"]["id"].is_string(), "{made}");
    let client =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).user_agent(BROWSER).build().expect("a client");
    let (answered, done) = (Mutex::new(BTreeSet::new()), AtomicBool::new(false));
    let address = format!("http://{}/l/killed", server.address);
    let load = (0..16).map(|_| async {
        while !done.load(Ordering::Relaxed) {
            let Ok(answer) = client.get(&address).send().await else { break };
            let location = answer.headers()["location"].to_str().expect("text").to_owned();
            answered.lock().expect("a set").insert(location.split_once("click_id=").expect("an id").1.to_owned());
        }
    });
    let killing = async {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        server.signal(Signal::SIGKILL);
        tokio::time::sleep(Duration::from_millis(500)).await;
        done.store(true, Ordering::Relaxed);
    };
    tokio::join!(join_all(load), killing);
    drop(server);
    let answered = answered.into_inner().expect("a set");
    assert!(answered.len() > 200, "{} answers are no load", answered.len());

    let server = Server::start(&folder.0);
    let query = "{ link(key: \"killed\") { figures { clicks visitors } } }";
    let clicks = folder.0.join("clicks");
    eventually("what was left behind is taken up", || std::fs::read_dir(&clicks).expect("a folder").count() == 1).await;
    let figures = server.ask(&partner, query).await;
    // One visitor within an hour is one click that counts; the others are kept all the same.
    assert_eq!(figures["data"]["link"]["figures"], json!({"clicks": 1, "visitors": 1}));
    let verified = run(&folder.0, &["verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    let database = Embedded::start(&folder.0.join("postgres"), &cluster::options()).await.expect("the running server");
    let mut connection = connect::establish(&database.owner(), None).await.expect("a connection");
    let ids = statement::<SqlUuid>("SELECT id FROM link_clicks", vec![]);
    let kept: Vec<ClickId> = diesel_async::RunQueryDsl::load(ids, &mut connection).await.expect("ids");
    database.stop().await;
    let kept: BTreeSet<String> = kept.iter().map(ToString::to_string).collect();
    let lost: Vec<&String> = answered.difference(&kept).collect();
    assert!(lost.is_empty(), "{} of {} are lost: {:?}", lost.len(), answered.len(), lost.first());
}
