//! Affiliates in the small world: the terms, the switch, who invited whom, wallets.

use chrono::SecondsFormat;
use serde_json::{Value, json};

use super::{
    World, sign,
    tokens::good_claims,
    world::{ACME, keyed},
};

/// What is asked of a wallet's transaction.
pub const TRANSACTION: &str = "id number kind amount { amount currency } balanceAfter { amount } reason explanation { sentence }";

impl World {
    /// Sets the terms, as an operator.
    pub async fn affiliate_terms(&self, share: &str, validity_days: Option<i32>, is_active: bool) -> Value {
        let query = "mutation ($input: SetAffiliateTermsInput!) { setAffiliateTerms(input: $input) { replayed terms { id version share validityDays isActive } userErrors { code field message } } }";
        let input = json!({"share": share, "validityDays": validity_days, "isActive": is_active});
        self.operator(query, json!({"input": input})).await.data()["setAffiliateTerms"].clone()
    }

    /// Switches a person on or off as an affiliate.
    pub async fn switch_affiliate(&self, subject: &str, active: bool) -> Value {
        let query = "mutation ($active: Boolean!) { setAffiliateActive(input: { active: $active }) { replayed affiliate { isActive } userErrors { code } } }";
        self.acme(subject, query, json!({"active": active})).await.data()["setAffiliateActive"].clone()
    }

    /// Terms of ten per cent for a year, and a person who is active by them.
    pub async fn affiliate(&self, subject: &str) {
        assert_eq!(self.affiliate_terms("0.1", Some(365), true).await["userErrors"], json!([]));
        assert_eq!(self.switch_affiliate(subject, true).await["affiliate"]["isActive"], true);
    }

    /// A person's id and invite code.
    pub async fn invite_code(&self, subject: &str) -> (String, String) {
        let query = "{ me { user { id } affiliate { inviteCode } } }";
        let me = self.acme(subject, query, json!({})).await.data()["me"].clone();
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        (text(&me["user"]["id"]), text(&me["affiliate"]["inviteCode"]))
    }

    /// Accepts an invitation.
    pub async fn accept_invite(&self, subject: &str, code: &str) -> Value {
        let query = "mutation ($code: String!) { acceptInvite(input: { code: $code }) { replayed affiliate { isReferred } userErrors { code field message } } }";
        self.acme(subject, query, json!({"code": code})).await.data()["acceptInvite"].clone()
    }

    /// A new person, referred by another by a claim of their first token, who is also a customer of that id. Gives their user's id.
    pub async fn referred(&self, subject: &str, by: &str, customer: &str) -> String {
        let (_, code) = self.invite_code(by).await;
        let mut claims = good_claims(subject, ACME);
        claims["invite_code"] = json!(code);
        claims["name"] = json!("Ada Lovelace");
        let answer = self.run(&sign(&claims), "{ me { user { id } affiliate { isReferred } } }", json!({})).await;
        let me = &answer.data()["me"];
        assert_eq!(me["affiliate"]["isReferred"], true);
        let user = me["user"]["id"].as_str().expect("an id").to_owned();
        assert_eq!(self.customer_is(customer, Some(&user)).await["userErrors"], json!([]));
        user
    }

    /// Reports a customer of Acme's, and which user it is.
    pub async fn customer_is(&self, external_id: &str, user: Option<&str>) -> Value {
        let query = "mutation ($input: UpsertCustomerInput!) { upsertCustomer(input: $input) { replayed customer { id user { id } } userErrors { code field message } } }";
        let input = json!({"externalId": external_id, "name": external_id, "userId": user});
        self.service(query, json!({"input": input})).await.data()["upsertCustomer"].clone()
    }

    /// Now, in whole seconds as billing systems report them.
    pub fn now_in_seconds(&self) -> String {
        self.app.clock.now().to_rfc3339_opts(SecondsFormat::Secs, true)
    }

    /// Reports a payment of now.
    pub async fn pay_now(&self, invoice: &str, customer: &str, amount: &str) {
        assert_eq!(self.pay(invoice, customer, amount, &self.now_in_seconds()).await["userErrors"], json!([]));
    }

    /// What a person's wallet in US dollars holds: balance, held, available, taken out.
    pub async fn wallet(&self, subject: &str) -> [String; 4] {
        let query = "{ me { affiliate { wallet(currency: \"USD\") { balance { amount } held { amount } available { amount } takenOut { amount } } } } }";
        let answer = self.acme(subject, query, json!({})).await;
        let wallet = answer.data()["me"]["affiliate"]["wallet"].clone();
        ["balance", "held", "available", "takenOut"].map(|kind| wallet[kind]["amount"].as_str().expect("an amount").to_owned())
    }

    /// A person's transactions in US dollars, the first one first.
    pub async fn wallet_transactions(&self, subject: &str) -> Vec<Value> {
        let query = format!(
            "{{ me {{ affiliate {{ wallet(currency: \"USD\") {{ transactions(first: 500) {{ totalCount nodes {{ {TRANSACTION} }} }} }} }} }} }}"
        );
        let answer = self.acme(subject, &query, json!({})).await;
        let list = &answer.data()["me"]["affiliate"]["wallet"]["transactions"];
        let mut rows = list["nodes"].as_array().expect("rows").clone();
        assert_eq!(list["totalCount"], rows.len());
        rows.reverse();
        rows
    }

    /// Takes money out of a person's wallet.
    pub async fn take_out(&self, subject: &str, amount: &str, key: &str) -> Value {
        let query = format!(
            "mutation ($input: TakeOutOfWalletInput!) {{ takeOutOfWallet(input: $input) {{ replayed transaction {{ {TRANSACTION} commission {{ id status eventType }} payout {{ id }} }} userErrors {{ code field message }} }} }}"
        );
        let input = json!({"amount": amount, "currency": "USD", "idempotencyKey": key});
        self.acme(subject, &query, json!({"input": input})).await.data()["takeOutOfWallet"].clone()
    }

    /// Corrects a person's wallet, as an operator.
    pub async fn adjust_wallet(&self, user: &str, amount: &str) -> Value {
        let query = "mutation ($input: AdjustWalletInput!) { adjustWallet(input: $input) { replayed transaction { id amount { amount } } userErrors { code field message } } }";
        let input = keyed(json!({"userId": user, "amount": amount, "currency": "USD", "reason": "Goodwill"}));
        self.operator(query, json!({"input": input})).await.data()["adjustWallet"].clone()
    }
}
