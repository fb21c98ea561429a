//! Members and credits in the small world, by the API.

use axum::{
    body::Body,
    http::{Request, header},
};
use partner_portal::ids::PartnerId;
use serde_json::{Value, json};

use super::{
    World, tokens,
    world::{ACME, Answer},
};

/// What is asked of an allocation.
pub const ALLOCATION: &str = "id credits available used expired revoked expiresAt member { id creditsAssigned creditsAvailable }";

/// What is asked of an import.
pub const IMPORT: &str = "import { dryRun rowCount imported updated skipped failed creditsAssigned ignoredColumns
    rows(first: 50000) { row outcome creditsAssigned code message cell { column value } member { email } } } userErrors { code message field }";

impl World {
    /// Adds a member to partner A; gives its id.
    pub async fn member(&self, email: &str) -> String {
        let query = "mutation ($email: EmailAddress!) { addMember(input: { email: $email, firstName: \"Ann\", lastName: \"Lee\" }) { member { id } userErrors { message } } }";
        let answer = self.owner_a(query, json!({"email": email})).await;
        answer.data()["addMember"]["member"]["id"].as_str().unwrap_or_else(|| panic!("{}", answer.body)).to_owned()
    }

    /// Grants credits to a partner, as an operator.
    pub async fn grant(&self, partner: PartnerId, credits: i64, key: Option<&str>) -> Value {
        let query = "mutation ($input: GrantCreditsInput!) { grantCredits(input: $input) { replayed grant { id credits reason } partner { creditBalance } userErrors { code message field } } }";
        let input = json!({"partnerId": partner.to_string(), "credits": credits, "reason": "Plan", "idempotencyKey": key.unwrap_or("FRESH_KEY")});
        self.operator(query, json!({"input": input})).await.data()["grantCredits"].clone()
    }

    /// Assigns credits of partner A's to a member.
    pub async fn assign(&self, member: &str, credits: i64, valid_days: i64, key: Option<&str>) -> Value {
        let query = format!(
            "mutation ($input: AssignCreditsInput!) {{ assignCredits(input: $input) {{ replayed allocation {{ {ALLOCATION} }} partner {{ creditBalance }} member {{ creditsAssigned }} userErrors {{ code message field }} }} }}"
        );
        let input = json!({"memberId": member, "credits": credits, "validDays": valid_days, "idempotencyKey": key.unwrap_or("FRESH_KEY")});
        self.owner_a(&query, json!({"input": input})).await.data()["assignCredits"].clone()
    }

    /// Takes back what is unused of an allocation, as partner A.
    pub async fn revoke(&self, allocation: &Value) -> Value {
        let query = format!(
            "mutation ($id: ID!) {{ revokeCredits(input: {{ allocationId: $id }}) {{ revoked allocation {{ {ALLOCATION} }} userErrors {{ code message }} }} }}"
        );
        self.owner_a(&query, json!({"id": allocation})).await.data()["revokeCredits"].clone()
    }

    /// Uses credits of a member, or of an address.
    pub async fn redeem(&self, who: &str, count: i64, key: &str) -> Value {
        let query = "mutation ($input: RedeemCreditInput!) { redeemCredit(input: $input) { replayed available redemption { id credits transfers { kind credits allocation { id } } } userErrors { code message field } } }";
        let named = if who.contains('@') { "email" } else { "memberId" };
        let input = json!({named: who, "count": count, "idempotencyKey": key});
        self.service(query, json!({"input": input})).await.data()["redeemCredit"].clone()
    }

    /// A partner's credits: unassigned, with members, used, expired.
    pub async fn credits(&self, partner: PartnerId) -> [i64; 4] {
        let query = "query ($id: ID!) { partner(id: $id) { credits { balance assigned used expired } } }";
        let answer = self.operator(query, json!({"id": partner.to_string()})).await;
        let credits = answer.data()["partner"]["credits"].clone();
        ["balance", "assigned", "used", "expired"].map(|kind| credits[kind].as_i64().expect("a number"))
    }

    /// Imports members of partner A's from a text, with these fields of the input besides.
    pub async fn import(&self, csv: &str, mut input: Value) -> Value {
        input["csv"] = json!(csv);
        let query = format!("mutation ($input: ImportMembersInput!) {{ importMembers(input: $input) {{ {IMPORT} }} }}");
        self.owner_a(&query, json!({"input": input})).await.data()["importMembers"].clone()
    }

    /// Sends a multipart request as partner A's owner: its parts with their names, the last with a file's name.
    pub async fn upload(&self, parts: &[(&str, &[u8])], preflight: bool) -> Answer {
        self.upload_as(&tokens::token("owner_a", ACME), parts, preflight).await
    }

    /// The same by the holder of a token.
    pub async fn upload_as(&self, bearer: &str, parts: &[(&str, &[u8])], preflight: bool) -> Answer {
        let mut body = Vec::new();
        for (name, content) in parts {
            let file = if *name == "operations" || *name == "map" { "" } else { "; filename=\"file.csv\"" };
            body.extend(format!("--x\r\ncontent-disposition: form-data; name=\"{name}\"{file}\r\n\r\n").bytes());
            body.extend(*content);
            body.extend(b"\r\n");
        }
        body.extend(b"--x--\r\n");
        let mut request = Request::post("/graphql")
            .header(header::CONTENT_TYPE, "multipart/form-data; boundary=x")
            .header(header::AUTHORIZATION, format!("Bearer {bearer}"));
        if preflight {
            request = request.header("graphql-require-preflight", "1");
        }
        self.send(request.body(Body::from(body)).expect("a request")).await
    }

    /// Uploads a file of partner A's members.
    pub async fn upload_members(&self, file: &[u8], dry_run: bool) -> Value {
        let query = format!("mutation ($input: ImportMembersInput!) {{ importMembers(input: $input) {{ {IMPORT} }} }}");
        let operations = json!({"query": query, "variables": {"input": {"file": null, "dryRun": dry_run}}}).to_string();
        let parts: [(&str, &[u8]); 3] =
            [("operations", operations.as_bytes()), ("map", br#"{"0": ["variables.input.file"]}"#), ("0", file)];
        self.upload(&parts, true).await.data()["importMembers"].clone()
    }
}
