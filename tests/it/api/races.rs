//! Two changes at the same moment, each on what the other needs: neither waits for the other in a circle.

use std::{sync::Arc, time::Duration};

use diesel_async::SimpleAsyncConnection;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::collisions::retried;
use crate::support::{World, sign, tokens::good_claims, world::ACME};

/// A partner's new organisation and leads that are being sent to it do not wait for each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_organisation_changes_while_leads_are_sent() {
    let world = Arc::new(World::with_pool(8).await);
    let send = "mutation ($id: ID!) { createLead(input: { idempotencyKey: \"FRESH_KEY\", partnerId: $id, clientName: \"C\", clientEmail: \"c@example.com\", service: \"S\" }) { lead { id } userErrors { message } } }";
    let rename = "mutation ($id: ID!, $org: String!) { updatePartner(input: { id: $id, clerkOrgId: $org }) { partner { id } userErrors { message } } }";
    let tasks = (0..8).map(|task: usize| {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            for turn in 0..25 {
                let (query, org) = if task < 5 { (send, Value::Null) } else { (rename, json!(format!("org_{task}_{turn}"))) };
                let mut variables = json!({"id": world.a.to_string()});
                if task >= 5 {
                    variables["org"] = org;
                }
                world.operator(query, variables).await.data();
            }
        })
    });
    for task in join_all(tasks).await {
        task.expect("a task");
    }
    assert_eq!(retried(&world), 0);
    assert_eq!(world.number("SELECT total_referrals FROM partners WHERE clerk_org_id LIKE 'org\\_%\\_24'").await, 125);
}

/// The first sign-in of somebody whom two partners have invited, and the use of their credits by address, do not wait for each other,
/// whichever partner's member is the older.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_first_sign_in_meets_a_redemption() {
    let world = Arc::new(World::with_pool(8).await);
    world.grant(world.a, 1_000, None).await;
    let add = "mutation ($email: EmailAddress!) { addMember(input: { email: $email, firstName: \"F\" }) { member { id } } }";
    for number in 0..40 {
        let email = format!("p{number}@example.com");
        let mut both = ["owner_a", "owner_b"];
        if number % 2 == 0 {
            both.reverse();
        }
        for owner in both {
            let added = world.acme(owner, add, json!({"email": email})).await;
            if owner == "owner_a" {
                world.assign(added.data()["addMember"]["member"]["id"].as_str().expect("an id"), 5, 30, None).await;
            }
        }
        let sign_in = async {
            let mut claims = good_claims(&format!("p{number}"), ACME);
            claims["email"] = json!(email);
            claims["email_verified"] = json!(true);
            world.run(&sign(&claims), "{ me { user { id } } }", json!({})).await.data();
        };
        let redemptions = join_all((0..3).map(|turn| {
            let (world, email) = (&world, &email);
            async move { world.redeem(email, 1, &format!("r{number}_{turn}")).await }
        }));
        let ((), redeemed) = futures_util::join!(sign_in, redemptions);
        assert!(redeemed.iter().all(|payload| payload["userErrors"] == json!([])), "{redeemed:?}");
    }
    assert_eq!(retried(&world), 0);
    assert_eq!(world.number("SELECT count(*) FROM partner_members WHERE status = 'active'").await, 80);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// A transaction that PostgreSQL aborts because of another has done nothing, and is run again: the caller is answered as if nothing had
/// happened, and it is counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_overtaken_is_run_again() {
    let world = Arc::new(World::new().await);
    world.grant(world.a, 100, None).await;
    let member = world.member("ann@example.com").await;
    let mut other = world.owner().await;
    // The other one never finds the circle itself.
    other
        .batch_execute("SET deadlock_timeout = '60s'; BEGIN; SELECT FROM partner_members FOR UPDATE")
        .await
        .expect("the member is locked");
    let assigning = {
        let (world, member) = (Arc::clone(&world), member.clone());
        tokio::spawn(async move { world.assign(&member, 10, 30, Some("k")).await })
    };
    world.until_locked(1).await;
    // Held by the assignment, which waits for the member.
    other.batch_execute("UPDATE accounts SET balance = balance WHERE kind = 'available'; COMMIT").await.expect("it goes on");
    let assigned = tokio::time::timeout(Duration::from_secs(20), assigning).await.expect("in time").expect("a task");
    assert_eq!((&assigned["userErrors"], &assigned["replayed"]), (&json!([]), &json!(false)));
    // On a machine that is busy it may be overtaken once more.
    assert!(retried(&world) >= 1, "it is counted");
    assert_eq!(world.credits(world.a).await, [90, 10, 0, 0]);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// Credits are not granted to a partner that is being closed at that moment, nor assigned.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_closing_partner_is_given_nothing() {
    let world = Arc::new(World::new().await);
    world.grant(world.a, 100, None).await;
    let member = world.member("ann@example.com").await;
    let partner = world.a.uuid();
    let mut closing = world.owner().await;
    let close = format!(
        "BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('{partner}', 0)); SELECT lock_partner_credits('{}', '{partner}');
         UPDATE partners SET status = 'closed' WHERE id = '{partner}'",
        world.acme.uuid()
    );
    closing.batch_execute(&close).await.expect("nearly closed");
    let granting = {
        let world = Arc::clone(&world);
        tokio::spawn(async move { world.grant(world.a, 50, None).await })
    };
    let assigning = {
        let (world, member) = (Arc::clone(&world), member.clone());
        tokio::spawn(async move { world.assign(&member, 10, 30, None).await })
    };
    world.until_locked(2).await;
    closing.batch_execute("COMMIT").await.expect("closed");
    assert_eq!(granting.await.expect("a task")["userErrors"][0]["code"], "PARTNER_INACTIVE");
    assert_eq!(assigning.await.expect("a task")["userErrors"][0]["code"], "PARTNER_INACTIVE");
    assert_eq!(world.credits(world.a).await, [100, 0, 0, 0]);
    // And the closing waits for the assignments.
    world.sql(&format!("UPDATE partners SET status = 'active' WHERE id = '{partner}'")).await;
    let mut holder = world.owner().await;
    holder
        .batch_execute(&format!("BEGIN; SELECT lock_partner_credits('{}', '{partner}')", world.acme.uuid()))
        .await
        .expect("held");
    let closing = {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            let query = "mutation ($id: ID!) { changePartnerStatus(input: { id: $id, status: CLOSED }) { partner { status } userErrors { code } } }";
            world.operator(query, json!({"id": world.a.to_string()})).await
        })
    };
    world.until_locked(1).await;
    holder.batch_execute("COMMIT").await.expect("let go");
    assert_eq!(closing.await.expect("a task").data()["changePartnerStatus"]["partner"]["status"], "CLOSED");
}
