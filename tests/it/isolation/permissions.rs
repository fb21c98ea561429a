//! Who may do what: every mutation, by every role.

mod affiliates;
mod imports;
mod people;
mod programmes;
mod webhooks;

use serde_json::json;

use crate::support::{World, tokens::staff_token, world::ACME};

/// A mutation by name, its text, and whether a member, an owner, an operator and a service may run it.
type Row = (&'static str, String, [bool; 4]);

async fn portal(world: &World) -> Vec<Row> {
    let (a, lead) = (world.a.to_string(), world.add_lead(world.acme, world.a).await.to_string());
    let client = "clientName: \"C\", clientEmail: \"c@example.com\", service: \"S\"";
    vec![
        (
            "createLead",
            format!(
                "createLead(input: {{ idempotencyKey: \"FRESH_KEY\", partnerId: \"{a}\", {client} }}) {{ userErrors {{ message }} }}"
            ),
            [true, true, true, false],
        ),
        (
            "updateLead",
            format!("updateLead(input: {{ id: \"{lead}\", service: \"T\" }}) {{ userErrors {{ message }} }}"),
            [true, true, true, false],
        ),
        (
            "commission by hand",
            format!("updateLead(input: {{ id: \"{lead}\", commission: \"5\" }}) {{ userErrors {{ message }} }}"),
            [false, false, true, false],
        ),
        (
            "updateLeadStatus",
            format!("updateLeadStatus(input: {{ id: \"{lead}\", status: PENDING }}) {{ userErrors {{ message }} }}"),
            [true, true, true, false],
        ),
        (
            "updateLeadStatuses",
            format!("updateLeadStatuses(input: {{ ids: [\"{lead}\"], status: PENDING }}) {{ userErrors {{ message }} }}"),
            [true, true, true, false],
        ),
        (
            "updatePartnerProfile",
            format!("updatePartnerProfile(input: {{ partnerId: \"{a}\", contactName: \"N\" }}) {{ userErrors {{ message }} }}"),
            [false, true, true, false],
        ),
        (
            "createPartner",
            "createPartner(input: { idempotencyKey: \"FRESH_KEY\", companyName: \"New\" }) { userErrors { message } }".to_owned(),
            [false, false, true, false],
        ),
        (
            "updatePartner",
            format!("updatePartner(input: {{ id: \"{a}\", companyName: \"Partner A\" }}) {{ userErrors {{ message }} }}"),
            [false, false, true, false],
        ),
        (
            "changePartnerStatus",
            format!("changePartnerStatus(input: {{ id: \"{a}\", status: ACTIVE }}) {{ userErrors {{ message }} }}"),
            [false, false, true, false],
        ),
    ]
}

async fn customers_and_commissions(world: &World) -> Vec<Row> {
    let a = world.a.to_string();
    let customer = world.customer("cus_0", world.a).await;
    let idle = world
        .service("mutation { upsertCustomer(input: { externalId: \"idle\", name: \"I\" }) { customer { id } } }", json!({}))
        .await;
    let idle = idle.data()["upsertCustomer"]["customer"]["id"].as_str().expect("an id").to_owned();
    let rule = world
        .operator("mutation { setCommissionRule(input: { idempotencyKey: \"FRESH_KEY\", kind: PERCENTAGE, rate: \"0.1\" }) { rule { id } } }", json!({}))
        .await;
    let rule = rule.data()["setCommissionRule"]["rule"]["id"].as_str().expect("an id").to_owned();
    let commission = world.adjust(world.a, "9.00", None).await["commission"]["id"].as_str().expect("an id").to_owned();
    let (lead, b) = (world.add_lead(world.acme, world.a).await, world.b);
    // In a currency of which no payout is made.
    let own = format!(
        "mutation {{ adjustCommission(input: {{ idempotencyKey: \"FRESH_KEY\", partnerId: \"{a}\", amount: \"9\", currency: \"EUR\", reason: \"R\" }}) {{ commission {{ id }} }} }}"
    );
    let own =
        world.operator(&own, json!({})).await.data()["adjustCommission"]["commission"]["id"].as_str().expect("an id").to_owned();
    vec![
        (
            "upsertCustomer",
            "upsertCustomer(input: { externalId: \"cus_1\", name: \"C\" }) { userErrors { message } }".to_owned(),
            [false, false, true, true],
        ),
        (
            "assignCustomer",
            format!("assignCustomer(input: {{ customerId: \"{customer}\", partnerId: \"{a}\" }}) {{ userErrors {{ message }} }}"),
            [false, false, true, true],
        ),
        (
            "releaseCustomer",
            format!("releaseCustomer(input: {{ customerId: \"{idle}\" }}) {{ userErrors {{ message }} }}"),
            [false, false, true, true],
        ),
        (
            "setCommissionRule",
            format!("setCommissionRule(input: {{ idempotencyKey: \"FRESH_KEY\", partnerId: \"{a}\", kind: PERCENTAGE, rate: \"0.2\" }}) {{ userErrors {{ message }} }}"),
            [false, false, true, false],
        ),
        (
            "endCommissionRule",
            format!("endCommissionRule(input: {{ id: \"{rule}\" }}) {{ userErrors {{ message }} }}"),
            [false, false, true, false],
        ),
        (
            "recordInvoicePayment",
            "recordInvoicePayment(input: { invoiceId: \"i\", customerExternalId: \"cus_0\", amount: \"5\", paidAt: \"2026-01-01T00:00:00Z\" }) { userErrors { message } }".to_owned(),
            [false, false, false, true],
        ),
        (
            "recordRefund",
            "recordRefund(input: { invoiceId: \"i\", refundedAmount: \"1\", currency: \"USD\", refundedAt: \"2026-01-01T00:00:00Z\" }) { userErrors { message } }".to_owned(),
            [false, false, false, true],
        ),
        (
            "adjustCommission",
            format!("adjustCommission(input: {{ idempotencyKey: \"FRESH_KEY\", partnerId: \"{a}\", amount: \"5\", reason: \"R\" }}) {{ userErrors {{ message }} }}"),
            [false, false, true, false],
        ),
        (
            "moveLead",
            format!("moveLead(input: {{ id: \"{lead}\", partnerId: \"{b}\", reason: \"R\" }}) {{ userErrors {{ message }} }}"),
            [false, false, true, false],
        ),
        (
            "moveCommission",
            format!("moveCommission(input: {{ id: \"{own}\", partnerId: \"{b}\", reason: \"R\" }}) {{ userErrors {{ message }} }}"),
            [false, false, true, false],
        ),
        (
            "approveCommissions",
            format!("approveCommissions(input: {{ ids: [\"{commission}\"] }}) {{ userErrors {{ message }} }}"),
            [false, false, true, false],
        ),
        (
            "rejectCommissions",
            format!("rejectCommissions(input: {{ ids: [\"{commission}\"], reason: \"R\" }}) {{ userErrors {{ message }} }}"),
            [false, false, true, false],
        ),
    ]
}

async fn payouts(world: &World) -> Vec<Row> {
    let a = world.a.to_string();
    let account = "mutation { updatePartnerProfile(input: { bankAccount: \"DE89370400440532013000\" }) { replayed } }";
    world.owner_a(account, json!({})).await.data();
    world.adjust(world.a, "9.00", None).await;
    world.adjust(world.b, "9.00", None).await;
    let payout = world.batch(world.b).await["payout"]["id"].as_str().expect("an id").to_owned();
    let processing = world.batch(world.a).await["payout"]["id"].clone();
    for step in ["releasePayout", "startPayout"] {
        world.step(step, &processing).await;
    }
    let sent = processing.as_str().expect("an id").to_owned();
    world.adjust(world.a, "9.00", None).await;
    vec![
        (
            "createPayoutBatch",
            format!("createPayoutBatch(input: {{ idempotencyKey: \"FRESH_KEY\", partnerId: \"{a}\", period: {{ from: \"2026-01-01T00:00:00Z\", before: \"2030-01-01T00:00:00Z\" }} }}) {{ userErrors {{ message }} }}"),
            [false, false, true, false],
        ),
        (
            "createPayoutBatches",
            "createPayoutBatches(input: { idempotencyKey: \"FRESH_KEY\", period: { from: \"2026-01-01T00:00:00Z\", before: \"2027-01-01T00:00:00Z\" } }) { userErrors { message } }".to_owned(),
            [false, false, true, false],
        ),
        (
            "revealPayoutDestination",
            format!("revealPayoutDestination(input: {{ payoutId: \"{sent}\", reason: \"R\", idempotencyKey: \"FRESH_KEY\" }}) {{ userErrors {{ message }} }}"),
            [false, false, true, false],
        ),
        ("releasePayout", format!("releasePayout(input: {{ id: \"{payout}\" }}) {{ userErrors {{ message }} }}"), [false, false, true, false]),
        ("startPayout", format!("startPayout(input: {{ id: \"{payout}\" }}) {{ userErrors {{ message }} }}"), [false, false, true, false]),
        (
            "completePayout",
            format!("completePayout(input: {{ id: \"{payout}\", reference: \"W\" }}) {{ userErrors {{ message }} }}"),
            [false, false, true, false],
        ),
        (
            "returnPayout",
            format!("returnPayout(input: {{ id: \"{payout}\", reason: \"R\" }}) {{ userErrors {{ message }} }}"),
            [false, false, true, false],
        ),
        ("retryPayout", format!("retryPayout(input: {{ id: \"{payout}\" }}) {{ userErrors {{ message }} }}"), [false, false, true, false]),
        (
            "failPayout",
            format!("failPayout(input: {{ id: \"{sent}\", reason: \"R\" }}) {{ userErrors {{ message }} }}"),
            [false, false, true, false],
        ),
        ("cancelPayout", format!("cancelPayout(input: {{ id: \"{payout}\" }}) {{ userErrors {{ message }} }}"), [false, false, true, false]),
        (
            "updateTenantSettings",
            "updateTenantSettings(input: { minimumPayout: \"1\" }) { userErrors { message } }".to_owned(),
            [false, false, true, false],
        ),
    ]
}

async fn members_and_credits(world: &World) -> Vec<Row> {
    let a = world.a.to_string();
    world.grant(world.a, 100, None).await;
    let (member, other) = (world.member("m@example.com").await, world.member("o@example.com").await);
    let allocation = world.assign(&member, 50, 90, None).await["allocation"]["id"].as_str().expect("an id").to_owned();
    let redemption = world.redeem(&member, 1, "v").await["redemption"]["id"].as_str().expect("an id").to_owned();
    vec![
        (
            "addMember",
            format!(
                "addMember(input: {{ partnerId: \"{a}\", email: \"ROLE@example.com\", firstName: \"N\" }}) {{ userErrors {{ message }} }}"
            ),
            [false, true, true, false],
        ),
        (
            "updateMember",
            format!("updateMember(input: {{ id: \"{member}\", firstName: \"N\" }}) {{ userErrors {{ message }} }}"),
            [false, true, true, false],
        ),
        (
            "deactivateMember",
            format!("deactivateMember(input: {{ id: \"{other}\" }}) {{ userErrors {{ message }} }}"),
            [false, true, true, false],
        ),
        (
            "reactivateMember",
            format!("reactivateMember(input: {{ id: \"{other}\" }}) {{ userErrors {{ message }} }}"),
            [false, true, true, false],
        ),
        (
            "importMembers",
            format!("importMembers(input: {{ partnerId: \"{a}\", csv: \"email,first name\" }}) {{ userErrors {{ message }} }}"),
            [false, true, true, false],
        ),
        (
            "grantCredits",
            format!(
                "grantCredits(input: {{ idempotencyKey: \"FRESH_KEY\", partnerId: \"{a}\", credits: 1, reason: \"R\" }}) {{ userErrors {{ message }} }}"
            ),
            [false, false, true, true],
        ),
        (
            "assignCredits",
            format!(
                "assignCredits(input: {{ idempotencyKey: \"FRESH_KEY\", memberId: \"{member}\", credits: 1 }}) {{ userErrors {{ message }} }}"
            ),
            [true, true, false, false],
        ),
        (
            "redeemCredit",
            format!("redeemCredit(input: {{ memberId: \"{member}\", idempotencyKey: \"r\" }}) {{ userErrors {{ message }} }}"),
            [false, false, false, true],
        ),
        (
            "reverseRedemption",
            format!(
                "reverseRedemption(input: {{ redemptionId: \"{redemption}\", reason: \"R\", idempotencyKey: \"v\" }}) {{ userErrors {{ message }} }}"
            ),
            [false, false, false, true],
        ),
        (
            "extendCredits",
            format!(
                "extendCredits(input: {{ allocationId: \"{allocation}\", expiresAt: \"2030-01-01T00:00:00Z\" }}) {{ userErrors {{ message }} }}"
            ),
            [true, true, true, true],
        ),
        (
            "revokeCredits",
            format!("revokeCredits(input: {{ allocationId: \"{allocation}\" }}) {{ userErrors {{ message }} }}"),
            [true, true, true, true],
        ),
    ]
}

/// The schema's mutations are all in the tables, and each refuses anyone who may not run it, and nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn permissions_of_every_mutation() {
    let world = World::new().await;
    let mutations = [
        portal(&world).await,
        customers_and_commissions(&world).await,
        payouts(&world).await,
        members_and_credits(&world).await,
        programmes::rows(&world).await,
        affiliates::rows(&world).await,
        imports::rows(&world).await,
        webhooks::rows(&world).await,
        people::rows(&world).await,
    ]
    .concat();
    let sdl = partner_portal::graphql::sdl();
    let declared = sdl.split("\ntype Mutation {").nth(1).and_then(|rest| rest.split("\n}").next()).expect("the mutations");
    let declared: Vec<&str> = declared.lines().filter_map(|line| line.trim().strip_suffix('(')).collect();
    assert!(declared.len() >= mutations.len() - 1, "{declared:?}");
    // Only a partner that waits for approval can apply: who may is proved in `applications`.
    for name in declared.into_iter().filter(|name| *name != "submitPartnerApplication") {
        assert!(mutations.iter().any(|(known, ..)| *known == name), "{name} is not in the table");
    }
    for (name, mutation, allowed) in mutations {
        if name == "erasePerson" {
            // It waits for imports, which no server of this world runs.
            world.sql("UPDATE data_imports SET status = 'cancelled', finished_at = now() WHERE status = 'waiting'").await;
        }
        let tokens = [
            crate::support::token("member_a", ACME),
            crate::support::token("owner_a", ACME),
            staff_token("operator", ACME),
            staff_token("service", ACME),
        ];
        for ((role, token), allowed) in ["member", "owner", "operator", "service"].iter().zip(tokens).zip(allowed) {
            let operation = format!("mutation {{ {} }}", mutation.replace("ROLE", role));
            let answer = world.run(&token, &operation, json!({})).await;
            let forbidden = answer.code() == "FORBIDDEN";
            assert_eq!(!forbidden, allowed, "{name} by {role}: {}", answer.body);
            if allowed {
                let field = answer.data().as_object().and_then(|data| data.values().next()).expect("a payload").clone();
                assert_eq!(field["userErrors"], json!([]), "{name} by {role}");
            }
        }
    }
    let forbidden = world.owner_a("{ partners { totalCount } }", json!({})).await;
    assert_eq!(forbidden.code(), "FORBIDDEN");
}
