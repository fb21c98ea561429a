//! Credits against a model: any operations in any order, repeated, by many at once, end where the model says, and in books that hold.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use chrono::TimeDelta;
use futures_util::future::join_all;
use partner_portal::jobs;
use serde_json::{Value, json};

use crate::support::World;

const TASKS: u64 = 16;
const OPERATIONS: usize = 50;
const KEYS: u64 = 400;

/// What has been acknowledged, by key: once each, however often it was repeated.
#[derive(Default)]
struct Model {
    granted: HashMap<u64, i64>,
    assigned: HashMap<u64, i64>,
    redeemed: HashMap<u64, i64>,
    revoked: i64,
}

fn known(model: &Mutex<Model>, change: impl FnOnce(&mut Model)) {
    change(&mut model.lock().expect("the model"));
}

/// Whether it was done; or else refused for want of credits, or of a member who may have them.
fn done(payload: &Value) -> bool {
    let refused = payload["userErrors"][0]["code"].as_str();
    assert!(matches!(refused, None | Some("INSUFFICIENT_CREDITS" | "MEMBER_INACTIVE")), "{payload}");
    refused.is_none()
}

async fn operation(world: &World, random: &mut fastrand::Rng, members: &[String], model: &Mutex<Model>) {
    let key = random.u64(..KEYS);
    // What a key stands for is always the same.
    let (credits, member) =
        (i64::try_from(key % 23 + 1).expect("a number"), &members[usize::try_from(key).expect("few") % members.len()]);
    match random.u8(..20) {
        0..3 => {
            let credits = if key.is_multiple_of(5) { -credits } else { credits * 4 };
            if done(&world.grant(world.a, credits, Some(&format!("g{key}"))).await) {
                known(model, |model| _ = model.granted.insert(key, credits));
            }
        }
        3..9 => {
            let days = i64::try_from(key % 3 * 30 + 1).expect("a number");
            if done(&world.assign(member, credits, days, Some(&format!("a{key}"))).await) {
                known(model, |model| _ = model.assigned.insert(key, credits));
            }
        }
        9..15 => {
            let credits = credits % 6 + 1;
            if done(&world.redeem(member, credits, &format!("r{key}")).await) {
                known(model, |model| _ = model.redeemed.insert(key, credits));
            }
        }
        15..17 => {
            let list = "{ creditAllocations(first: 30, filter: { usable: true }) { nodes { id } } }";
            let found = world.owner_a(list, json!({})).await.data()["creditAllocations"]["nodes"].clone();
            if let Some(row) = random.choice(found.as_array().expect("rows")) {
                let revoked = world.revoke(&row["id"]).await["revoked"].as_i64().expect("a number");
                known(model, |model| model.revoked += revoked);
            }
        }
        17 => {
            let mutation = "mutation ($id: ID!) { a: deactivateMember(input: { id: $id }) { revoked } b: reactivateMember(input: { id: $id }) { member { id } } }";
            let revoked = world.owner_a(mutation, json!({"id": member})).await.data()["a"]["revoked"].as_i64().expect("a number");
            known(model, |model| model.revoked += revoked);
        }
        18 => {
            let mutation = "mutation ($id: ID!, $email: EmailAddress!) { updateMember(input: { id: $id, email: $email }) { userErrors { code } } }";
            let email = format!("{key}_{}@example.com", random.u64(..));
            assert_eq!(
                world.owner_a(mutation, json!({"id": member, "email": email})).await.data()["updateMember"]["userErrors"],
                json!([])
            );
        }
        _ => {
            let csv = format!("email,first name,credits\nimported{key}@example.com,I,{credits}\n");
            let report = world.import(&csv, json!({})).await["import"].clone();
            let assigned = report["creditsAssigned"].as_i64().expect("a number");
            assert!(report["failed"] == 0 || report["rows"][0]["code"] == "INSUFFICIENT_CREDITS", "{report}");
            if assigned > 0 {
                known(model, |model| assert_eq!(model.assigned.insert(KEYS + key, assigned), None));
            }
        }
    }
}

/// Whatever the order and however often: the books hold, and say what the model says; then everything expires, and they still do.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn random_operations_agree_with_the_model() {
    let world = Arc::new(World::with_pool(6).await);
    world.grant(world.a, 300, None).await;
    let members: Vec<String> = join_all((0..6).map(|number| {
        let world = Arc::clone(&world);
        async move { world.member(&format!("m{number}@example.com")).await }
    }))
    .await;
    let (model, members) = (Arc::new(Mutex::new(Model::default())), Arc::new(members));
    let tasks = (0..TASKS).map(|task| {
        let (world, model, members) = (Arc::clone(&world), Arc::clone(&model), Arc::clone(&members));
        tokio::spawn(async move {
            let mut random = fastrand::Rng::with_seed(task);
            for _ in 0..OPERATIONS {
                operation(&world, &mut random, &members, &model).await;
            }
        })
    });
    for task in join_all(tasks).await {
        task.expect("a task");
    }
    let (granted, assigned, redeemed, revoked) = {
        let model = model.lock().expect("the model");
        let sum = |of: &HashMap<u64, i64>| of.values().sum::<i64>();
        (300 + sum(&model.granted), sum(&model.assigned), sum(&model.redeemed), model.revoked)
    };
    assert!(assigned > 200 && redeemed > 50 && revoked > 50, "the operations were of all kinds: {assigned} {redeemed} {revoked}");
    let left = assigned - revoked - redeemed;
    assert_eq!(world.credits(world.a).await, [granted - assigned + revoked, left, redeemed, 0]);
    assert_eq!(world.broken_rules().await, [""; 0]);

    world.app.clock.advance(TimeDelta::days(100));
    let runs = join_all((0..4).map(|_| jobs::run(&world.app.pool, &world.app.clock))).await;
    let expired: usize = runs.into_iter().filter_map(|run| run.expect("maintenance")).map(|done| done.expired).sum();
    assert_eq!(i64::try_from(expired), Ok(left));
    assert_eq!(world.number("SELECT count(*) FROM partner_credits WHERE status = 'available'").await, 0);
    assert_eq!(world.broken_rules().await, [""; 0]);
}
