//! Imports that are killed, and two at once.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use super::{
    generator::Business,
    sources::{SOURCES, currencies, said},
    *,
};

/// An import of each system, with every trap, that is killed three times goes on where it was, and ends with the same sums as one that was not.
#[test]
fn killed_three_times() {
    let data = binary::Folder::new();
    let seeded = binary::run(&data.0, &["seed", "--partners", "0", "--leads", "0", "--invoices", "0"]);
    assert!(seeded.status.success());
    let (mut killed, mut wait) = (0, Duration::from_millis(1_300));
    for (seed, source) in (21..).zip(SOURCES) {
        let folder = binary::Folder::new();
        let business = Business::new(seed, 6, 3_000, currencies(source), true);
        business.write(source, &folder.0);
        let path = folder.0.to_str().expect("a path");
        let mut import = vec!["import", source, path, "--tenant", "northwind", "--rate-unit", "percent"];
        import.extend(match source {
            "firstpromoter" => ["--currency", "USD"].as_slice(),
            "tolt" => &["--link-url", "https://shop0.com/?via={key}"],
            _ => &[],
        });
        for turn in 0..3 {
            let mut child = binary::command(&data.0)
                .args(&import)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("it starts");
            let until = Instant::now() + wait;
            while Instant::now() < until && child.try_wait().expect("a status").is_none() {
                std::thread::sleep(Duration::from_millis(20));
            }
            let is_in_its_middle = child.try_wait().expect("a status").is_none();
            killed += i32::from(is_in_its_middle);
            // Machines are of different speeds: what has ended by then is killed earlier, of the next system.
            if turn == 0 {
                wait = if is_in_its_middle { wait * 11 / 10 } else { wait * 3 / 4 };
            }
            child.kill().expect("killed");
            child.wait().expect("ended");
        }
        let last = binary::run(&data.0, &import);
        let text = String::from_utf8_lossy(&last.stdout).into_owned();
        assert_eq!(last.status.code(), Some(2), "{source}: {text} {}", String::from_utf8_lossy(&last.stderr));
        for ((currency, status), (count, amount)) in business.sums(said(source)) {
            let line = text.lines().find(|line| line.starts_with(&format!("{currency:<8} {status:<10}"))).unwrap_or_default();
            let words: Vec<&str> = line.split_whitespace().collect();
            let here = (words.get(4).and_then(|count| count.parse().ok()), words.get(5).and_then(|amount| amount.parse().ok()));
            assert_eq!(here, (Some(count), Some(amount)), "{source} {currency} {status}: {text}");
        }
    }
    assert!(killed > 7, "{killed} of 21 were killed in their middle");
    let verified = binary::run(&data.0, &["verify", "--tenant", "northwind"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

/// An import of each system, with every trap, that is dropped three times at any moment, goes on where it was and ends like one that was not.
#[tokio::test(flavor = "multi_thread")]
async fn stopped_at_any_moment() {
    for (seed, source) in (31..).zip(SOURCES) {
        let folder = binary::Folder::new();
        Business::new(seed, 6, 3_000, currencies(source), true).write(source, &folder.0);
        let given = Given::new(source, &folder.0);
        let (whole, stopped) = (World::new().await, World::new().await);
        let (expected, moments) = counted(u32::MAX, given.run(&whole, whole.acme)).await;
        let (expected, found) = expected.expect("it ends").expect(source);
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..3 {
            let (ended, _) = counted(random.u32(1..moments / 4), given.run(&stopped, stopped.acme)).await;
            assert!(ended.is_none(), "{source} is stopped in its middle");
        }
        let (outcome, found_again) = given.run(&stopped, stopped.acme).await.expect(source);
        assert!(outcome.is_continued, "{source}");
        assert_eq!(outcome.summary, expected.summary, "{source}");
        let words = |found: &[KeptFinding]| {
            found.iter().map(|one| (one.kind, one.source_id.clone(), one.code.clone(), one.field.clone())).collect::<Vec<_>>()
        };
        assert_eq!(words(&found_again), words(&found), "{source}");
        assert_eq!(stopped.broken_rules().await, [""; 0], "{source}");
    }
}

/// Lets work go on until it has come to its end, or to so many moments at which it waits; gives how many they were.
async fn counted<T>(most: u32, work: impl Future<Output = T>) -> (Option<T>, u32) {
    let mut work = std::pin::pin!(work);
    let mut moments = 0;
    let ended = std::future::poll_fn(|context| {
        moments += 1;
        if moments > most {
            return std::task::Poll::Ready(None);
        }
        work.as_mut().poll(context).map(Some)
    });
    (ended.await, moments)
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
