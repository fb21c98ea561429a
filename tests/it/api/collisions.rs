//! Everything at once on few rows: no two changes wait for each other in a circle, and where PostgreSQL ends one to let another go on, it
//! is run again.

mod affiliates;
mod credits;
mod imports;
mod people;
mod programmes;
mod webhooks;

use std::{collections::BTreeSet, sync::Arc};

use futures_util::future::join_all;
use partner_portal::{ids::RedemptionId, telemetry::metrics::Now};
use serde_json::{Value, json};

use crate::support::{
    World, cluster, log,
    tokens::{staff_token, token},
    world::ACME,
};

/// What PostgreSQL has said of transactions that waited for each other.
pub async fn circles() -> String {
    let log = std::fs::read_to_string(cluster::log_file().await).expect("PostgreSQL's log");
    let lines: Vec<&str> = log.lines().collect();
    let found = lines.iter().enumerate().filter(|(_, line)| line.contains("deadlock detected"));
    found.flat_map(|(number, _)| lines.iter().skip(number).take(12)).copied().collect::<Vec<_>>().join("\n")
}

/// How many transactions were ended by PostgreSQL to let others go on.
pub fn retried(world: &World) -> u64 {
    let text = world.app.metrics.text(Now::default()).expect("metrics");
    let line = text.lines().find(|line| line.starts_with("portal_transactions_retried_total")).expect("the counter");
    line.split(' ').next_back().expect("a number").parse().expect("a whole number")
}

/// Who may run a mutation.
#[derive(Clone, Copy)]
enum As {
    Operator,
    Service,
    Partner,
    /// Of a partner that waits for approval.
    Newcomer,
    /// Of both partners, for either.
    Both,
}

/// What the mutations are about.
struct Few {
    partners: [String; 2],
    leads: Vec<String>,
    members: Vec<String>,
    customers: Vec<String>,
    payouts: Vec<String>,
    commissions: Vec<String>,
    allocations: Vec<String>,
    rules: Vec<String>,
    redemptions: Vec<String>,
    people: Vec<String>,
    invitations: Vec<String>,
    links: Vec<String>,
    keys: Vec<String>,
    programmes: Vec<String>,
    enrolments: Vec<String>,
    codes: Vec<String>,
    imports: Vec<String>,
    hooks: webhooks::Hooks,
}

/// One of a few texts.
fn text(random: &mut fastrand::Rng) -> String {
    random.u8(..6).to_string()
}

/// An idempotency key: as often one of a few as a fresh one, so that there is always something new.
fn key(random: &mut fastrand::Rng) -> String {
    if random.bool() { text(random) } else { "FRESH_KEY".to_owned() }
}

/// One of a list, if it has any.
fn of(random: &mut fastrand::Rng, list: &[String]) -> Option<String> {
    random.choice(list.iter()).cloned()
}

/// The same as an input.
fn id(list: &[String], random: &mut fastrand::Rng) -> Option<Value> {
    of(random, list).map(|id| json!({"id": id}))
}

/// An input with more fields.
fn with(mut input: Value, more: Value) -> Value {
    input.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    input
}

const FOUND: &str = "{ partners { nodes { invitations(first: 3) { nodes { id } } } } payouts(first: 6, filter: { status: [PENDING, READY, PROCESSING, FAILED, COMPLETED] }) { nodes { id } } commissions(last: 8) { nodes { id } } creditAllocations(first: 6) { nodes { id } } commissionRules { id } links(last: 6) { nodes { id } } programmes { nodes { id } } enrolments { nodes { id } } dataImports(first: 6, filter: { status: [WAITING] }) { nodes { id } } webhookEndpoints(first: 6) { nodes { id deliveries(first: 6) { nodes { id } } } } webhookSources { id receipts(first: 6) { nodes { id } } } }";

