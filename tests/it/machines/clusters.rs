//! Servers on several clusters: each tenant is answered by the cluster that it is on.

use std::net::SocketAddr;

use diesel_async::SimpleAsyncConnection;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{
    binary::eventually,
    traffic::{ask, partner},
    two_clusters::TwoClusters,
};

const MINE: &str = "{ me { tenant { name } } }";

async fn mine(address: SocketAddr, token: &str) -> Result<Value, String> {
    ask(&reqwest::Client::new(), address, token, MINE, json!({})).await.map(|data| data["me"]["tenant"]["name"].clone())
}

async fn get(address: SocketAddr, path: &str) -> (StatusCode, String) {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let answer = client.get(format!("http://{address}{path}")).send().await.expect("an answer");
    (answer.status(), answer.headers().get("location").map(|to| to.to_str().expect("text").to_owned()).unwrap_or_default())
}

/// A tenant is answered by its cluster, whichever that is, and so are its links; commands are for all clusters, or for the one that is named.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_tenant_is_answered_by_its_cluster() {
    let both = &mut TwoClusters::start().await;
    let owner = partner(&both.main).await;
    both.said(&["tenant", "add", "second", "--name", "Second", "--partner-on-signup", "active", "--cluster", "b"]);
    both.said(&["seed", "--tenant", "second", "--partners", "2", "--leads", "5", "--clicks", "50", "--cluster", "b"]);
    let listed = both.said(&["tenant", "list"]);
    assert!(listed.starts_with("main:\nmain\t") && listed.contains("\nb:\nsecond\tSecond\t"), "{listed}");
    let listed = both.said(&["tenant", "list", "--cluster", "b"]);
    assert!(listed.starts_with("second\t"), "{listed}");
    assert!(
        both.refused(&["tenant", "list", "--cluster", "c"]).contains("--cluster: there is no cluster \"c\"; there are main, b")
    );
    assert!(both.said(&["verify", "--tenant", "second"]).starts_with("b:\n"));
    assert!(both.refused(&["verify", "--tenant", "third"]).contains("there is no tenant \"third\""));
    let server = both.main.serve(&[("PORTAL_METRICS_LISTEN", "127.0.0.1:0")]).await;
    let second = both.main.token_of("somebody", "second");
    assert_eq!(mine(server.address, &owner).await.expect("an answer"), "127.0.0.1");
    assert_eq!(mine(server.address, &second).await.expect("an answer"), "Second");
    // It was added after the server was started.
    both.said(&["tenant", "add", "third", "--name", "Third", "--cluster", "b"]);
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(mine(server.address, &both.main.token_of("somebody", "third")).await.expect("an answer"), "Third");
    let nobody = mine(server.address, &both.main.token_of("somebody", "fourth")).await.expect_err("nobody");
    assert!(nobody.contains("UNAUTHENTICATED"), "{nobody}");
    // A token that names no tenant is for the only one of its issuer: here there are several, on one cluster and on the other.
    let unnamed = mine(server.address, &both.main.token_without_tenant("somebody")).await.expect_err("one of several");
    assert!(unnamed.contains("UNAUTHENTICATED"), "{unnamed}");
    // A key of either cluster's; one that is chosen on one is taken on the other.
    let key = crate::support::sql::text(
        &mut both.on_b,
        "SELECT key FROM links WHERE archived_at IS NULL AND host IS NULL AND expires_at IS NULL ORDER BY key LIMIT 1",
    )
    .await;
    let (status, location) = get(server.address, &format!("/l/{key}")).await;
    assert!(status == StatusCode::FOUND && location.contains("click_id="), "{status} {location}");
    assert_eq!(get(server.address, "/l/nothing-like-it").await.0, StatusCode::NOT_FOUND);
    let create = "mutation ($input: CreateLinkInput!) { createLink(input: $input) { link { id } userErrors { code field } } }";
    let input = json!({"input": {"url": "https://shop.example.com/p", "key": key}});
    let made = ask(&reqwest::Client::new(), server.address, &owner, create, input).await.expect("an answer");
    assert_eq!(made["createLink"]["userErrors"], json!([{"code": "TAKEN", "field": ["input", "key"]}]), "{made}");
}

/// A cluster that is away when a server is started keeps nobody else from being answered; its tenants are once it is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cluster_that_is_away_holds_nobody_else_up() {
    let both = &mut TwoClusters::start().await;
    let owner = partner(&both.main).await;
    both.said(&["tenant", "add", "second", "--name", "Second", "--partner-on-signup", "active", "--cluster", "b"]);
    both.on_b.batch_execute("ALTER ROLE portal CONNECTION LIMIT 0").await.expect("it is away");
    let server = both.main.serve(&[]).await;
    let second = both.main.token_of("somebody", "second");
    assert_eq!(mine(server.address, &owner).await.expect("an answer"), "127.0.0.1");
    let away = mine(server.address, &second).await.expect_err("it is away");
    assert!(away.contains("SERVICE_UNAVAILABLE"), "{away}");
    for path in ["/l/somebody", "/i/somebody"] {
        assert_eq!(get(server.address, path).await.0, StatusCode::SERVICE_UNAVAILABLE, "it may be on the cluster that is away");
    }
    both.on_b.batch_execute("ALTER ROLE portal CONNECTION LIMIT -1").await.expect("it is back");
    eventually("its tenants are answered", || {
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(mine(server.address, &second))).is_ok()
    })
    .await;
}
