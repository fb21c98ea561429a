//! Money in the small world: customers, payments, refunds, payouts by the API; and the proof that the books hold.

use partner_portal::{ids::PartnerId, verify};
use serde_json::{Value, json};

use super::{World, world::keyed};

/// What is asked of a commission.
pub const COMMISSION: &str = "id status eventType amount { amount currency } base { amount } rate";

impl World {
    /// A customer of Acme's whom a partner manages since 2020; gives its id.
    pub async fn customer(&self, external_id: &str, partner: PartnerId) -> String {
        let query = "mutation ($id: String!) { upsertCustomer(input: { externalId: $id, name: $id }) { customer { id } userErrors { message } } }";
        let answer = self.service(query, json!({"id": external_id})).await;
        let id = answer.data()["upsertCustomer"]["customer"]["id"].as_str().expect("an id").to_owned();
        let query = "mutation ($id: ID!, $partner: ID!) { assignCustomer(input: { customerId: $id, partnerId: $partner, from: \"2020-01-01T00:00:00Z\" }) { userErrors { message } } }";
        let answer = self.service(query, json!({"id": id, "partner": partner.to_string()})).await;
        assert_eq!(answer.data()["assignCustomer"]["userErrors"], json!([]));
        id
    }

    /// Lets partner A earn 10, 20 and 30 dollars, by invoices 0 to 2 of its customer `cus_1`.
    pub async fn earn(&self) {
        self.customer("cus_1", self.a).await;
        for (number, sum) in ["100.00", "200.00", "300.00"].into_iter().enumerate() {
            self.pay(&format!("inv_{number}"), "cus_1", sum, "2026-06-15T12:00:00Z").await;
        }
    }

    /// Reports a payment in US dollars as Acme's billing system.
    pub async fn pay(&self, invoice: &str, customer: &str, amount: &str, paid_at: &str) -> Value {
        self.pay_in(invoice, customer, amount, "USD", paid_at).await
    }

    /// Reports a payment.
    pub async fn pay_in(&self, invoice: &str, customer: &str, amount: &str, currency: &str, paid_at: &str) -> Value {
        let query = format!(
            "mutation ($input: RecordInvoicePaymentInput!) {{ recordInvoicePayment(input: $input) {{ replayed commission {{ {COMMISSION} dueAt }} userErrors {{ code field message }} }} }}"
        );
        let input = json!({"invoiceId": invoice, "customerExternalId": customer, "amount": amount, "currency": currency, "paidAt": paid_at});
        self.service(&query, json!({"input": input})).await.data()["recordInvoicePayment"].clone()
    }

    /// Reports how much of an invoice has been refunded in all.
    pub async fn refund(&self, invoice: &str, refunded: &str) -> Value {
        self.refund_at(invoice, refunded, "2026-06-20T00:00:00Z").await
    }

    /// The same as of a time.
    pub async fn refund_at(&self, invoice: &str, refunded: &str, refunded_at: &str) -> Value {
        let query = format!(
            "mutation ($input: RecordRefundInput!) {{ recordRefund(input: $input) {{ replayed commission {{ {COMMISSION} reverses {{ id }} explanation {{ sentence }} }} userErrors {{ code field message }} }} }}"
        );
        let input = json!({"invoiceId": invoice, "refundedAmount": refunded, "currency": "USD", "refundedAt": refunded_at});
        self.service(&query, json!({"input": input})).await.data()["recordRefund"].clone()
    }

    /// Corrects what a partner has earned.
    pub async fn adjust(&self, partner: PartnerId, amount: &str, key: Option<&str>) -> Value {
        let query = format!(
            "mutation ($input: AdjustCommissionInput!) {{ adjustCommission(input: $input) {{ replayed commission {{ {COMMISSION} notes }} userErrors {{ code field message }} }} }}"
        );
        let input = json!({"partnerId": partner.to_string(), "amount": amount, "reason": "Goodwill", "idempotencyKey": key.unwrap_or("FRESH_KEY")});
        self.operator(&query, json!({"input": input})).await.data()["adjustCommission"].clone()
    }

