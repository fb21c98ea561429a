//! People who are invited.

use serde_json::json;

use super::World;

impl World {
    /// Invites somebody to act for partner A; gives the invitation's id.
    pub async fn invited(&self, email: &str) -> String {
        let query = "mutation ($email: EmailAddress!) { inviteUser(input: { email: $email, role: MEMBER, idempotencyKey: \"FRESH_KEY\" }) { invitation { id } } }";
        let made = self.owner_a(query, json!({"email": email})).await;
        made.data()["inviteUser"]["invitation"]["id"].as_str().expect("an id").to_owned()
    }
}
