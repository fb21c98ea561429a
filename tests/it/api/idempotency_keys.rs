//! Idempotency keys: a request sent again answers with the first result, and one that differs in anything is refused.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{imports::background::small, support::World};

/// A mutation with a key: its input, and for each other field of the input another good value.
struct Keyed {
    name: &'static str,
    input: Value,
    others: Vec<(&'static str, Value)>,
}

#[expect(clippy::too_many_lines, reason = "a case for each mutation with a key")]
async fn keyed(world: &World) -> Vec<Keyed> {
    let (a, b) = (world.a.to_string(), world.b.to_string());
    world.earn().await;
    world.grant(world.a, 500, None).await;
    let (ann, bob) = (world.member("ann@example.com").await, world.member("bob@example.com").await);
    for member in [&ann, &bob] {
        world.assign(member, 50, 30, None).await;
    }
    let ((owner, _), (other, _)) = (world.invite_code("owner_a").await, world.invite_code("owner_b").await);
    let mut redeemed = Vec::new();
    for key in ["x", "y"] {
        redeemed.push(world.redeem(&ann, 1, key).await["redemption"]["id"].clone());
    }
    let preview = "query ($id: ID!) { previewPayout(partnerId: $id, currency: \"USD\", period: { from: \"2026-01-01T00:00:00Z\", before: \"2100-01-01T00:00:00Z\" }) { fingerprint previewedAt } }";
    let seen = world.operator(preview, json!({"id": a})).await.data()["previewPayout"].clone();
    let hooks = crate::webhooks::two_endpoints(world).await;
    let sources = crate::webhooks::two_sources(world).await;
    let account = "mutation ($id: ID!) { updatePartnerProfile(input: { partnerId: $id, bankAccount: \"DE89370400440532013000\" }) { replayed } }";
    let mut paid = Vec::new();
    for partner in [world.a, world.b] {
        world.operator(account, json!({"id": partner.to_string()})).await.data();
        let adjust = "mutation ($id: ID!) { adjustCommission(input: { partnerId: $id, amount: \"9.00\", currency: \"GBP\", reason: \"R\", idempotencyKey: \"FRESH_KEY\" }) { replayed } }";
        world.operator(adjust, json!({"id": partner.to_string()})).await.data();
        paid.push(world.batch_with(json!({"partnerId": partner.to_string(), "currency": "GBP"})).await["payout"]["id"].clone());
    }
    let invitations = [world.invited("ann@example.com").await, world.invited("bo@example.com").await];
    vec![
        Keyed {
            name: "adjustCommission",
            input: json!({"partnerId": a, "amount": "5.00", "currency": "CHF", "reason": "Goodwill"}),
            others: vec![
                ("partnerId", json!(b)),
                ("amount", json!("-5.00")),
                ("currency", json!("EUR")),
                ("reason", json!("Another")),
            ],
        },
        Keyed {
            name: "createPayoutBatch",
            input: json!({
                "partnerId": a, "currency": "USD", "period": {"from": "2026-01-01T00:00:00Z", "before": "2100-01-01T00:00:00Z"}, "notes": "N",
                "payoutDate": "2026-12-01T00:00:00Z", "expectedFingerprint": seen["fingerprint"], "previewedAt": seen["previewedAt"],
            }),
            others: vec![
                ("partnerId", json!(b)),
                ("currency", json!("EUR")),
                ("period", json!({"period": {"from": "2026-01-02T00:00:00Z", "before": "2100-01-01T00:00:00Z"}})),
                ("period", json!({"period": {"from": "2026-01-01T00:00:00Z", "before": "2100-01-02T00:00:00Z"}})),
                ("notes", json!("M")),
                ("payoutDate", json!("2026-12-02T00:00:00Z")),
                ("expectedFingerprint", json!("0".repeat(64))),
                ("previewedAt", json!("2026-01-01T00:00:00Z")),
            ],
        },
        Keyed {
            name: "createPayoutBatches",
            input: json!({
                "currency": "CHF", "period": {"from": "2026-01-01T00:00:00Z", "before": "2100-01-01T00:00:00Z"}, "payoutDate": "2026-12-01T00:00:00Z",
            }),
            others: vec![
                ("currency", json!("EUR")),
                ("period", json!({"period": {"from": "2026-01-02T00:00:00Z", "before": "2100-01-01T00:00:00Z"}})),
                ("period", json!({"period": {"from": "2026-01-01T00:00:00Z", "before": "2100-01-02T00:00:00Z"}})),
                ("payoutDate", json!("2026-12-02T00:00:00Z")),
            ],
        },
        Keyed {
            name: "createLead",
            input: json!({
                "partnerId": a, "clientName": "C", "clientEmail": "c@example.com", "clientPhone": "+49 30 123456", "service": "S", "dealValue": "10.00",
                "notes": "N",
            }),
            others: vec![
                ("clientName", json!("D")),
                ("clientEmail", json!("d@example.com")),
                ("clientPhone", json!("+49 30 123457")),
                ("service", json!("T")),
                ("dealValue", json!("10.01")),
                ("notes", json!("M")),
            ],
        },
        Keyed {
            name: "createLink",
            input: json!({
                "partnerId": a, "url": "https://example.com/a", "key": "keyed", "title": "T", "externalId": "x", "couponCode": "C",
                "utm": {"source": "s"}, "expiresAt": "2030-01-01T00:00:00Z", "expiredUrl": "https://example.com/over",
                "split": [{"partnerId": b, "share": "0.1"}],
            }),
            others: vec![
                ("url", json!("https://example.com/b")),
                ("key", json!("other")),
                ("title", json!("U")),
                ("externalId", json!("y")),
                ("couponCode", json!("D")),
                ("utm", json!({"utm": {"source": "t"}})),
                ("expiresAt", json!("2031-01-01T00:00:00Z")),
                ("expiredUrl", json!("https://example.com/late")),
                ("split", json!([{"partnerId": b, "share": "0.2"}])),
            ],
        },
        Keyed {
            name: "importData",
            input: {
                let mut input = small();
                input.as_object_mut().expect("an object").extend(
                    json!({"dryRun": true, "currency": "USD", "timeZone": "Europe/Berlin", "rateUnit": "PERCENT", "moneyForm": "MINOR",
                        "orphans": "HOLD", "linkUrl": "https://example.com/?via={key}"})
                    .as_object()
                    .expect("an object")
                    .clone(),
                );
                input
            },
            others: vec![
                (
                    "source",
                    json!({"source": "TOLT", "files": [{"name": "partners.csv", "text": "id,email\np_1,ann@shop.example\n"}]}),
                ),
                ("files", {
                    let mut files = small()["files"].clone();
                    files[0]["text"] = json!("id,name,email\nu_1,Ann,ann@shop.example\n");
                    files
                }),
                ("dryRun", json!(false)),
                ("currency", json!("EUR")),
                ("timeZone", json!("Europe/Paris")),
                ("rateUnit", json!("FRACTION")),
                ("moneyForm", json!("MAJOR")),
                ("orphans", json!("REPORT")),
                ("linkUrl", json!("https://example.com/?by={key}")),
            ],
        },
        Keyed {
            name: "createWebhookEndpoint",
            input: json!({"url": "https://hooks.example.com/", "eventTypes": ["LEAD_CREATED"], "description": "D"}),
            others: vec![
                ("url", json!("https://hooks.example.com/other")),
                ("eventTypes", json!(["LEAD_UPDATED"])),
                ("description", json!("E")),
            ],
        },
        Keyed {
            name: "rotateWebhookSecret",
            input: json!({"id": hooks[0], "expireOldAfterHours": 1}),
            others: vec![("id", json!(hooks[1])), ("expireOldAfterHours", json!(2))],
        },
        Keyed {
            name: "createWebhookSource",
            input: json!({"kind": "CLERK", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "description": "D"}),
            others: vec![
                ("kind", json!("STRIPE")),
                ("secret", json!("whsec_plJ3nmyCDGBKInavdOK15jsl")),
                ("description", json!("E")),
            ],
        },
        Keyed {
            name: "rotateWebhookSourceSecret",
            input: json!({"id": sources[0], "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "expireOldAfterHours": 1}),
            others: vec![
                ("id", json!(sources[1])),
                ("secret", json!("whsec_plJ3nmyCDGBKInavdOK15jsl")),
                ("expireOldAfterHours", json!(2)),
            ],
        },
        Keyed {
            name: "inviteUser",
            input: json!({"partnerId": a, "email": "cy@example.com", "role": "MEMBER"}),
            others: vec![("partnerId", json!(b)), ("email", json!("di@example.com")), ("role", json!("OWNER"))],
        },
        Keyed {
            name: "revealPayoutDestination",
            input: json!({"payoutId": paid[0], "reason": "R"}),
            others: vec![("payoutId", json!(paid[1])), ("reason", json!("S"))],
        },
        Keyed { name: "resendInvitation", input: json!({"id": invitations[0]}), others: vec![("id", json!(invitations[1]))] },
        Keyed { name: "sendTestWebhook", input: json!({"id": hooks[0]}), others: vec![("id", json!(hooks[1]))] },
        Keyed {
            name: "createPartner",
            input: json!({"companyName": "C", "commissionRate": "0.2", "clerkOrgId": "org_c", "status": "PENDING"}),
            others: vec![
                ("companyName", json!("D")),
                ("commissionRate", json!("0.3")),
                ("clerkOrgId", json!("org_d")),
                ("status", json!("ACTIVE")),
            ],
        },
        Keyed {
            name: "setCommissionRule",
            input: json!({
                "partnerId": a, "currency": "USD", "kind": "TIERED", "tiers": [{"above": "0", "rate": "0.1"}], "cap": "5.00", "durationMonths": 12,
                "validFrom": "2027-01-01T00:00:00Z", "validTo": "2028-01-01T00:00:00Z",
            }),
            others: vec![
                ("partnerId", json!(b)),
                ("programmeId", json!("programme_01h455vb4pex5vsknk084sn02q")),
                ("currency", json!("EUR")),
                ("tiers", json!([{"above": "0", "rate": "0.2"}])),
                ("cap", json!("6.00")),
                ("durationMonths", json!(13)),
                ("validFrom", json!("2027-01-02T00:00:00Z")),
                ("validTo", json!("2028-01-02T00:00:00Z")),
                ("kind", json!({"kind": "PERCENTAGE", "rate": "0.1", "tiers": null})),
                ("rate", json!({"kind": "PERCENTAGE", "rate": "0.2", "tiers": null})),
                ("flatAmount", json!({"kind": "FLAT", "flatAmount": "1.00", "tiers": null})),
            ],
        },
        Keyed {
            name: "adjustWallet",
            input: json!({"userId": owner, "amount": "50.00", "currency": "USD", "reason": "Goodwill"}),
            others: vec![
                ("userId", json!(other)),
                ("amount", json!("51.00")),
                ("currency", json!("EUR")),
                ("reason", json!("Another")),
            ],
        },
        Keyed {
            name: "takeOutOfWallet",
            input: json!({"amount": "5.00", "currency": "USD"}),
            others: vec![("amount", json!("6.00")), ("currency", json!("EUR"))],
        },
        Keyed {
            name: "grantCredits",
            input: json!({"partnerId": a, "credits": 7, "reason": "Plan"}),
            others: vec![("partnerId", json!(b)), ("credits", json!(8)), ("reason", json!("Another"))],
        },
        Keyed {
            name: "assignCredits",
            input: json!({"memberId": ann, "credits": 3, "validDays": 30}),
            others: vec![("memberId", json!(bob)), ("credits", json!(4)), ("validDays", json!(31))],
        },
        Keyed {
            name: "reverseRedemption",
            input: json!({"redemptionId": redeemed[0], "reason": "R"}),
            others: vec![("redemptionId", redeemed[1].clone()), ("reason", json!("Another"))],
        },
        Keyed {
            name: "redeemCredit",
            input: json!({"memberId": ann, "count": 2}),
            others: vec![("memberId", json!(bob)), ("count", json!(3)), ("email", json!("ann@example.com"))],
        },
    ]
}

/// The input's type, as the schema says it, with the fields of each mutation's input that has a key.
async fn mutations_with_keys(world: &World) -> Vec<(String, BTreeSet<String>)> {
    let query = "{ __schema { mutationType { fields { name args { type { ofType { name } } } } } } }";
    let answer = world.operator(query, json!({})).await;
    let mut found = Vec::new();
    for field in answer.data()["__schema"]["mutationType"]["fields"].as_array().expect("fields") {
        let query = "query ($name: String!) { __type(name: $name) { inputFields { name } } }";
        let answer = world.operator(query, json!({"name": field["args"][0]["type"]["ofType"]["name"]})).await;
        let inputs = answer.data()["__type"]["inputFields"].as_array().expect("fields").clone();
        let names: BTreeSet<String> = inputs.iter().filter_map(|input| input["name"].as_str().map(str::to_owned)).collect();
        if names.contains("idempotencyKey") {
            found.push((field["name"].as_str().expect("a name").to_owned(), names));
        }
    }
    found
}

/// For every mutation that takes a key: sent again it is a replay, and with any one field otherwise, or left out, it is refused and changes
/// nothing. A file of members is compared row by row: see the tests of imports.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_compares_everything() {
    let world = World::new().await;
    let cases = keyed(&world).await;
    let mut known = mutations_with_keys(&world).await;
    known.retain(|(name, _)| name != "importMembers");
    known.sort_unstable();
    let mut names: Vec<&str> = cases.iter().map(|case| case.name).collect();
    names.sort_unstable();
    assert_eq!(known.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), names, "a case for each mutation with a key");
    for Keyed { name, mut input, others } in cases {
        let fields = &known.iter().find(|(known, _)| known == name).expect("a mutation").1;
        // Where all payouts go on is no part of what is asked for; another partner's key for a lead or a link is another key.
        let apart = |field: &str| {
            matches!((name, field), ("createPayoutBatches", "fromPartnerId") | ("createLead" | "createLink", "partnerId"))
        };
        for field in fields.iter().filter(|field| *field != "idempotencyKey" && !apart(field)) {
            assert!(others.iter().any(|(other, _)| other == field), "{name} is tried with another {field}");
        }
        let kind = format!("{}{}Input", name[..1].to_uppercase(), &name[1..]);
        let query =
            format!("mutation ($input: {kind}!) {{ {name}(input: $input) {{ replayed userErrors {{ code message field }} }} }}");
        let send = async |input: &Value| {
            let variables = json!({"input": input});
            let answer = match name {
                "assignCredits" | "takeOutOfWallet" => world.owner_a(&query, variables).await,
                "redeemCredit" | "reverseRedemption" => world.service(&query, variables).await,
                _ => world.operator(&query, variables).await,
            };
            answer.data()[name].clone()
        };
        input["idempotencyKey"] = json!("k");
        let rows = "SELECT (SELECT count(*) FROM transfers) + (SELECT count(*) FROM partner_payouts) + (SELECT count(*) FROM partner_leads)
            + (SELECT count(*) FROM partners) + (SELECT count(*) FROM partner_commissions)";
        assert_eq!(send(&input).await, json!({"replayed": false, "userErrors": []}), "{name}");
        let before = world.number(rows).await;
        assert_eq!(send(&input).await, json!({"replayed": true, "userErrors": []}), "{name}");
        for (field, other) in others {
            let mut tries = vec![{
                let mut changed = input.clone();
                // A change that needs others besides is given whole.
                match &other {
                    Value::Object(whole) => changed.as_object_mut().expect("an object").extend(whole.clone()),
                    other => changed[field] = other.clone(),
                }
                if field == "email" {
                    changed.as_object_mut().expect("an object").remove("memberId");
                }
                changed
            }];
            // Left out, where that is good too.
            let optional = [
                "payoutDate",
                "notes",
                "expectedFingerprint",
                "previewedAt",
                "currency",
                "clientPhone",
                "dealValue",
                "clerkOrgId",
                "commissionRate",
                "validTo",
            ];
            if optional.contains(&field) && name != "setCommissionRule" {
                let mut without = input.clone();
                without.as_object_mut().expect("an object").remove(field);
                tries.push(without);
            }
            for changed in tries {
                if changed.get("currency").is_none() && matches!(name, "createPayoutBatch" | "adjustWallet" | "takeOutOfWallet") {
                    // The tenant's default is the same currency.
                    assert_eq!(send(&changed).await["replayed"], true);
                    continue;
                }
                let answer = send(&changed).await;
                assert_eq!(answer["userErrors"][0]["code"], "KEY_REUSED", "{name}, {field}: {answer}");
            }
        }
        assert_eq!(world.number(rows).await, before, "{name}");
    }
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// What differs is said, with what was said first.
#[tokio::test(flavor = "multi_thread")]
async fn what_differs_is_said() {
    let world = World::new().await;
    world.grant(world.a, 5, Some("k")).await;
    let query = "mutation ($id: ID!) { grantCredits(input: { partnerId: $id, credits: 5, reason: \"Another\", idempotencyKey: \"k\" }) { grant { id } userErrors { message field } } }";
    let refused = world.operator(query, json!({"id": world.a.to_string()})).await.data()["grantCredits"].clone();
    let error = &refused["userErrors"][0];
    assert_eq!(error["field"], json!(["input", "reason"]));
    let message = error["message"].as_str().expect("a message");
    assert!(message.starts_with("The key was used before, with `reason` “Plan”, for grant_"), "{message}");
    // One of before requests were kept is compared by its columns.
    world.sql("UPDATE credit_grants SET request = NULL").await;
    let again = world.operator(query, json!({"id": world.a.to_string()})).await.data()["grantCredits"].clone();
    assert_eq!(again["userErrors"][0]["field"], json!(["input", "reason"]));
    assert_eq!(world.grant(world.a, 5, Some("k")).await["replayed"], true);
}
