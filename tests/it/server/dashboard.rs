//! The dashboard that the server shows, and the sign-in for development.

use std::{fs, path::Path};

use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect::Policy};
use serde_json::{Value, json};

use crate::support::binary::{Folder, Server, command, run};

/// A build: its first page, a file whose name changes with its contents, and its operations.
fn build(folder: &Path) {
    fs::create_dir_all(folder.join("assets")).expect("a folder");
    for (name, text) in [
        ("dist/index.html", "<title>The dashboard</title>"),
        ("dist/icon.svg", "<svg/>"),
        ("dist/assets/app-1a2b.js", "plain()"),
        ("dist/assets/app-1a2b.js.br", "compressed"),
        ("dist/persisted-documents.json", r#"{"role": "{ me { role } }"}"#),
        ("secret", "nobody is to see it"),
    ] {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
}

struct Browser<'a> {
    client: Client,
    server: &'a Server,
}

impl Browser<'_> {
    fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("http://{}{path}", self.server.address))
    }

    /// Opens an address, as somebody does who enters it.
    async fn open(&self, path: &str) -> Response {
        self.get(path).header("accept", "text/html,application/xhtml+xml,*/*;q=0.8").send().await.expect("an answer")
    }
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().expect("text"))
}

/// Every address that somebody opens shows the first page, files are kept by the name that their contents give them, nothing outside of the folder is
/// given out, and addresses of the API, of links and of hosts of tenants' own stay what they are.
#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard() {
    let (data, files) = (Folder::new(), Folder::new());
    build(&files.0);
    let folder = files.0.join("dist").display().to_string();
    let server = Server::start_with(&data.0, &[("PORTAL_DASHBOARD_DIR", &folder)]);
    let browser = Browser { client: Client::builder().redirect(Policy::none()).build().expect("a client"), server: &server };

    for path in [
        "/",
        "/index.html",
        "/leads",
        "/leads?status=PENDING",
        "/%69ndex.html",
        "//index.html",
        "/links/some.where",
        "/%2e%2e/secret",
        "/..%2fsecret",
    ] {
        let answer = browser.open(path).await;
        assert_eq!((answer.status(), header(&answer, "cache-control")), (StatusCode::OK, "no-cache"), "{path}");
        let policy = header(&answer, "content-security-policy").to_owned();
        assert!(policy.contains("script-src 'self';") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
        assert_eq!(answer.text().await.expect("a page"), "<title>The dashboard</title>", "{path}");
    }
    let asset = browser.get("/assets/app-1a2b.js").send().await.expect("an answer");
    assert_eq!(header(&asset, "cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(header(&asset, "content-type"), "text/javascript");
    assert_eq!(asset.text().await.expect("a file"), "plain()");
    let compressed = browser.get("/assets/app-1a2b.js").header("accept-encoding", "br, gzip").send().await.expect("an answer");
    assert_eq!((header(&compressed, "content-encoding"), header(&compressed, "content-type")), ("br", "text/javascript"));
    let since = header(&compressed, "last-modified").to_owned();
    let same = browser.get("/icon.svg").header("if-modified-since", since).send().await.expect("an answer");
    assert_eq!((same.status(), header(&same, "cache-control")), (StatusCode::NOT_MODIFIED, "no-cache"));

    let kept = browser
        .get("/")
        .header("if-modified-since", header(&same, "date"))
        .header("accept", "text/html")
        .send()
        .await
        .expect("an answer");
    assert_eq!(kept.status(), StatusCode::NOT_MODIFIED);
    assert!(
        header(&kept, "content-security-policy").contains("script-src 'self';"),
        "a browser takes it for the page that it has"
    );

    // What is not there is not a page for a program, and a missing file is none for anybody.
    for path in ["/leads", "/assets", "/secret", "/graphql/x"] {
        assert_eq!(browser.get(path).send().await.expect("an answer").status(), 404, "{path}");
    }
    assert_eq!(browser.open("/assets/app-0000.js").await.status(), 404);
    assert_eq!(browser.client.post(format!("http://{}/leads", server.address)).send().await.expect("an answer").status(), 404);
    assert_eq!(browser.open("/l/nothing").await.status(), 404);
    assert_eq!(browser.open("/healthz").await.text().await.expect("text"), "alive\n");
    assert!(browser.open("/graphiql").await.text().await.expect("a page").contains("GraphiQL"));

    // A host of a tenant's own has links, and no dashboard.
    let added = run(&data.0, &["tenant", "host", "add", "northwind", "go.example.com"]);
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    let mut found = 200;
    for _ in 0..100 {
        found = browser
            .get("/leads")
            .header("accept", "text/html")
            .header("host", "go.example.com")
            .send()
            .await
            .expect("an answer")
            .status()
            .as_u16();
        if found == 404 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(found, 404);

    // Its operations are known by their ids.
    let token = token(&browser, "person=operator").await["token"].clone();
    let asked = browser.client.post(format!("http://{}/graphql", server.address)).bearer_auth(token.as_str().expect("a token"));
    let answer: Value = asked.json(&json!({"documentId": "role"})).send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(answer, json!({"data": {"me": {"role": "OPERATOR"}}}));
}

async fn token(browser: &Browser<'_>, query: &str) -> Value {
    let answer = browser.get(&format!("/development/token?{query}")).send().await.expect("an answer");
    assert_eq!((answer.status(), header(&answer, "cache-control")), (StatusCode::OK, "no-store"), "{query}");
    answer.json().await.expect("JSON")
}

/// The development tokens: of each of the demo people, for the page that the server shows alone. Without a dashboard the first page is GraphiQL.
#[tokio::test(flavor = "multi_thread")]
async fn the_sign_in_for_development() {
    let data = Folder::new();
    let server = Server::start(&data.0);
    let browser = Browser { client: Client::builder().redirect(Policy::none()).build().expect("a client"), server: &server };
    for (query, role, partner) in [
        ("person=owner", "PARTNER_OWNER", "ACTIVE"),
        ("person=member", "PARTNER_MEMBER", "ACTIVE"),
        ("person=operator&seconds=30", "OPERATOR", ""),
        ("person=newcomer", "PARTNER_OWNER", "PENDING"),
        ("person=newcomer&number=2", "PARTNER_OWNER", "PENDING"),
    ] {
        let token = token(&browser, query).await["token"].clone();
        let asked =
            browser.client.post(format!("http://{}/graphql", server.address)).bearer_auth(token.as_str().expect("a token"));
        let asked = asked.json(&json!({"query": "{ me { role partner { status } } }"}));
        let answer: Value = asked.send().await.expect("an answer").json().await.expect("JSON");
        let me = &answer["data"]["me"];
        assert_eq!(
            (me["role"].as_str(), me["partner"]["status"].as_str().unwrap_or_default()),
            (Some(role), partner),
            "{query}: {answer}"
        );
    }
    let refused = async |query: &str, name: &str, value: &str| {
        let asked = browser.get(&format!("/development/token?{query}")).header(name, value);
        asked.send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(refused("person=owner", "host", "evil.example").await, 421);
    assert_eq!(refused("person=owner", "origin", "http://localhost:3000").await, 403);
    assert_eq!(refused("person=owner", "sec-fetch-site", "cross-site").await, 403);
    assert_eq!(refused("person=owner", "sec-fetch-site", "same-origin").await, 200);
    assert_eq!(refused("person=nobody", "accept", "*/*").await, 400);
}

/// A folder without a build, and a build for another version of the schema, are no dashboard: the server says so and does not start.
#[test]
fn what_is_no_dashboard() {
    let (data, files) = (Folder::new(), Folder::new());
    build(&files.0);
    let started = |folder: &Path| {
        let mut program = command(&data.0);
        program.args(["serve", "--listen", "127.0.0.1:0"]).env("PORTAL_DASHBOARD_DIR", folder);
        let output = program.stdin(std::process::Stdio::null()).output().expect("the program runs");
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned()
    };
    let said = started(&files.0);
    assert!(said.contains("PORTAL_DASHBOARD_DIR (--dashboard-dir):") && said.contains("there is no index.html"), "{said}");
    fs::write(files.0.join("dist/persisted-documents.json"), r#"{"role": "{ me { roles } }"}"#).expect("a file");
    let said = started(&files.0.join("dist"));
    assert!(said.contains("the operation \"role\"") && said.contains("roles") && said.contains("build it again"), "{said}");
}
