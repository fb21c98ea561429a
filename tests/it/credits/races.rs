//! Credits with many at once: never more than there are, each once, and everybody gets what is there.

use std::sync::Arc;

use diesel_async::SimpleAsyncConnection;
use futures_util::future::join_all;
use serde_json::json;

use super::credit::code;
use crate::support::World;

/// 64 tasks that assign from one balance, with keys that repeat, never overdraw it, and leave exactly what arithmetic says.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_balance_is_never_overdrawn() {
    let world = Arc::new(World::with_pool(8).await);
    world.grant(world.a, 1_000, None).await;
    let members: Vec<String> = join_all((0..8).map(|number| {
        let world = Arc::clone(&world);
        async move { world.member(&format!("m{number}@example.com")).await }
    }))
    .await;
    let tasks = (0..64).map(|task: usize| {
        let (world, member) = (Arc::clone(&world), members[task / 2 % 8].clone());
        tokio::spawn(async move {
            let mut assigned = 0;
            for turn in 0..3 {
                // Every task twice with one key: the second is the first's replay.
                let key = format!("k{}_{turn}", task / 2);
                let payload = world.assign(&member, 17, 90, Some(&key)).await;
                match code(&payload) {
                    "none" if payload["replayed"] == json!(false) => assigned += 17,
                    "none" | "INSUFFICIENT_CREDITS" => {}
                    other => panic!("{other}"),
                }
            }
            assigned
        })
    });
    let assigned: i64 = join_all(tasks).await.into_iter().map(|task| task.expect("a task")).sum();
    // 58 times 17 is 986; the 59th would be more than there is.
    assert_eq!(assigned, 986);
    assert_eq!(world.credits(world.a).await, [14, 986, 0, 0]);
    assert_eq!(world.number("SELECT count(*) FROM partner_credits").await, 986);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// 64 tasks that redeem from one member take each credit once; those that come too late learn so.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_credit_is_used_once() {
    let world = Arc::new(World::with_pool(8).await);
    world.grant(world.a, 1_000, None).await;
    let member = world.member("ann@example.com").await;
    for days in [10, 20, 30, 40] {
        world.assign(&member, 50, days, None).await;
    }
    let tasks = (0..64).map(|task: i64| {
        let (world, member) = (Arc::clone(&world), member.clone());
        tokio::spawn(async move {
            let mut used = 0;
            for turn in 0..2 {
                let count = 1 + (task + turn) % 5;
                let who = if task % 2 == 0 { member.as_str() } else { "ann@example.com" };
                let payload = world.redeem(who, count, &format!("r{task}_{turn}")).await;
                match code(&payload) {
                    "none" => used += count,
                    "INSUFFICIENT_CREDITS" => {}
                    other => panic!("{other}"),
                }
            }
            used
        })
    });
    let used: i64 = join_all(tasks).await.into_iter().map(|task| task.expect("a task")).sum();
    let [_, left, booked, _] = world.credits(world.a).await;
    assert_eq!((used, used + left), (booked, 200));
    // 384 were asked for: anyone who was refused asked for more than was left.
    assert!(left < 5, "{left}");
    assert_eq!(world.number("SELECT count(*) FROM partner_credits WHERE status = 'used'").await, used);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// Two who want six of ten at once: one gets them, though at first each may hold some.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_is_refused_what_is_there() {
    let world = Arc::new(World::with_pool(8).await);
    world.grant(world.a, 1_000, None).await;
    let member = world.member("ann@example.com").await;
    for round in 0..12 {
        world.assign(&member, 10, 90, None).await;
        let tasks = (0..4).map(|task| {
            let (world, member) = (Arc::clone(&world), member.clone());
            tokio::spawn(async move { world.redeem(&member, 6, &format!("r{round}_{task}")).await["userErrors"] == json!([]) })
        });
        let served = join_all(tasks).await.into_iter().filter(|task| *task.as_ref().expect("a task")).count();
        assert_eq!(served, 1, "round {round}");
        world.redeem(&member, 4, &format!("rest{round}")).await;
    }
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// The function that other programs call, from many connections at once: it and the mutation draw on one balance, and neither overdraws it.
/// It makes the member who is not there, and none for credits that it refuses.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn other_programs_allocate_alike() {
    let world = Arc::new(World::with_pool(6).await);
    world.grant(world.a, 500, None).await;
    let member = world.member("m0@example.com").await;
    let partner = world.a.uuid();
    let call = |email: &str, name: &str, credits: i32, days: i32| {
        format!("SELECT allocate_partner_credit('{partner}', '{email}', {name}, {credits}, {days})::int")
    };
    assert_eq!(world.number(&call("New.One@example.com", "'Nora van  Dam '", 10, 90)).await, 1);
    let found = "SELECT count(*) FROM partner_members WHERE email = 'New.One@example.com' AND first_name = 'Nora' AND last_name = 'van Dam' AND credits_assigned = 10";
    assert_eq!(world.number(found).await, 1);
    assert_eq!(world.number(&call("new.one@EXAMPLE.com", "NULL", 5, 90)).await, 1);
    for (email, credits, days) in [
        ("\"x\"@example.com", 1, 90),
        ("x@example.com", 486, 90),
        ("x@example.com", 0, 90),
        ("x@example.com", 100_001, 90),
        ("x@example.com", 1, 0),
        ("nobody", 1, 90),
    ] {
        assert_eq!(world.number(&call(email, "NULL", credits, days)).await, 0, "{email} {credits} {days}");
    }
    assert_eq!(world.number(&call("x@example.com", "U&'Nora \\202E'", 1, 90)).await, 0);
    let nobody = call("x@example.com", "NULL", 1, 90).replace(&partner.to_string(), &uuid::Uuid::nil().to_string());
    assert_eq!(world.number(&nobody).await, 0);
    assert_eq!(world.number("SELECT count(*) FROM partner_members").await, 2);
    let tasks = (0..32).map(|task| {
        let (world, member, call) =
            (Arc::clone(&world), member.clone(), call(&format!("m{}@example.com", task % 4), "'M'", 20, 30));
        tokio::spawn(async move {
            let by_function = world.number(&call).await;
            let by_mutation = i64::from(code(&world.assign(&member, 20, 30, None).await) == "none");
            20 * (by_function + by_mutation)
        })
    });
    let assigned: i64 = join_all(tasks).await.into_iter().map(|task| task.expect("a task")).sum();
    assert_eq!(assigned, 480);
    assert_eq!(world.credits(world.a).await, [5, 495, 0, 0]);
    // As a service of the tenant that says which it is; not as another's, nor as a partner.
    let as_role = async |role: &str, tenant: uuid::Uuid| {
        let mut connection = world.owner().await;
        let who = format!(
            "SET ROLE {role}; SET app.tenant_id = '{tenant}'; SET app.partner_id = '{partner}'; SET app.user_id = '{}'",
            uuid::Uuid::nil()
        );
        connection.batch_execute(&who).await.expect("a role");
        let check = format!(
            "DO $$ BEGIN IF NOT allocate_partner_credit('{partner}', 'm1@example.com', 'M', 1, 90) THEN RAISE 'refused'; END IF; END $$"
        );
        connection.batch_execute(&check).await.is_ok()
    };
    assert!(as_role("portal_service", world.acme.uuid()).await);
    // A login that has the role's rights without taking it is held to its tenant as well.
    let login = format!("program_{}", world.acme.uuid().simple());
    world.sql(&format!("CREATE ROLE {login} LOGIN; GRANT portal_service TO {login}")).await;
    let mut connection = world.owner().await;
    connection
        .batch_execute(&format!("SET SESSION AUTHORIZATION {login}; SET app.tenant_id = '{}'", world.globex.uuid()))
        .await
        .expect("a login");
    let peek = format!(
        "DO $$ BEGIN IF lock_partner_credits('{}', '{partner}') > 0 THEN RAISE 'seen'; END IF; END $$",
        world.acme.uuid()
    );
    assert!(connection.batch_execute(&peek).await.is_ok());
    connection.batch_execute(&format!("SET app.tenant_id = '{}'", world.acme.uuid())).await.expect("a tenant");
    assert!(connection.batch_execute(&peek).await.is_err());
    connection.batch_execute("RESET SESSION AUTHORIZATION").await.expect("the owner");
    world.sql(&format!("REVOKE portal_service FROM {login}; DROP ROLE {login}")).await;
    assert!(!as_role("portal_service", world.globex.uuid()).await);
    assert!(!as_role("portal_partner", world.acme.uuid()).await);
    assert_eq!(world.broken_rules().await, [""; 0]);
}
