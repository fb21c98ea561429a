//! A client that has lost an answer sends the mutation again: it does its work once, and answers with the object and `replayed`.

mod people;
mod webhooks;

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    imports::background::small,
    support::{
        World, token,
        tokens::staff_token,
        world::{ACME, keyed},
    },
};

/// Gives each table with a digest of its rows.
const DIGESTS: &str = "CREATE FUNCTION digests() RETURNS text LANGUAGE plpgsql AS $$
DECLARE name text; digest text; found text := '';
BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1 LOOP
        EXECUTE format('SELECT md5(coalesce(string_agg(t::text, '','' ORDER BY t::text), '''')) FROM %I AS t', name) INTO digest;
        found := found || name || ' ' || digest || E'\\n';
    END LOOP;
    RETURN found;
END $$";

/// Runs mutations one after the other, each twice.
struct Twice<'w> {
    world: &'w World,
    kinds: BTreeMap<String, (String, bool)>,
    done: BTreeSet<String>,
}

impl<'w> Twice<'w> {
    async fn of(world: &'w World) -> Self {
        let query = "{ __schema { mutationType { fields { name args { type { ofType { name } } } } } } }";
        let answer = world.operator(query, json!({})).await;
        let mut kinds = BTreeMap::new();
        for field in answer.data()["__schema"]["mutationType"]["fields"].as_array().expect("fields") {
            let text = |value: &Value| value.as_str().expect("a name").to_owned();
            let kind = text(&field["args"][0]["type"]["ofType"]["name"]);
            let query = "query ($name: String!) { __type(name: $name) { inputFields { name } } }";
            let inputs = world.operator(query, json!({"name": kind})).await.data()["__type"]["inputFields"].clone();
            let has_key = inputs.as_array().is_some_and(|inputs| inputs.contains(&json!({"name": "idempotencyKey"})));
            kinds.insert(text(&field["name"]), (kind, has_key));
        }
        Self { world, kinds, done: BTreeSet::new() }
    }

    /// Sends a mutation as somebody, and once more as it was; gives what it answered with, the same both times.
    async fn send(&mut self, who: &str, name: &str, input: Value, selected: &str) -> Value {
        let (kind, has_key) = self.kinds.get(name).unwrap_or_else(|| panic!("{name}")).clone();
        let mut input = if has_key { keyed(input) } else { input };
        if input["idempotencyKey"] == "FRESH_KEY" {
            input["idempotencyKey"] = json!(uuid::Uuid::now_v7().to_string());
        }
        let query = format!(
            "mutation ($input: {kind}!) {{ {name}(input: $input) {{ replayed userErrors {{ code message field }} {selected} }} }}"
        );
        let bearer = match who {
            "operator" | "service" => staff_token(who, ACME),
            subject => token(subject, ACME),
        };
        let answer = async || self.world.run(&bearer, &query, json!({"input": input})).await.data()[name].clone();
        let entries = format!("SELECT count(*) FROM audit_entries WHERE action = '{name}'");
        let before = self.world.number(&entries).await;
        let mut first = answer().await;
        // Each link that is made is a transaction of its own.
        let expected = if name == "createLinks" { 2 } else { 1 };
        assert_eq!(self.world.number(&entries).await - before, expected, "entries of {name} in the audit trail");
        assert_eq!((&first["userErrors"], &first["replayed"]), (&json!([]), &json!(false)), "{name}: {first}");
        let before = self.world.text("SELECT digests()").await;
        let mut second = answer().await;
        assert_eq!(second["replayed"], true, "{name}: {second}");
        assert_eq!(self.world.text("SELECT digests()").await, before, "{name}");
        first["replayed"].take();
        second["replayed"].take();
        assert_eq!(first, second, "{name}");
        self.done.insert(name.to_owned());
        first
    }
}

/// Every mutation leaves one entry in the audit trail; sent again as it was, it changes nothing, not even there, says that it is a replay, and answers
/// with the same object.
#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "a call of every mutation")]
async fn every_mutation_is_done_once() {
    let world = World::new().await;
    let (a, b) = (world.a.to_string(), world.b.to_string());
    let person = world.add_user(world.acme, world.a, "person", "member").await.to_string();
    let both = world.add_user(world.acme, world.a, "both", "member").await;
    world
        .sql(&format!(
            "INSERT INTO partner_users (tenant_id, partner_id, user_id, role) VALUES ('{}', '{}', '{}', 'member')",
            world.acme.uuid(),
            world.b.uuid(),
            both.uuid()
        ))
        .await;
    world.sql(DIGESTS).await;
    let mut twice = Twice::of(&world).await;
    let id = |value: &Value| value["id"].as_str().expect("an id").to_owned();

    // People.
    let application = json!({"companyName": "Nova", "country": "DE", "salesPlan": "Mail", "bankAccount": "DE89 3704 0044 0532 0130 00", "taxId": "DE123456789"});
    twice
        .send(
            "newcomer",
            "submitPartnerApplication",
            application,
            "partner { id companyName application { updatedAt } profile { updatedAt } }",
        )
        .await;
    people::people(&mut twice, &person, &b).await;

    // Partners and the tenant.
    twice
        .send("operator", "updateTenantSettings", json!({"commissionHoldDays": 7, "minimumPayout": "1.00"}), "tenant { id }")
        .await;
    twice.send("operator", "createPartner", json!({"companyName": "C"}), "partner { id updatedAt }").await;
    twice.send("operator", "updatePartner", json!({"id": b, "companyName": "B2"}), "partner { id updatedAt }").await;
    let profile = json!({"contactName": "Ann", "bankAccount": "DE89370400440532013000", "taxId": "DE123456789", "address": {"city": "Bonn"}});
    twice.send("owner_a", "updatePartnerProfile", profile, "partner { profile { updatedAt bankAccountMasked } }").await;

    // Leads.
    let new = json!({"clientName": "C", "clientEmail": "c@example.com", "service": "S", "dealValue": "10"});
    let lead = id(&twice.send("owner_a", "createLead", new, "lead { id updatedAt }").await["lead"]);
    twice.send("owner_a", "updateLead", json!({"id": lead, "notes": "N", "dealValue": "12.00"}), "lead { id updatedAt }").await;
    twice
        .send("owner_a", "updateLeadStatus", json!({"id": lead, "status": "CONTACTED"}), "lead { id updatedAt history { id } }")
        .await;
    twice
        .send(
            "owner_a",
            "updateLeadStatuses",
            json!({"ids": [lead], "status": "QUALIFIED"}),
            "results { lead { id updatedAt history { id } } }",
        )
        .await;
    twice.send("operator", "moveLead", json!({"id": lead, "partnerId": b, "reason": "R"}), "lead { id moves { id } }").await;

    // Programmes and links.
    let shoe = json!({"url": "https://shop.example.com/shoe", "title": "Shoe"});
    let link = twice.send("owner_a", "createLink", shoe, "link { id key updatedAt programme { id } }").await["link"].clone();
    let several = json!({"links": [{"url": "https://example.com/a"}, {"url": "https://example.com/b", "key": "b"}]});
    twice.send("owner_a", "createLinks", several, "results { link { id updatedAt } userErrors { code } }").await;
    let changes = json!({"id": link["id"], "title": "Boot", "utm": {"source": "mail"}});
    twice.send("owner_a", "updateLink", changes, "link { id updatedAt }").await;
    twice.send("owner_a", "archiveLink", json!({"id": link["id"]}), "link { id archivedAt }").await;
    twice.send("owner_a", "restoreLink", json!({"id": link["id"]}), "link { id updatedAt }").await;
    let programme = json!({"id": link["programme"]["id"], "name": "Shoes", "cookieDays": 30});
    twice.send("operator", "updateProgramme", programme, "programme { id updatedAt }").await;
    let enrolled = json!({"partnerId": b, "programmeId": link["programme"]["id"]});
    let enrolment = id(&twice.send("operator", "enrolPartner", enrolled, "enrolment { id updatedAt }").await["enrolment"]);
    let decision = json!({"id": enrolment, "status": "SUSPENDED", "reason": "R"});
    twice.send("operator", "decideEnrolment", decision, "enrolment { id updatedAt history { id } }").await;

    let sign_up = json!({"customerExternalId": "new", "linkKey": link["key"], "name": "Trial", "email": "new@example.com"});
    twice.send("service", "recordSignUp", sign_up, "signUp { id isCounted } customer { id updatedAt }").await;

    // Money.
    let customer = json!({"externalId": "cus", "name": "C", "email": "cus@example.com"});
    let customer = id(&twice.send("service", "upsertCustomer", customer, "customer { id updatedAt }").await["customer"]);
    let managed = json!({"customerId": customer, "partnerId": a, "from": "2020-01-01T00:00:00Z"});
    twice.send("service", "assignCustomer", managed, "customer { accounts { id } }").await;
    let mut commissions = Vec::new();
    // Held for some days, and so pending.
    let paid_at = (world.app.clock.now() - chrono::TimeDelta::minutes(1)).to_rfc3339();
    for number in 0..3 {
        let invoice =
            json!({"invoiceId": format!("inv_{number}"), "customerExternalId": "cus", "amount": "100.00", "paidAt": paid_at});
        commissions.push(id(&twice.send("service", "recordInvoicePayment", invoice, "commission { id }").await["commission"]));
    }
    let refund = json!({"invoiceId": "inv_0", "refundedAmount": "10.00", "currency": "USD", "refundedAt": paid_at});
    twice.send("service", "recordRefund", refund, "commission { id }").await;
    let results = "results { commission { id status } }";
    twice.send("operator", "approveCommissions", json!({"ids": [commissions[0]]}), results).await;
    twice.send("operator", "rejectCommissions", json!({"ids": [commissions[1]], "reason": "R"}), results).await;
    twice
        .send("operator", "moveCommission", json!({"id": commissions[2], "partnerId": b, "reason": "R"}), "commission { id }")
        .await;
    twice
        .send("operator", "adjustCommission", json!({"partnerId": b, "amount": "50.00", "reason": "R"}), "commission { id }")
        .await;
    let rule = json!({"partnerId": a, "kind": "TIERED", "currency": "USD", "tiers": [{"above": "0", "rate": "0.1"}], "validTo": "2100-01-01T00:00:00Z"});
    let rule = id(&twice.send("operator", "setCommissionRule", rule, "rule { id version }").await["rule"]);
    twice.send("operator", "endCommissionRule", json!({"id": rule}), "rule { id validTo }").await;
    twice.send("service", "releaseCustomer", json!({"customerId": customer}), "customer { accounts { managedTo } }").await;
    let period = json!({"period": {"from": "2026-01-01T00:00:00Z", "before": "2100-01-01T00:00:00Z"}});
    let mut one = period.clone();
    one["partnerId"] = json!(a);
    let payout = id(&twice.send("operator", "createPayoutBatch", one, "payout { id }").await["payout"]);
    twice.send("operator", "createPayoutBatches", period, "results { payout { id } userError { code } } nextPartnerId").await;
    let asked = json!({"payoutId": payout, "reason": "R"});
    twice.send("operator", "revealPayoutDestination", asked, "payout { id } bankAccount").await;
    let shown = "payout { id status updatedAt transfers { id } history { id } }";
    for (step, more) in [
        ("releasePayout", json!({})),
        ("startPayout", json!({})),
        ("failPayout", json!({"reason": "R"})),
        ("retryPayout", json!({})),
        ("startPayout", json!({})),
        ("completePayout", json!({"reference": "W"})),
        ("returnPayout", json!({"reason": "R"})),
        ("cancelPayout", json!({})),
    ] {
        let mut input = more;
        input["id"] = json!(payout);
        twice.send("operator", step, input, shown).await;
    }

    // Credits.
    twice
        .send(
            "operator",
            "grantCredits",
            json!({"partnerId": a, "credits": 100, "reason": "R"}),
            "grant { id } partner { creditBalance }",
        )
        .await;
    let member = json!({"email": "Ann@Example.com", "firstName": "Ann", "lastName": "Lee"});
    let member = id(&twice.send("owner_a", "addMember", member, "member { id updatedAt }").await["member"]);
    twice
        .send("owner_a", "updateMember", json!({"id": member, "firstName": "Anna", "lastName": null}), "member { id updatedAt }")
        .await;
    let file = json!({"csv": "email,first name,credits\nbob@example.com,Bob,3\nann@example.com,Anna,2\n"});
    twice.send("owner_a", "importMembers", file, "import { rowCount failed idempotencyKey }").await;
    let assigned = twice
        .send(
            "owner_a",
            "assignCredits",
            json!({"memberId": member, "credits": 5}),
            "allocation { id } member { creditsAssigned }",
        )
        .await;
    let allocation = id(&assigned["allocation"]);
    let later = json!({"allocationId": allocation, "expiresAt": "2030-01-01T00:00:00Z"});
    twice.send("owner_a", "extendCredits", later, "allocation { id expiresAt }").await;
    let used = twice.send("service", "redeemCredit", json!({"memberId": member, "count": 2}), "redemption { id }").await;
    twice
        .send(
            "service",
            "reverseRedemption",
            json!({"redemptionId": used["redemption"]["id"], "reason": "R"}),
            "redemption { id reversedAt }",
        )
        .await;
    twice.send("owner_a", "revokeCredits", json!({"allocationId": allocation}), "allocation { id revoked }").await;
    twice.send("owner_a", "deactivateMember", json!({"id": member}), "member { id status updatedAt }").await;
    twice.send("owner_a", "reactivateMember", json!({"id": member}), "member { id status updatedAt }").await;

    // What is moved in, by the files' texts.
    let import = id(&twice.send("operator", "importData", small(), "import { id status files { name bytes } }").await["import"]);
    twice.send("operator", "cancelDataImport", json!({"id": import}), "import { id status }").await;

    webhooks::webhooks(&mut twice).await;

    // Affiliates.
    let terms = json!({"share": "0.1", "validityDays": 30, "isActive": true});
    twice.send("operator", "setAffiliateTerms", terms, "terms { id version }").await;
    twice.send("owner_a", "setAffiliateActive", json!({"active": true}), "affiliate { isActive }").await;
    twice.send("owner_a", "chooseInviteCode", json!({"code": "spring"}), "affiliate { inviteCode formerCodes }").await;
    twice.send("invited", "acceptInvite", json!({"code": "SPR-ING"}), "affiliate { isReferred }").await;
    let referrer = json!({"userId": person, "referrerId": both.to_string(), "reason": "R"});
    twice.send("operator", "correctReferrer", referrer, "affiliate { referredBy { id } }").await;
    let (affiliate, _) = world.invite_code("owner_a").await;
    let goodwill = json!({"userId": affiliate, "amount": "9.00", "reason": "R"});
    twice.send("operator", "adjustWallet", goodwill, "transaction { id balanceAfter { amount } }").await;
    twice.send("owner_a", "takeOutOfWallet", json!({"amount": "2.50"}), "transaction { id commission { id } }").await;

    twice
        .send(
            "operator",
            "changePartnerStatus",
            json!({"id": b, "status": "SUSPENDED", "reason": "R"}),
            "partner { id status updatedAt }",
        )
        .await;
    let known: BTreeSet<String> = twice.kinds.keys().cloned().collect();
    assert_eq!(twice.done, known, "every mutation is sent twice");
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// A key is its owner's: another partner's request with it is another one, and so is the tenant's staff's of another kind.
#[tokio::test(flavor = "multi_thread")]
async fn keys_are_their_owners() {
    let world = World::new().await;
    let query = "mutation { createLead(input: { clientName: \"C\", clientEmail: \"c@example.com\", service: \"S\", idempotencyKey: \"k\" }) { replayed lead { id partner { id } } userErrors { code field } } }";
    let first = world.owner_a(query, json!({})).await.data()["createLead"].clone();
    let other = world.acme("owner_b", query, json!({})).await.data()["createLead"].clone();
    assert_eq!((&first["replayed"], &other["replayed"]), (&json!(false), &json!(false)));
    assert_eq!(other["lead"]["partner"]["id"], world.b.to_string());
    // A colleague has the same keys, and so has an operator who acts for the partner.
    let colleague = world.acme("member_a", query, json!({})).await.data()["createLead"].clone();
    assert_eq!((&colleague["replayed"], &colleague["lead"]["id"]), (&json!(true), &first["lead"]["id"]));
    let partner = "mutation { createPartner(input: { companyName: \"K\", idempotencyKey: \"k\" }) { replayed } }";
    assert_eq!(world.operator(partner, json!({})).await.data()["createPartner"]["replayed"], false);
    // Moved away, the lead is no longer theirs to see; it is not sent once more.
    let moved =
        "mutation ($id: ID!, $to: ID!) { moveLead(input: { id: $id, partnerId: $to, reason: \"R\" }) { userErrors { code } } }";
    world.operator(moved, json!({"id": first["lead"]["id"], "to": world.b.to_string()})).await;
    let again = world.owner_a(query, json!({})).await.data()["createLead"].clone();
    assert_eq!(again, json!({"replayed": true, "lead": null, "userErrors": []}));
    let differs = query.replace("service: \"S\"", "service: \"T\"");
    let refused = world.owner_a(&differs, json!({})).await.data()["createLead"].clone();
    assert_eq!(refused["userErrors"], json!([{"code": "KEY_REUSED", "field": ["input", "service"]}]));
}

/// Of many requests with one key at the same time one does the work, and all answer with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_key_is_used_once_however_many_come() {
    let world = World::with_pool(8).await;
    for (name, input, object) in [
        ("createLead", "clientName: \"C\", clientEmail: \"c@example.com\", service: \"S\"", "lead"),
        ("createPartner", "companyName: \"Many\"", "partner"),
        ("setCommissionRule", "kind: PERCENTAGE, rate: \"0.2\"", "rule"),
    ] {
        let extra = if name == "createLead" { format!("partnerId: \"{}\", ", world.a) } else { String::new() };
        let query = format!(
            "mutation {{ {name}(input: {{ {extra}{input}, idempotencyKey: \"k\" }}) {{ replayed {object} {{ id }} userErrors {{ code message }} }} }}"
        );
        let answers = join_all((0..16).map(|_| world.operator(&query, json!({})))).await;
        let answers: Vec<Value> = answers.iter().map(|answer| answer.data()[name].clone()).collect();
        let ids: BTreeSet<&str> = answers.iter().filter_map(|answer| answer[object]["id"].as_str()).collect();
        assert_eq!(ids.len(), 1, "{name}: {answers:?}");
        assert_eq!(answers.iter().filter(|answer| answer["replayed"] == false).count(), 1, "{name}: {answers:?}");
    }
    assert_eq!(world.number("SELECT count(*) FROM partner_leads WHERE client_name = 'C'").await, 1);
}

/// A change that was decided on by what has changed since is refused, and says so; sent again after it was done, it is a replay.
#[tokio::test(flavor = "multi_thread")]
async fn lost_updates_are_refused() {
    let world = World::new().await;
    let lead = world.add_lead(world.acme, world.a).await.to_string();
    let member = world.member("ann@example.com").await;
    let made = world.link("https://example.com/").await;
    let (link, programme) = (made["id"].clone(), made["programme"]["id"].clone());
    let a = world.a.to_string();
    for (who, name, input, seen, object) in [
        ("owner_a", "updateLead", json!({"id": lead, "notes": "1"}), "lead(id: ID) { updatedAt }", "lead"),
        ("owner_a", "updatePartnerProfile", json!({"contactName": "1"}), "partner(id: ID) { profile { updatedAt } }", "partner"),
        ("operator", "updatePartner", json!({"id": a, "companyName": "1"}), "partner(id: ID) { updatedAt }", "partner"),
        ("owner_a", "updateMember", json!({"id": member, "firstName": "1"}), "member(id: ID) { updatedAt }", "member"),
        ("owner_a", "updateLink", json!({"id": link, "title": "1"}), "link(id: ID) { updatedAt }", "link"),
        ("operator", "updateProgramme", json!({"id": programme, "name": "1"}), "programme(id: ID) { updatedAt }", "programme"),
    ] {
        let bearer = if who == "operator" { staff_token(who, ACME) } else { token(who, ACME) };
        let id = input["id"].as_str().unwrap_or(&a);
        let seen = format!("{{ {} }}", seen.replace("ID", &format!("\"{id}\"")));
        let updated_at = async || {
            let answer = world.run(&bearer, &seen, json!({})).await.data()[object].clone();
            answer.get("updatedAt").unwrap_or_else(|| &answer["profile"]["updatedAt"]).clone()
        };
        let kind = format!("{}{}Input", name[..1].to_uppercase(), &name[1..]);
        let query =
            format!("mutation ($input: {kind}!) {{ {name}(input: $input) {{ replayed userErrors {{ code field message }} }} }}");
        let send = async |mut input: Value, value: &str, expected: &Value| {
            let field = input.as_object().expect("an object").keys().find(|key| *key != "id").expect("a field").clone();
            input[field] = json!(value);
            input["expectedUpdatedAt"] = expected.clone();
            world.run(&bearer, &query, json!({"input": input})).await.data()[name].clone()
        };
        let first = updated_at().await;
        assert_eq!(send(input.clone(), "mine", &first).await, json!({"replayed": false, "userErrors": []}), "{name}");
        assert_ne!(updated_at().await, first, "{name}");
        // As by somebody who saw what there was at first.
        let late = send(input.clone(), "theirs", &first).await;
        assert_eq!(late["userErrors"][0]["code"], "CHANGED", "{name}: {late}");
        assert_eq!(late["userErrors"][0]["field"], json!(["input", "expectedUpdatedAt"]), "{name}");
        assert_eq!(send(input.clone(), "mine", &first).await, json!({"replayed": true, "userErrors": []}), "{name}");
        let now = updated_at().await;
        assert_eq!(send(input, "theirs", &now).await["replayed"], false, "{name}");
    }
}

/// Two members are one only where everything is the same; one who was made inactive is not added by being added again.
#[tokio::test(flavor = "multi_thread")]
async fn another_member_with_the_address_is_refused() {
    let world = World::new().await;
    let add =
        "mutation ($input: AddMemberInput!) { addMember(input: $input) { replayed member { id } userErrors { code field } } }";
    let taken = json!([{"code": "TAKEN", "field": ["input", "email"]}]);
    let ann = json!({"email": "ann@example.com", "firstName": "Ann"});
    let first = world.owner_a(add, json!({"input": ann})).await.data()["addMember"].clone();
    for other in
        [json!({"email": "ann@example.com", "firstName": "Anna"}), json!({"email": "ANN@example.com", "firstName": "Ann"})]
    {
        let answer = world.owner_a(add, json!({"input": other})).await.data()["addMember"].clone();
        assert_eq!(answer, json!({"replayed": false, "member": null, "userErrors": taken}), "{other}");
    }
    let off = "mutation ($id: ID!) { deactivateMember(input: { id: $id }) { replayed } }";
    world.owner_a(off, json!({"id": first["member"]["id"]})).await;
    assert_eq!(world.owner_a(add, json!({"input": ann})).await.data()["addMember"]["userErrors"], taken);
}
