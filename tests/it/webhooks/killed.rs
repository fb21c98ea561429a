//! A server that is killed while events come in.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use nix::sys::signal::Signal;
use partner_portal::{
    models::webhooks::source::WebhookSourceKind,
    webhooks::receiving::{
        samples::{Feed, Sample, disordered},
        verify::sign,
    },
};
use rust_decimal::Decimal;

use super::{incoming::SECRET, *};
use crate::support::binary::{Folder, Server, run};

/// Sends an event as a service does: again until it is taken.
async fn send(server: &Server, source: &str, kind: WebhookSourceKind, event: &Sample) -> bool {
    let client = reqwest::Client::new();
    let mut request = client.post(format!("http://{}/webhooks/{source}", server.address)).body(event.body.clone());
    for (name, value) in sign(kind, SECRET, &event.id, event.body.as_bytes(), now()).expect("a secret") {
        request = request.header(name, value);
    }
    request.send().await.is_ok_and(|answer| answer.status().as_u16() == 204)
}

/// A server of its own with the demo data, whose sources two feeds are sent to.
struct Trial {
    /// Before its folder: what is dropped first ends first.
    server: Server,
    folder: Folder,
    token: String,
    /// Of each source its address and its service.
    sources: Vec<(String, WebhookSourceKind)>,
    /// By whose buyers earn, and whose people the users become.
    click: String,
}

/// The organisation of a demo partner.
const ORGANIZATION: &str = "org_northwind_1_1";

impl Trial {
    async fn new(ends_at: DateTime<Utc>) -> Self {
        let folder = Folder::new();
        let server = Server::start(&folder.0);
        let token = |of: &[&str]| {
            let output = run(&folder.0, &[&["token"], of].concat());
            String::from_utf8(output.stdout).expect("a token").trim().to_owned()
        };
        // Users are known once they have signed in.
        for number in 1..=3 {
            let user = token(&["--user", &format!("user_feed_{number}")]);
            assert!(server.ask(&user, "{ me { user { id } } }").await["data"]["me"]["user"]["id"].is_string());
        }
        let token = token(&["--role", "operator"]);
        let mut sources = Vec::new();
        for kind in [WebhookSourceKind::Stripe, WebhookSourceKind::Clerk] {
            let made = format!(
                "mutation {{ createWebhookSource(input: {{ kind: {}, secret: \"{SECRET}\", idempotencyKey: \"FRESH_KEY\" }}) {{ source {{ id }} }} }}",
                kind.as_str().to_uppercase()
            );
            let made = server.ask(&token, &made).await;
            sources.push((made["data"]["createWebhookSource"]["source"]["id"].as_str().expect("an id").to_owned(), kind));
        }
        // The same demo link in each trial: that which was followed most, and by then before anything was bought.
        let links = "{ links(first: 100) { nodes { title partner { companyName } clicks(first: 40) { totalCount nodes { id at isBot } } } } }";
        let links = server.ask(&token, links).await["data"]["links"]["nodes"].clone();
        let links = links.as_array().expect("links");
        let by = |link: &&Value| (link["clicks"]["totalCount"].as_u64(), link["title"].to_string(), link["partner"].to_string());
        let link = links.iter().max_by_key(by).expect("a link");
        let clicks = link["clicks"]["nodes"].as_array().expect("clicks").iter();
        let before = (ends_at - TimeDelta::seconds(600)).to_rfc3339();
        let is_early =
            |click: &&Value| click["isBot"] == json!(false) && click["at"].as_str().is_some_and(|at| at < before.as_str());
        let click = clicks.into_iter().find(is_early).expect("a click")["id"].as_str().expect("an id").to_owned();
        Self { server, folder, token, sources, click }
    }

    /// What each source gets, in order.
    fn feeds(&self, ends_at: DateTime<Utc>) -> Vec<(String, WebhookSourceKind, Vec<Sample>)> {
        let (click, organization) = (Some(self.click.clone()), ORGANIZATION.to_owned());
        let feed = Feed { name: "feed".to_owned(), ends_at, click, organization };
        self.sources.iter().map(|(id, kind)| (id.clone(), *kind, feed.events(*kind))).collect()
    }

    /// Kills the server, and starts another one.
    fn kill(&mut self) {
        self.server.signal(Signal::SIGKILL);
        self.server.child.wait().expect("it ends");
        self.server = Server::start(&self.folder.0);
    }