impl Few {
    async fn of(world: &World) -> Self {
        let leads = world.add_leads(world.acme, world.a, 2).await;
        let more = world.add_leads(world.acme, world.b, 1).await;
        let customers = vec![world.customer("cus_1", world.a).await, world.customer("cus_2", world.b).await];
        world.grant(world.a, 5_000, None).await;
        world.grant(world.b, 5_000, None).await;
        let mut members = Vec::new();
        for email in ["ann@example.com", "bob@example.com"] {
            let member = world.member(email).await;
            world.assign(&member, 40, 30, None).await;
            members.push(member);
        }
        // Both partners know one of them.
        let both = "mutation { addMember(input: { email: \"ann@example.com\", firstName: \"Ann\" }) { member { id } } }";
        let other = world.acme("owner_b", both, json!({})).await.data()["addMember"]["member"]["id"].clone();
        members.push(other.as_str().expect("an id").to_owned());
        let mut people = Vec::new();
        for subject in ["x", "y"] {
            people.push(world.add_user(world.acme, world.a, subject, "member").await.to_string());
        }
        let both = world.add_user(world.acme, world.a, "both", "member").await.uuid();
        let of_b = format!(
            "INSERT INTO partner_users (tenant_id, partner_id, user_id, role) VALUES ('{}', '{}', '{both}', 'member')",
            world.acme.uuid(),
            world.b.uuid()
        );
        world.sql(&of_b).await;
        let account = "mutation ($id: ID!) { updatePartnerProfile(input: { partnerId: $id, bankAccount: \"DE89370400440532013000\" }) { replayed } }";
        for partner in [world.a, world.b] {
            world.operator(account, json!({"id": partner.to_string()})).await.data();
        }
        let codes = affiliates::referred_people(world).await;
        Self {
            codes,
            imports: Vec::new(),
            hooks: webhooks::Hooks::default(),
            people,
            invitations: Vec::new(),
            partners: [world.a.to_string(), world.b.to_string()],
            leads: leads.iter().chain(&more).map(ToString::to_string).collect(),
            members,
            customers,
            payouts: Vec::new(),
            commissions: Vec::new(),
            allocations: Vec::new(),
            rules: Vec::new(),
            redemptions: Vec::new(),
            links: Vec::new(),
            keys: Vec::new(),
            programmes: Vec::new(),
            enrolments: Vec::new(),
        }
    }

    async fn look(&mut self, world: &World) {
        webhooks::report(world).await;
        let found = world.operator(FOUND, json!({})).await;
        let ids = |list: &str| {
            let nodes = found.data()[list]["nodes"].as_array().expect("rows");
            nodes.iter().map(|row| row["id"].as_str().expect("an id").to_owned()).collect()
        };
        let ids_of =
            "SELECT string_agg(id::text, ',') FROM (SELECT id FROM credit_redemptions ORDER BY created_at DESC LIMIT 6) AS last";
        self.redemptions = world
            .text(ids_of)
            .await
            .split(',')
            .filter_map(|id| Some(RedemptionId::from(id.parse::<uuid::Uuid>().ok()?).to_string()))
            .collect();
        let rules = found.data()["commissionRules"].as_array().expect("rules");
        self.rules = rules.iter().map(|rule| rule["id"].as_str().expect("an id").to_owned()).collect();
        (self.payouts, self.commissions, self.allocations) = (ids("payouts"), ids("commissions"), ids("creditAllocations"));
        self.keys =
            world.text("SELECT coalesce(string_agg(key, ','), '') FROM links").await.split(',').map(str::to_owned).collect();
        self.keys.retain(|key| !key.is_empty());
        (self.links, self.programmes, self.enrolments) = (ids("links"), ids("programmes"), ids("enrolments"));
        self.imports = ids("dataImports");
        self.look_at_people(world, found.data()).await;
        self.look_at_webhooks(found.data());
    }

