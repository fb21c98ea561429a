//! Imports that are killed, and two at once.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use super::{generator::Business, *};

fn count(folder: &Path, sql: &str) -> i64 {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        use diesel_async::RunQueryDsl;
        let options = partner_portal::db::embedded::Options { throw_away: false, ..crate::support::cluster::options() };
        let database =
            partner_portal::db::embedded::Embedded::start(&folder.join("postgres"), &options).await.expect("the database");
        let mut owner = connect::establish(&database.owner(), None).await.expect("a connection");
        let counted = diesel::dsl::sql::<diesel::sql_types::BigInt>(sql);
        let number: i64 = diesel::select(counted).get_result(&mut owner).await.expect("a number");
        drop(owner);
        database.stop().await;
        number
    })
}

/// An import that is killed three times in its middle goes on where it was, and ends like one that was not.
#[test]
fn killed_three_times() {
    let data = binary::Folder::new();
    let folder = binary::Folder::new();
    let business = Business::new(21, 40, 6_000, &["USD", "JPY"], false);
    business.write("legacy", &folder.0);
    let path = folder.0.to_str().expect("a path");
    let seeded = binary::run(&data.0, &["seed", "--partners", "0", "--leads", "0", "--invoices", "0"]);
    assert!(seeded.status.success());
    let import = ["import", "legacy", path, "--tenant", "northwind"];
    let mut killed = 0;
    for after in [900, 1_500, 2_200] {
        let mut child = binary::command(&data.0)
            .args(import)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let until = Instant::now() + Duration::from_millis(after);
        while Instant::now() < until && child.try_wait().expect("a status").is_none() {
            std::thread::sleep(Duration::from_millis(20));
        }
        killed += i32::from(child.try_wait().expect("a status").is_none());
        child.kill().expect("killed");
        child.wait().expect("ended");
    }
    assert!(killed > 0, "it was never killed in its middle");
    let last = binary::run(&data.0, &import);
    let text = String::from_utf8_lossy(&last.stdout).into_owned();
    assert_eq!(last.status.code(), Some(0), "{text} {}", String::from_utf8_lossy(&last.stderr));
    assert!(text.contains("Everything is in and proved"), "{text}");
    let verified = binary::run(&data.0, &["verify", "--tenant", "northwind"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    assert_eq!(count(&data.0, "(SELECT count(*) FROM partner_commission_events WHERE source = 'imported')"), 6_000);
    assert_eq!(count(&data.0, "(SELECT count(*) FROM links WHERE key LIKE 'legacy-%')"), 40);
}

/// Two imports from one system into one tenant do not run at once.
#[tokio::test(flavor = "multi_thread")]
async fn one_at_a_time() {
    let world = World::new().await;
    let folder = binary::Folder::new();
    Business::new(3, 3, 20, &["USD"], false).write("tolt", &folder.0);
    let given = Given::new("tolt", &folder.0);
    let connection = connect::establish(&world.database.login, None).await.expect("a connection");
    assert!(partner_portal::models::imports::run::lock(&connection, world.acme, "tolt").await.expect("a lock"));
    let fault = given.run(&world, world.acme).await.expect_err("another is running");
    assert!(fault.contains("running already"), "{fault}");
    // Into another tenant it is another import.
    given.run(&world, world.globex).await.expect("an import");
    drop(connection);
}
