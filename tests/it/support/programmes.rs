//! Programmes and links in the small world, by the API.

use serde_json::{Value, json};

use super::{World, tokens::staff_token, world::ACME};

/// What is asked of a link that is made.
pub const CREATE_LINK: &str = "mutation ($input: CreateLinkInput!) { createLink(input: $input) {
    link { id key url shortUrl qrCode title couponCode expiresAt archivedAt updatedAt utm { source campaign }
        partner { id } user { id } programme { id key name domain status rateSource cookieDays attribution enrolmentPolicy } }
    replayed userErrors { code message field } } }";

impl World {
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
}