    /// A call of a mutation, or nothing while there is nothing to call it for.
    fn call(&self, name: &str, random: &mut fastrand::Rng) -> Option<(As, Value)> {
        use As::{Operator, Service};
        let partner = self.partners[random.usize(..2)].clone();
        let period = || json!({"period": {"from": "2026-01-01T00:00:00Z", "before": "2100-01-01T00:00:00Z"}});
        let money = |random: &mut fastrand::Rng| format!("{}.00", random.u8(1..90));
        Some(match name {
            "adjustCommission" => {
                (Operator, json!({"partnerId": partner, "amount": money(random), "reason": "R", "idempotencyKey": key(random)}))
            }
            "approveCommissions" => (Operator, json!({"ids": [of(random, &self.commissions)?]})),
            "rejectCommissions" => (Operator, json!({"ids": [of(random, &self.commissions)?], "reason": "R"})),
            "assignCustomer" => (
                Service,
                json!({"customerId": of(random, &self.customers)?, "partnerId": partner, "commissionRate": format!("0.{}", random.u8(1..9))}),
            ),
            "releaseCustomer" => (Service, json!({"customerId": of(random, &self.customers)?})),
            "upsertCustomer" => (Service, json!({"externalId": format!("cus_{}", random.u8(1..3)), "name": text(random)})),
            "changePartnerStatus" => {
                (Operator, json!({"id": self.partners[1], "status": (["ACTIVE", "SUSPENDED"][random.usize(..2)])}))
            }
            "createPartner" => (Operator, json!({"companyName": text(random), "idempotencyKey": "FRESH_KEY"})),
            "updatePartner" => (
                Operator,
                json!({"id": partner, "clerkOrgId": format!("org{}", random.u16(..)), "commissionRate": format!("0.{}", random.u8(1..9))}),
            ),
            "updatePartnerProfile" => (Operator, json!({"partnerId": partner, "contactName": text(random)})),
            "createLead" => (
                Operator,
                json!({"partnerId": partner, "clientName": "C", "clientEmail": "c@example.com", "service": "S", "dealValue": money(random), "idempotencyKey": key(random)}),
            ),
            "updateLead" => {
                (Operator, with(id(&self.leads, random)?, json!({"dealValue": money(random), "notes": text(random)})))
            }
            "updateLeadStatus" => (
                Operator,
                with(
                    id(&self.leads, random)?,
                    json!({"status": (["CONTACTED", "LOST", "PENDING", "CONVERTED"][random.usize(..4)])}),
                ),
            ),
            "updateLeadStatuses" => (
                Operator,
                json!({"ids": [of(random, &self.leads)?, of(random, &self.leads)?], "status": (["CONTACTED", "LOST"][random.usize(..2)])}),
            ),
            "createPayoutBatch" => (Operator, with(period(), json!({"partnerId": partner, "idempotencyKey": "FRESH_KEY"}))),
            "createPayoutBatches" => (Operator, with(period(), json!({"idempotencyKey": "FRESH_KEY"}))),
            "revealPayoutDestination" => {
                (Operator, json!({"payoutId": of(random, &self.payouts)?, "reason": "R", "idempotencyKey": "FRESH_KEY"}))
            }
            "releasePayout" | "retryPayout" | "startPayout" => (Operator, id(&self.payouts, random)?),
            // Seldom: it is final.
            "cancelPayout" => (Operator, id(&self.payouts, random).filter(|_| random.u8(..4) == 0)?),
            "completePayout" => (Operator, with(id(&self.payouts, random)?, json!({"reference": "W"}))),
            "failPayout" | "returnPayout" => (Operator, with(id(&self.payouts, random)?, json!({"reason": "R"}))),
            "moveLead" => (Operator, with(id(&self.leads, random)?, json!({"partnerId": partner, "reason": "R"}))),
            "moveCommission" => (Operator, with(id(&self.commissions, random)?, json!({"partnerId": partner, "reason": "R"}))),
            "recordInvoicePayment" => (
                Service,
                json!({"invoiceId": format!("inv_{}", random.u8(..40)), "customerExternalId": format!("cus_{}", random.u8(1..3)), "amount": "100.00", "paidAt": "2026-06-15T12:00:00Z"}),
            ),
            "recordRefund" => (
                Service,
                json!({"invoiceId": format!("inv_{}", random.u8(..40)), "refundedAmount": format!("{}.00", random.u8(..=100)), "currency": "USD", "refundedAt": format!("2026-06-2{}T00:00:00Z", random.u8(..9))}),
            ),
            "setCommissionRule" => (
                Operator,
                json!({"partnerId": partner, "kind": "PERCENTAGE", "rate": format!("0.{}", random.u8(1..9)), "idempotencyKey": "FRESH_KEY"}),
            ),
            "endCommissionRule" => (Operator, json!({"id": of(random, &self.rules)?})),
            "submitPartnerApplication" => (
                As::Newcomer,
                json!({"companyName": text(random), "country": "DE", "salesPlan": text(random), "bankAccount": "DE89 3704 0044 0532 0130 00"}),
            ),
            "updateTenantSettings" => (Operator, json!({"minimumPayout": format!("{}.00", random.u8(..3))})),
            other => return self.call_about_credits(other, random),
        })
    }
}

