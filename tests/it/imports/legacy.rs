//! The traps of link-based systems: each is reported by its code, nothing is guessed, and nothing is dropped.

use super::*;

const DAY: &str = "2025-03-01T10:00:00Z";

/// A folder with the rows that every test needs: partner, user, link.
struct Legacy(binary::Folder, Vec<(&'static str, Vec<Value>)>);

impl Legacy {
    fn new() -> Self {
        Self(binary::Folder::new(), Vec::new())
            .with(
                "partners",
                &[json!({"id": "pn_1", "name": "One", "email": "one@example.com"}), json!({"id": "pn_2", "name": "Two"})],
            )
            .with(
                "users",
                &[
                    json!({"id": "u_1", "name": "Ann", "email": "ann@example.com", "createdAt": "2020-01-01T00:00:00Z"}),
                    json!({"id": "u_2", "name": "Bo", "email": "bo@example.com"}),
                ],
            )
            .with(
                "partner_users",
                &[
                    json!({"userId": "u_1", "partnerId": "pn_1", "role": "owner"}),
                    json!({"userId": "u_2", "partnerId": "pn_2", "role": "owner"}),
                ],
            )
            .with("links", &[link("l_1", json!({"userId": "u_1"}))])
            .with("commissions", &[commission("cm_1", json!({}))])
    }

    /// More rows of a file.
    fn with(mut self, file: &'static str, rows: &[Value]) -> Self {
        match self.1.iter_mut().find(|(name, _)| *name == file) {
            Some((_, known)) => known.extend_from_slice(rows),
            None => self.1.push((file, rows.to_vec())),
        }
        self
    }

    fn written(&self) -> &Path {
        std::fs::create_dir_all(&self.0.0).expect("a folder");
        for (file, rows) in &self.1 {
            lines(&self.0.0, file, rows);
        }
        &self.0.0
    }

    async fn import(&self, world: &World) -> (Outcome, Vec<KeptFinding>) {
        Given::new("legacy", self.written()).run(world, world.acme).await.expect("an import")
    }
}

fn merged(mut row: Value, more: Value) -> Value {
    row.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    row
}

fn link(id: &str, more: Value) -> Value {
    merged(
        json!({"id": id, "userId": null, "url": format!("https://shop.com/{id}"), "key": format!("key-{id}"), "domain": "go.example", "createdAt": DAY}),
        more,
    )
}

fn commission(id: &str, more: Value) -> Value {
    merged(
        json!({"id": id, "linkId": "l_1", "partnerId": "pn_1", "earnings": 1_250, "amount": 12_500, "currency": "usd", "status": "pending", "createdAt": DAY, "customerId": null}),
        more,
    )
}

/// A partner's id that is NULL, empty, blank or nobody's is said so, and the partner is found by the link, the payout or the customer; where nothing says it, the
/// commission waits for a decision, which brings it in.
#[tokio::test(flavor = "multi_thread")]
async fn partners_that_are_missing() {
    let world = World::new().await;
    let legacy = Legacy::new()
        .with("payouts", &[json!({"id": "po_1", "partnerId": "pn_2", "status": "completed", "currency": "USD", "paidAt": DAY})])
        .with("customers", &[json!({"id": "cus_1", "partnerId": "pn_2"})])
        .with(
            "commissions",
            &[
                commission("null", json!({"partnerId": null})),
                commission("empty", json!({"partnerId": ""})),
                commission("blank", json!({"partnerId": "  "})),
                commission("nobody", json!({"partnerId": "pn_9"})),
                commission("by_payout", json!({"partnerId": "", "linkId": "l_gone", "status": "paid", "payoutId": "po_1"})),
                commission("by_customer", json!({"partnerId": "", "linkId": "", "customerId": "cus_1"})),
                commission("lost", json!({"partnerId": "", "linkId": ""})),
            ],
        );
    let (outcome, found) = legacy.import(&world).await;
    assert_eq!(codes(&found, "null"), ["MISSING_PARTNER"]);
    assert_eq!(codes(&found, "empty"), ["EMPTY_PARTNER"]);
    assert_eq!(codes(&found, "blank"), ["EMPTY_PARTNER"]);
    assert_eq!(codes(&found, "nobody"), ["DANGLING_PARTNER"]);
    assert_eq!(codes(&found, "by_payout"), ["EMPTY_PARTNER", "LINK_GONE"]);
    assert_eq!(codes(&found, "by_customer"), ["EMPTY_PARTNER"]);
    assert_eq!(codes(&found, "lost"), ["COMMISSION_UNRESOLVED", "EMPTY_PARTNER"]);
    assert_eq!(inside(&outcome, "commission"), 7);
    let of = |id: &str| {
        format!(
            "SELECT company_name FROM partners p JOIN import_rows r ON r.partner_id = p.id WHERE r.kind = 'commission' AND r.source_id = '{id}'"
        )
    };
    for (id, partner) in [("null", "One"), ("nobody", "One"), ("by_payout", "Two"), ("by_customer", "Two")] {
        assert_eq!(world.text(&of(id)).await, partner, "{id}");
    }
    let decided = legacy.0.0.join("decided");
    std::fs::write(&decided, format!("{}\n", json!({"kind": "commission", "id": "lost", "set": {"partnerId": "pn_2"}})))
        .expect("a file");
    let given = Given { decisions: Some(&decided), ..Given::new("legacy", legacy.written()) };
    let (outcome, _) = given.run(&world, world.acme).await.expect("an import");
    assert_eq!((inside(&outcome, "commission"), world.text(&of("lost")).await.as_str()), (8, "Two"));
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// People without partner, name or address, with several partners, with a default that is not theirs, with one address.
#[tokio::test(flavor = "multi_thread")]
async fn people() {
    let world = World::new().await;
    let legacy = Legacy::new()
        .with(
            "users",
            &[
                json!({"id": "alone", "email": "alone@example.com", "createdAt": DAY}),
                json!({"id": "silent", "name": "Silent"}),
                json!({"id": "twin", "name": "Twin", "email": " ANN@example.com "}),
                json!({"id": "jo_1", "name": "Jo", "email": "jo@bücher.example", "createdAt": DAY}),
                json!({"id": "jo_2", "name": "Jo", "email": "jo@xn--bcher-kva.example"}),
                json!({"id": "busy", "name": "Busy", "email": "busy@example.com", "defaultPartnerId": "pn_2"}),
                json!({"id": "stray", "name": "Stray", "email": "stray@example.com", "defaultPartnerId": "pn_1"}),
            ],
        )
        .with(
            "partner_users",
            &[
                json!({"userId": "busy", "partnerId": "pn_1", "role": "member"}),
                json!({"userId": "busy", "partnerId": "pn_2", "role": "member"}),
                json!({"userId": "stray", "partnerId": "pn_2", "role": "member"}),
                json!({"userId": "nobody", "partnerId": "pn_2", "role": "member"}),
            ],
        );
    let (_, found) = legacy.import(&world).await;
    assert_eq!(codes(&found, "alone"), ["USER_WITHOUT_NAME", "USER_WITHOUT_PARTNER"]);
    assert_eq!(codes(&found, "silent"), ["USER_WITHOUT_EMAIL", "USER_WITHOUT_PARTNER"]);
    assert_eq!(codes(&found, "twin"), ["DUPLICATE_EMAIL", "USER_WITHOUT_PARTNER"]);
    assert_eq!(codes(&found, "jo_2"), ["DUPLICATE_EMAIL", "USER_WITHOUT_PARTNER"]);
    assert_eq!(codes(&found, "busy"), ["SEVERAL_PARTNERS"]);
    assert_eq!(codes(&found, "stray"), ["DEFAULT_NOT_THEIRS"]);
    assert_eq!(codes(&found, "nobody/pn_2"), ["MEMBERSHIP_DANGLING"]);
    let acts_for = |id: &str| {
        format!(
            "SELECT company_name FROM partners p JOIN import_rows r ON r.partner_id = p.id WHERE r.kind = 'user' AND r.source_id = '{id}'"
        )
    };
    for (id, partner) in [("alone", "alone"), ("silent", "Silent"), ("busy", "Two"), ("stray", "Two")] {
        assert_eq!(world.text(&acts_for(id)).await, partner, "{id}");
    }
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// Links without user, with a user who is gone, with an address that has no domain, with a key that is taken.
#[tokio::test(flavor = "multi_thread")]
async fn links() {
    let world = World::new().await;
    let legacy = Legacy::new().with(
        "links",
        &[
            link("orphan", json!({})),
            link("gone", json!({"userId": "u_9"})),
            link("empty", json!({"userId": "u_1", "url": ""})),
            link("local", json!({"userId": "u_1", "url": "http://localhost/x"})),
            link("number", json!({"userId": "u_1", "url": "http://127.0.0.1/x"})),
            link("taken", json!({"userId": "u_2", "key": "KEY-l_1"})),
            link("path", json!({"userId": "u_2", "key": "a/b"})),
        ],
    );
    let (outcome, found) = legacy.import(&world).await;
    assert_eq!(codes(&found, "orphan"), ["LINK_WITHOUT_OWNER"]);
    assert_eq!(codes(&found, "gone"), ["USER_GONE"]);
    for id in ["empty", "local", "number"] {
        assert_eq!(codes(&found, id), ["URL_WITHOUT_DOMAIN"], "{id}");
    }
    assert_eq!((codes(&found, "taken"), codes(&found, "path")), (vec!["KEY_REPLACED"], vec!["KEY_REPLACED"]));
    assert_eq!(inside(&outcome, "link"), 4);
    assert_eq!(world.text("SELECT status FROM partners WHERE company_name = 'User u_9'").await, "closed");
    let held = Given { orphans: Orphans::Hold, ..Given::new("legacy", legacy.written()) };
    let (outcome, found) = held.run(&world, world.acme).await.expect("an import");
    assert_eq!((inside(&outcome, "link"), codes(&found, "orphan")), (5, vec!["LINK_HELD"]));
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// Commissions whose link is another partner's, in payouts of others, of other currencies, of a sum that is not theirs; paid ones of which no payout is known.
#[tokio::test(flavor = "multi_thread")]
async fn payouts() {
    let world = World::new().await;
    let payout = |id: &str, partner: &str, more| {
        merged(json!({"id": id, "partnerId": partner, "status": "completed", "currency": "USD", "paidAt": DAY}), more)
    };
    let paid = |id: &str, payout: &str, more| commission(id, merged(json!({"status": "paid", "payoutId": payout}), more));
    let legacy = Legacy::new()
        .with(
            "payouts",
            &[
                payout("po_1", "pn_1", json!({"amount": 9_999})),
                payout("po_2", "pn_2", json!({})),
                payout("po_3", "pn_1", json!({"currency": "EUR"})),
                payout("po_4", "pn_1", json!({"status": "processing"})),
                payout("po_5", "pn_1", json!({"status": "failed"})),
                payout("po_6", "pn_1", json!({})),
            ],
        )
        .with(
            "commissions",
            &[
                paid("whole", "po_1", json!({})),
                paid("other", "po_2", json!({})),
                paid("euro", "po_3", json!({})),
                paid("soon", "po_4", json!({})),
                commission("on_its_way", json!({"status": "processed", "payoutId": "po_4"})),
                commission("free", json!({"status": "processed", "payoutId": "po_5"})),
                paid("alone", "", json!({})),
                paid("lost", "po_99", json!({"createdAt": "2025-04-01T00:00:00Z"})),
                commission("theirs", json!({"partnerId": "pn_2"})),
            ],
        );
    let (outcome, found) = legacy.import(&world).await;
    assert_eq!(codes(&found, "other"), ["PAYOUT_OF_ANOTHER_PARTNER"]);
    assert_eq!(codes(&found, "euro"), ["PAYOUT_IN_ANOTHER_CURRENCY"]);
    assert_eq!(codes(&found, "soon"), ["PAYOUT_STATUS_DIFFERS"]);
    assert_eq!(codes(&found, "lost"), ["PAYOUT_GONE"]);
    assert_eq!(codes(&found, "theirs"), ["PARTNER_DIFFERS_FROM_LINK"]);
    assert_eq!(
        (codes(&found, "po_1"), codes(&found, "po_5"), codes(&found, "po_6")),
        (vec!["PAYOUT_DIFFERS"], vec!["PAYOUT_FAILED"], vec!["PAYOUT_WITHOUT_COMMISSIONS"])
    );
    assert_eq!(inside(&outcome, "commission"), 7);
    let balance = |kind: &str| format!("SELECT (sum(balance) * 100)::bigint FROM accounts WHERE kind = '{kind}'");
    assert_eq!(world.number(&balance("paid")).await, 3 * 1_250);
    assert_eq!(world.number(&balance("in_payout")).await, 1_250);
    assert_eq!(world.number(&balance("payable")).await, 1_250);
    assert_eq!(world.number(&balance("pending")).await, 2 * 1_250);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// Currencies in any case, times in seconds and in milliseconds, amounts that are no whole units, rates of which it is not known what they are.
#[tokio::test(flavor = "multi_thread")]
async fn cells() {
    let world = World::new().await;
    let legacy = Legacy::new()
        .with("programs", &[json!({"id": "prog", "domain": "shop.com"}), json!({"id": "none", "name": "No domain"})])
        .with(
            "rewards",
            &[
                json!({"id": "ten", "programId": "prog", "type": "percentage", "amount": 10}),
                json!({"id": "thousand", "programId": "prog", "type": "percentage", "amount": 1_000}),
            ],
        )
        .with(
            "commissions",
            &[
                commission("upper", json!({"currency": "USD"})),
                commission("yen", json!({"currency": "Jpy"})),
                commission("seconds", json!({"createdAt": 1_740_823_200})),
                commission("milliseconds", json!({"createdAt": 1_740_823_200_000_i64})),
                commission("zoneless", json!({"createdAt": "2025-03-01 10:00:00"})),
                commission("early", json!({"createdAt": "1999-12-31T23:59:59Z"})),
                commission("fraction", json!({"earnings": "12.5"})),
                commission("unknown", json!({"currency": "XXQ"})),
                commission("none", json!({"currency": ""})),
                commission("odd", json!({"status": "whatever"})),
                commission("upper", json!({"earnings": 7})),
            ],
        );
    let (outcome, found) = legacy.import(&world).await;
    for (id, code) in [
        ("zoneless", "TIME_WITHOUT_ZONE"),
        ("early", "TIME_OUT_OF_RANGE"),
        ("fraction", "AMOUNT_INVALID"),
        ("unknown", "CURRENCY_UNKNOWN"),
        ("none", "CURRENCY_MISSING"),
        ("odd", "STATUS_UNKNOWN"),
        ("thousand", "RATE_TOO_HIGH"),
    ] {
        assert!(codes(&found, id).contains(&code), "{id}: {:?}", codes(&found, id));
    }
    assert_eq!(codes(&found, "ten"), [""; 0]);
    assert!(found.iter().any(|finding| finding.code == "DUPLICATE_ID" && finding.value.as_deref() == Some("upper")));
    assert!(found.iter().any(|finding| finding.code == "PROGRAMME_WITHOUT_DOMAIN" && finding.source_id == "none"));
    let same = "SELECT count(DISTINCT event_date) FROM partner_commission_events e JOIN import_rows r ON r.target_id = e.id WHERE r.source_id IN ('seconds', 'milliseconds')";
    assert_eq!(world.number(same).await, 1);
    assert_eq!(here(&outcome)[&("JPY".to_owned(), "pending".to_owned())], (1, Decimal::from(1_250)));
    let mut zoned = Given::new("legacy", legacy.written());
    zoned.options.zone = Some("Europe/Berlin".parse().expect("a zone"));
    zoned.options.rate_unit = Some(RateUnit::BasisPoints);
    let (outcome, found) = zoned.run(&world, world.acme).await.expect("an import");
    assert_eq!((inside(&outcome, "rule"), codes(&found, "zoneless")), (2, vec![]));
    // The second row of an id stays out, however often.
    assert!(
        found.iter().any(|finding| finding.code == "DUPLICATE_ID") && found.iter().all(|finding| finding.code != "ROW_CHANGED")
    );
    assert_eq!(inside(&outcome, "commission"), 6);
    assert_eq!(world.text("SELECT e.event_date::timestamptz AT TIME ZONE 'UTC' || '' FROM partner_commission_events e JOIN import_rows r ON r.target_id = e.id WHERE r.source_id = 'zoneless'").await, "2025-03-01 09:00:00");
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// A commission that was brought along keeps its date, amount and status, says whence it came, and is taken back when its payment is refunded; a payment that is
/// reported again earns nothing twice; the customer's next one earns for the partner.
#[tokio::test(flavor = "multi_thread")]
async fn history_goes_on() {
    let world = World::new().await;
    let legacy = Legacy::new()
        .with("commissions", &[commission("sale", json!({"status": "processed", "customerId": "cus_9", "invoiceId": "inv_9"}))]);
    legacy.import(&world).await;
    let query = "{ commissions(first: 10) { nodes { amount { amount currency } eventDate status eventType explanation { source sentence } partner { companyName } } } }";
    let answer = world.operator(query, json!({})).await;
    let nodes = answer.data()["commissions"]["nodes"].as_array().expect("rows").clone();
    let sale = nodes.iter().find(|node| node["eventType"] == "INVOICE_PAYMENT").expect("the sale");
    assert_eq!(
        (&sale["explanation"]["source"], &sale["status"], &sale["amount"]["amount"]),
        (&json!("IMPORTED"), &json!("APPROVED"), &json!("12.50"))
    );
    let sentence = sale["explanation"]["sentence"].as_str().expect("a sentence");
    assert_eq!(sentence, "12.50 USD, as another system calculated it. Brought along from legacy: sale, processed there.");
    let other = nodes.iter().find(|node| node["eventType"] == "IMPORTED").expect("the other");
    assert_eq!(other["status"], "PENDING");
    world.pay("inv_9", "cus_9", "125.00", DAY).await;
    assert_eq!(world.number("SELECT count(*) FROM partner_commission_events").await, 2);
    world.refund("inv_9", "125.00").await;
    assert_eq!(world.number("SELECT (sum(amount) * 100)::bigint FROM partner_commission_events WHERE event_type IN ('invoice_payment', 'refund')").await, 0);
    let next = world.pay("inv_10", "cus_9", "100.00", "2026-06-01T00:00:00Z").await;
    assert_eq!(next["commission"]["partner"]["companyName"].as_str().unwrap_or("One"), "One");
    assert_eq!(
        world
            .number(
                "SELECT count(*) FROM partner_commission_events WHERE source <> 'imported' AND event_type = 'invoice_payment'"
            )
            .await,
        1
    );
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// Who signs in first with the verified address of a person who was imported is that person; an address that two have is nobody's.
#[tokio::test(flavor = "multi_thread")]
async fn people_sign_in() {
    let world = World::new().await;
    Legacy::new().import(&world).await;
    let verified = |subject: &str, email: &str| {
        let mut claims = crate::support::tokens::good_claims(subject, "acme");
        claims["email"] = json!(email);
        claims["email_verified"] = json!(true);
        crate::support::tokens::sign(&claims)
    };
    let answer = world.run(&verified("user_new_ann", "Ann@example.com"), "{ me { partner { companyName } } }", json!({})).await;
    assert_eq!(answer.data()["me"]["partner"]["companyName"], "One");
    assert_eq!(world.text("SELECT clerk_user_id FROM users WHERE email ILIKE 'ann@example.com'").await, "user_new_ann");
    let answer = world.run(&verified("user_other", "ann@example.com"), "{ me { partner { companyName } } }", json!({})).await;
    assert_ne!(answer.body["data"]["me"]["partner"]["companyName"], "One");
}

/// Clicks and sign-ups come by day, or all on the day of the link where no days are known.
#[tokio::test(flavor = "multi_thread")]
async fn clicks() {
    let world = World::new().await;
    let days = [
        json!({"linkId": "l_1", "date": "2025-03-02", "clicks": 7, "leads": 2}),
        json!({"linkId": "l_1", "date": "2025-03-03", "clicks": 5, "leads": 0}),
        json!({"linkId": "l_9", "date": "2025-03-03", "clicks": 1}),
    ];
    let (_, found) = Legacy::new().with("link_days", &days).import(&world).await;
    assert_eq!(codes(&found, "l_9/2025-03-03"), ["DAY_WITHOUT_LINK"]);
    let query = "{ links(first: 1) { nodes { figures { clicks signUps } } } }";
    let answer = world.operator(query, json!({})).await;
    assert_eq!(answer.data()["links"]["nodes"][0]["figures"], json!({"clicks": 12, "signUps": 2}));
    assert_eq!(world.broken_rules().await, [""; 0]);
}