    /// Approves or rejects commissions; gives their results.
    pub async fn decide(&self, mutation: &str, ids: &[&Value], all_or_none: bool) -> Value {
        let reason = if mutation == "rejectCommissions" { "reason: \"Fraud\", " } else { "" };
        let query = format!(
            "mutation ($ids: [ID!]!, $all: Boolean!) {{ {mutation}(input: {{ ids: $ids, {reason}allOrNone: $all }}) {{ results {{ commission {{ status }} userError {{ code message }} }} userErrors {{ code }} }} }}"
        );
        self.operator(&query, json!({"ids": ids, "all": all_or_none})).await.data()[mutation]["results"].clone()
    }

    /// Makes a payout of everything so far.
    pub async fn batch(&self, partner: PartnerId) -> Value {
        self.batch_with(json!({"partnerId": partner.to_string()})).await
    }

    /// Makes a payout, with these fields of the input besides the period.
    pub async fn batch_with(&self, input: Value) -> Value {
        let mut input = keyed(input);
        let query = "mutation ($input: CreatePayoutBatchInput!) { createPayoutBatch(input: $input) { replayed payout { id status total { amount currency } commissionCount } userErrors { code field message } } }";
        let fields = input.as_object_mut().expect("an object");
        fields.entry("period").or_insert_with(|| json!({"from": "2026-01-01T00:00:00Z", "before": "2100-01-01T00:00:00Z"}));
        self.operator(query, json!({"input": input})).await.data()["createPayoutBatch"].clone()
    }

    /// Takes a payout one step; gives the payload.
    pub async fn step(&self, mutation: &str, id: &Value) -> Value {
        let (kind, extra) = match mutation {
            "completePayout" => ("CompletePayoutInput", json!({"reference": "WIRE-1"})),
            "failPayout" => ("FailPayoutInput", json!({"reason": "Account closed"})),
            "returnPayout" => ("ReturnPayoutInput", json!({"reason": "Account closed"})),
            "cancelPayout" => ("CancelPayoutInput", json!({})),
            _ => ("PayoutStepInput", json!({})),
        };
        let mut input = extra;
        input["id"] = id.clone();
        let query = format!(
            "mutation ($input: {kind}!) {{ {mutation}(input: $input) {{ payout {{ status attempt paymentReference failureReason completedAt }} userErrors {{ code field message }} }} }}"
        );
        self.operator(&query, json!({"input": input})).await.data()[mutation].clone()
    }

    /// Takes a payout all the way to being paid.
    pub async fn pay_out(&self, id: &Value) {
        for step in ["releasePayout", "startPayout", "completePayout"] {
            assert_eq!(self.step(step, id).await["userErrors"], json!([]), "{step}");
        }
    }

    /// What a partner's accounts hold in US dollars: pending, payable, in payout, paid.
    pub async fn balances(&self, partner: PartnerId) -> [String; 4] {
        let query = "query ($id: ID!) { partner(id: $id) { balances(currency: \"USD\") { pending { amount } payable { amount } inPayout { amount } paid { amount } } } }";
        let answer = self.operator(query, json!({"id": partner.to_string()})).await;
        let balances = answer.data()["partner"]["balances"].clone();
        ["pending", "payable", "inPayout", "paid"].map(|kind| balances[kind]["amount"].as_str().expect("an amount").to_owned())
    }

    /// The names of the rules that do not hold.
    pub async fn broken_rules(&self) -> Vec<&'static str> {
        let findings = verify::run(&mut self.owner().await, None, |_| ()).await.expect("the rules can be checked");
        let broken: Vec<_> = findings.iter().filter(|finding| finding.faults > 0).collect();
        for finding in &broken {
            eprintln!("{}: {}", finding.rule.name, finding.example.as_deref().unwrap_or_default());
        }
        broken.iter().map(|finding| finding.rule.name).collect()
    }
}