    /// What the feeds end in, once all is applied: customers, what they have paid and who has earned by them; and who acts for the partner.
    async fn end(&self) -> Value {
        let open = "{ webhookSources { receipts(filter: { status: [RECEIVED, PARKED, FAILED] }) { nodes { eventType status reason } } } }";
        let mut left = Value::Null;
        for _ in 0..600 {
            let found = self.server.ask(&self.token, open).await["data"]["webhookSources"].clone();
            let lists = found.as_array().expect("sources").clone();
            left = json!(
                lists.iter().flat_map(|source| source["receipts"]["nodes"].as_array().expect("receipts")).collect::<Vec<_>>()
            );
            if left == json!([]) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(left, json!([]), "all are applied");
        let query = "{ customers(first: 10, filter: { search: \"feed.example\" }, orderBy: { field: NAME, direction: ASC }) { nodes { externalId name
                partner { companyName } revenue { amount currency } attribution { means }
                commissions(first: 50) { nodes { partner { companyName } amount { amount currency } } } } }
            partners(first: 50) { nodes { users { role clerkOrgId removedAt user { name email } } } } }";
        let answer = self.server.ask(&self.token, query).await;
        let mut customers = answer["data"]["customers"]["nodes"].clone();
        for customer in customers.as_array_mut().expect("customers") {
            // What is taken back comes in other steps in another order, and in all to the same.
            let mut earned: BTreeMap<String, Decimal> = BTreeMap::new();
            for commission in customer["commissions"]["nodes"].as_array().expect("commissions") {
                let (partner, amount) = (&commission["partner"]["companyName"], &commission["amount"]);
                let sum = earned.entry(format!("{partner} {}", amount["currency"])).or_default();
                *sum += amount["amount"].as_str().and_then(|text| text.parse::<Decimal>().ok()).expect("an amount");
            }
            customer["commissions"] = json!(earned);
        }
        let partners = answer["data"]["partners"]["nodes"].as_array().expect("partners");
        let users = partners.iter().flat_map(|partner| partner["users"].as_array().expect("users"));
        let mut members: Vec<&Value> = users.filter(|user| user["clerkOrgId"] == json!(ORGANIZATION)).collect();
        members.sort_by_key(|user| user["user"]["name"].to_string());
        // When they were removed is another instant in each trial.
        let members: Vec<Value> =
            members.iter().map(|user| json!([user["user"], user["role"], user["removedAt"].is_null()])).collect();
        json!({"customers": customers, "members": members})
    }

    /// Ends the server, and proves the books.
    fn verify(self) {
        self.server.signal(Signal::SIGTERM);
        drop(self.server);
        let verified = run(&self.folder.0, &["verify"]);
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    }
}

/// What came in before a server was killed is applied by the next one, once: two feeds in disorder, with three kills in between, end in the revenue, the
/// commissions and the memberships of the feeds in order, and the books hold.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_done_twice() {
    let ends_at = now();
    let in_order = Trial::new(ends_at).await;
    for (source, kind, events) in in_order.feeds(ends_at) {
        for event in &events {
            assert!(send(&in_order.server, &source, kind, event).await, "{}", event.name);
        }
    }
    let expected = in_order.end().await;
    in_order.verify();

    let mut trial = Trial::new(ends_at).await;
    let mut events: Vec<(String, WebhookSourceKind, Sample)> = Vec::new();
    for (source, kind, feed) in trial.feeds(ends_at) {
        events.extend(disordered(&feed, 7).into_iter().map(|event| (source.clone(), kind, event)));
    }
    // Both at once.
    events.sort_by_key(|(_, _, event)| event.id.len() % 3);
    let count = events.len();
    for (number, (source, kind, event)) in events.iter().enumerate() {
        while !send(&trial.server, source, *kind, event).await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        if number % (count / 4) == count / 4 - 1 && number + 1 < count {
            trial.kill();
        }
    }
    let found = trial.end().await;
    trial.verify();
    assert_eq!(found, expected);
    let revenue = |number: usize| found["customers"][number]["revenue"].clone();
    assert_eq!(revenue(0), json!([{"amount": "200.00", "currency": "EUR"}]));
    assert_eq!(revenue(1), json!([{"amount": "75.00", "currency": "EUR"}, {"amount": "4000", "currency": "ISK"}]));
    assert!(!found["customers"][1]["commissions"].as_object().expect("sums").is_empty(), "{found}");
    assert!(found["members"].as_array().is_some_and(|members| members.len() >= 2), "{found}");
}

/// `webhook listen-test` says what a source answers to each sample, and fails where one was not taken.
#[tokio::test(flavor = "multi_thread")]
async fn the_command_for_trials() {
    let folder = Folder::new();
    let server = Server::start(&folder.0);
    let token = String::from_utf8(run(&folder.0, &["token", "--role", "operator"]).stdout).expect("a token").trim().to_owned();
    let made = format!(
        "mutation {{ createWebhookSource(input: {{ kind: CLERK, secret: \"{SECRET}\", idempotencyKey: \"FRESH_KEY\" }}) {{ source {{ id }} }} }}"
    );
    let made = server.ask(&token, &made).await;
    let id = made["data"]["createWebhookSource"]["source"]["id"].as_str().expect("an id").to_owned();
    let url = format!("http://{}/webhooks/{id}", server.address);
    let listen = |more: &[&str]| {
        let output = run(&folder.0, &[&["webhook", "listen-test", &url], more].concat());
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.success(), text)
    };
    let (is_success, text) = listen(&["--kind", "clerk", "--secret", SECRET]);
    assert!(is_success && text.contains("user.deleted") && text.contains("were taken"), "{text}");
    let (is_success, text) = listen(&["--kind", "clerk", "--secret", "whsec_plJ3nmyCDGBKInavdOK15jsl"]);
    assert!(!is_success && text.contains("not one of this source's secrets"), "{text}");
    for (kind, name, part) in [("clerk", "a b", "--name"), ("paypal", "a", "clerk or stripe")] {
        let (is_success, text) = listen(&["--kind", kind, "--name", name, "--secret", SECRET]);
        assert!(!is_success && text.contains(part), "{text}");
    }
}