/// The mutations that there are, with their inputs' types.
async fn mutations(world: &World) -> Vec<(String, String)> {
    let query = "{ __schema { mutationType { fields { name args { type { ofType { name } } } } } } }";
    let answer = world.operator(query, json!({})).await;
    let fields = answer.data()["__schema"]["mutationType"]["fields"].as_array().expect("fields").clone();
    let name = |value: &Value| value["name"].as_str().expect("a name").to_owned();
    fields.iter().map(|field| (name(field), name(&field["args"][0]["type"]["ofType"]))).collect()
}

/// What has to be done before a call has something to do: only what has failed a moment ago has its commissions still, and few payouts are all
/// the way there.
fn steps_before(name: &str) -> &'static [&'static str] {
    match name {
        "startPayout" => &["releasePayout"],
        "retryPayout" => &["releasePayout", "startPayout", "failPayout"],
        "completePayout" | "failPayout" => &["releasePayout", "startPayout"],
        "returnPayout" => &["releasePayout", "startPayout", "completePayout"],
        _ => &[],
    }
}

/// Calls a mutation on some of the few rows, and gives whether it succeeded; none of its errors is one of ours.
async fn call(
    world: &World,
    few: &tokio::sync::RwLock<Few>,
    (name, kind): &(String, String),
    random: &mut fastrand::Rng,
) -> bool {
    let Some((who, input)) = few.read().await.call(name, random) else { return false };
    for step in steps_before(name) {
        world.step(step, &input["id"]).await;
    }
    let selected = if name == "createPayoutBatches" || name.ends_with("Commissions") {
        "userErrors { code }"
    } else {
        "userErrors { code message }"
    };
    let query = format!("mutation ($input: {kind}!) {{ {name}(input: $input) {{ {selected} }} }}");
    let bearer = match who {
        As::Operator => staff_token("operator", ACME),
        As::Service => staff_token("service", ACME),
        As::Partner => token("owner_a", ACME),
        As::Newcomer => token("newcomer", ACME),
        As::Both => token("both", ACME),
    };
    let answer = world.run(&bearer, &query, json!({"input": input})).await;
    assert!(answer.body.get("errors").is_none(), "{name} {input}: {} {:?}", answer.body, log::causes(&answer));
    answer.body["data"][name.as_str()]["userErrors"] == json!([])
}

/// Every mutation at every other, from many tasks on few rows: none ends in an error of ours, PostgreSQL ends none of them for the sake of
/// another, and the books hold.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_mutation_at_every_other() {
    let world = Arc::new(World::with_pool(8).await);
    let names = Arc::new(mutations(&world).await);
    let few = Arc::new(tokio::sync::RwLock::new(Few::of(&world).await));
    let tasks = (0..16_u64).map(|task| {
        let (world, names, few) = (Arc::clone(&world), Arc::clone(&names), Arc::clone(&few));
        tokio::spawn(async move {
            let mut random = fastrand::Rng::with_seed(task);
            let mut done = BTreeSet::new();
            for turn in 0..200 {
                if turn % 10 == 0 {
                    few.write().await.look(&world).await;
                }
                let mutation = &names[random.usize(..names.len())];
                if call(&world, &few, mutation, &mut random).await {
                    done.insert(mutation.0.clone());
                }
            }
            done
        })
    });
    let mut done = BTreeSet::new();
    for task in join_all(tasks).await {
        done.extend(task.expect("a task"));
    }
    // What was overtaken by another is run again, which is as it should be; connections report what PostgreSQL ended a moment later.
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    let ended = world.number("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").await;
    assert_eq!(ended, 0, "transactions waited for each other in a circle: {}", circles().await);
    // Some need rows that the others leave seldom: one that never found any succeeds once it is quiet.
    let mut random = fastrand::Rng::with_seed(16);
    for mutation in names.iter().filter(|(name, _)| !done.contains(name)) {
        let mut has_succeeded = false;
        for _ in 0..300 {
            call(&world, &few, &names[random.usize(..names.len())], &mut random).await;
            few.write().await.look(&world).await;
            has_succeeded = call(&world, &few, mutation, &mut random).await;
            if has_succeeded {
                break;
            }
        }
        assert!(has_succeeded, "{} never succeeds", mutation.0);
    }
    assert_eq!(world.broken_rules().await, [""; 0]);
}
