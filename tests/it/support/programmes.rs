//! Programmes and links in the small world, by the API.

use axum::{
    body::Body,
    http::{HeaderName, Request},
};
use partner_portal::{
    clicks::ClickSettings,
    ids::ClickId,
    models::programmes::click::{self, Click},
};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{World, cluster, tokens::staff_token, world::ACME};

/// How a browser names itself.
pub const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0";

/// What is asked of a link that is made.
pub const CREATE_LINK: &str = "mutation ($input: CreateLinkInput!) { createLink(input: $input) {
    link { id key url shortUrl qrCode title couponCode expiresAt archivedAt updatedAt utm { source campaign }
        partner { id } user { id } programme { id key name domain status rateSource cookieDays attribution enrolmentPolicy } }
    replayed userErrors { code message field } } }";

/// What redirects need to know in a world: a folder of their own, and what the proxy says.
pub fn click_settings() -> ClickSettings {
    ClickSettings {
        folder: cluster::new_folder(),
        parameter: "click_id".to_owned(),
        address_header: Some(HeaderName::from_static("x-forwarded-for")),
        country_header: Some(HeaderName::from_static("cf-ipcountry")),
    }
}

/// A click on a link of Acme's, by a visitor of its own.
pub fn made_click(world: &World, link: &Value) -> Click {
    Click {
        id: ClickId::new(),
        tenant: world.acme,
        link: link["id"].as_str().expect("an id").parse().expect("an id"),
        visitor: uuid::Uuid::now_v7(),
        is_bot: false,
        is_prefetch: false,
        device: None,
        browser: None,
        country: None,
        referrer: None,
    }
}

impl World {
    /// Lets the server follow what the database says of links, and write the clicks on them.
    pub async fn follow_links(&self) -> [tokio::task::JoinHandle<()>; 2] {
        self.app.clicks.run(&self.database.login).await.expect("the database is there")
    }

    /// Makes a link of partner A's, as its owner.
    pub async fn link(&self, url: &str) -> Value {
        let made = self.create_link("owner_a", json!({"url": url})).await;
        assert_eq!(made["userErrors"], json!([]));
        made["link"].clone()
    }

    /// What becomes of a link that somebody makes.
    pub async fn create_link(&self, subject: &str, input: Value) -> Value {
        self.acme(subject, CREATE_LINK, json!({"input": input})).await.data()["createLink"].clone()
    }

    /// The same by an operator.
    pub async fn create_link_as_operator(&self, input: Value) -> Value {
        let answer = self.run(&staff_token("operator", ACME), CREATE_LINK, json!({"input": input})).await;
        answer.data()["createLink"].clone()
    }

    /// What becomes of a mutation of one field by an operator.
    pub async fn decide_on(&self, name: &str, input: Value, selected: &str) -> Value {
        let kind = format!("{}{}Input", name[..1].to_uppercase(), &name[1..]);
        let query = format!(
            "mutation ($input: {kind}!) {{ {name}(input: $input) {{ {selected} replayed userErrors {{ code message field }} }} }}"
        );
        self.operator(&query, json!({"input": input})).await.data()[name].clone()
    }

    /// Asks for an address, with these headers; gives the status, the headers and the body.
    pub async fn visit(&self, method: &str, address: &str, headers: &[(&str, &str)]) -> axum::http::Response<String> {
        let mut request = Request::builder().method(method).uri(address);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).expect("a request");
        let (parts, body) = self.router.clone().oneshot(request).await.expect("an answer").into_parts();
        let body = axum::body::to_bytes(body, 1_000_000).await.expect("a body");
        axum::http::Response::from_parts(parts, String::from_utf8(body.to_vec()).expect("text"))
    }

    /// Follows a link in a browser, from an address of the visitor's own; gives where it leads.
    pub async fn follow(&self, path: &str, address: &str) -> String {
        let headers = [("user-agent", BROWSER), ("x-forwarded-for", address)];
        let answer = self.visit("GET", path, &headers).await;
        let location = answer.headers().get("location").map(|value| value.to_str().expect("text").to_owned());
        location.unwrap_or_else(|| panic!("{path}: {}", answer.status()))
    }

    /// Writes a click on a link of Acme's at an instant; gives its id.
    pub async fn click_at(&self, link: &Value, at: chrono::DateTime<chrono::Utc>) -> String {
        let seconds = u64::try_from(at.timestamp()).expect("after 1970");
        let timestamp = uuid::Timestamp::from_unix(uuid::NoContext, seconds, at.timestamp_subsec_nanos());
        let click = Click { id: uuid::Uuid::new_v7(timestamp).into(), ..made_click(self, link) };
        assert_eq!(click::write(&self.owner().await, std::slice::from_ref(&click)).await.expect("written"), 1);
        click.id.to_string()
    }

    /// What becomes of a sign-up that the shop reports.
    pub async fn sign_up(&self, input: Value) -> Value {
        let query = "mutation ($input: RecordSignUpInput!) { recordSignUp(input: $input) {
            signUp { id name means clickId clickedAt at isCounted metadata link { id } partner { id } customer { id } }
            customer { id externalId name email partner { id } attribution { means clickId sentence link { id } } }
            outcome replayed userErrors { code message field } } }";
        self.service(query, json!({"input": input})).await.data()["recordSignUp"].clone()
    }

    /// Writes clicks on a link of Acme's, each by a visitor of its own.
    pub async fn clicks(&self, link: &Value, count: u128) {
        let clicks: Vec<Click> =
            (0..count).map(|number| Click { visitor: uuid::Uuid::from_u128(number), ..made_click(self, link) }).collect();
        click::write(&self.owner().await, &clicks).await.expect("written");
    }
}
