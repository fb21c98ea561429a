//! `deploy/rollout`, with real servers on one socket.

use std::{path::PathBuf, process::Output, sync::Arc, time::Duration};

use serde_json::json;

use crate::support::{
    systemd::{Ending, Systemd},
    traffic::{Traffic, ask, partner},
};

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A rollout under load, and another back to the version before: no request fails, each acknowledged change is made once, and the subscriber receives each
/// once. `tests/drill` has the last release as the version before; it serves on the schema of this one.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_stops() {
    let systemd = Systemd::start().await;
    let _ending = Ending(Arc::clone(&systemd));
    let token = partner(&systemd.production).await;
    let before = std::env::var("DRILL_PREVIOUS").ok().map(|program| format!("#!/bin/sh\nexec {program} \"$@\"\n"));
    systemd.release("1.0", before.as_deref());
    systemd.release("1.1", None);
    let first = systemd.roll_out("1.0").await;
    assert!(first.status.success(), "{}", said(&first));
    let traffic = Traffic::start(systemd.address(), &token, 6).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    for version in ["1.1", "1.0"] {
        let rolled = systemd.roll_out(version).await;
        assert!(rolled.status.success(), "{}", said(&rolled));
        assert_eq!(
            (systemd.running(), systemd.version("current")),
            (vec!["current".to_owned()], PathBuf::from("releases").join(version))
        );
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let counts = traffic.end(&mut connection(&systemd).await).await;
    assert_eq!((&counts.unanswered, counts.refused), (&Vec::new(), 0), "no request fails, and no connection is refused");
    assert!(counts.acknowledged > 20, "{counts:?}");
    assert_eq!((counts.lost, counts.doubled), (0, 0), "each is made once");
    assert_eq!((counts.missed, counts.twice, counts.expired), (0, 0, 0), "who subscribes is told of each, once");
    // The first, and one after each of the four servers that ended; now and then one is sent away at once by the server that ends.
    assert!((5..=9).contains(&counts.connections), "{} connections", counts.connections);
}

async fn connection(systemd: &Systemd) -> partner_portal::db::Connection {
    partner_portal::db::connect::establish(&systemd.production.cluster.owner(), None).await.expect("a connection")
}

/// A version whose migration fails, one that ends at its start, one that never becomes ready, and one that is not there: the old one serves on, and the
/// exit status and the last line say which it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_old_one_serves_on() {
    let systemd = Systemd::start().await;
    let _ending = Ending(Arc::clone(&systemd));
    let token = partner(&systemd.production).await;
    systemd.release("1.0", None);
    let first = systemd.roll_out("1.0").await;
    assert!(first.status.success(), "{}", said(&first));
    let before = systemd.process();
    systemd.release("2.0", Some("#!/bin/sh\n[ \"$1\" = migrate ] && exit 1\nexec PROGRAM \"$@\"\n"));
    systemd.release("2.1", Some("#!/bin/sh\n[ \"$1\" = serve ] && exit 1\nexec PROGRAM \"$@\"\n"));
    systemd.release("2.2", Some("#!/bin/sh\n[ \"$1\" = serve ] && exec sleep 30\nexec PROGRAM \"$@\"\n"));
    systemd.release("2.3", Some("#!/bin/sh\nexit 126\n"));
    for (version, status, words) in [
        ("2.0", 2, "a migration of 2.0 failed, and 1.0 serves"),
        ("2.1", 3, "2.1 did not become ready, and 1.0 serves"),
        ("2.2", 3, "2.2 did not become ready, and 1.0 serves"),
        ("2.3", 1, "does not run on this machine"),
        ("2.4", 1, "there is no program"),
        ("../2.0", 1, "is not a valid version name"),
    ] {
        let rolled = systemd.roll_out(version).await;
        let text = said(&rolled);
        assert_eq!(rolled.status.code(), Some(status), "{version}: {text}");
        assert!(text.trim_end().lines().last().is_some_and(|line| line.contains(words)), "{version}: {text}");
        let after = systemd.process();
        assert_eq!(
            (after, systemd.running(), systemd.version("current")),
            (before, vec!["current".to_owned()], PathBuf::from("releases/1.0"))
        );
        ask(&reqwest::Client::new(), systemd.address(), &token, "{ me { user { id } } }", json!({})).await.expect("it serves");
    }
    // A fixed version is rolled out.
    systemd.release("2.5", None);
    let rolled = systemd.roll_out("2.5").await;
    assert!(rolled.status.success(), "{}", said(&rolled));
    assert_eq!((systemd.running(), systemd.version("current")), (vec!["current".to_owned()], PathBuf::from("releases/2.5")));
}

/// A version that serves beside the old one and does not start under its name: it goes on serving beside, the exit status says so, and once it is fixed the
/// same rollout ends well.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_that_was_cut_off() {
    let systemd = Systemd::start().await;
    let _ending = Ending(Arc::clone(&systemd));
    let token = partner(&systemd.production).await;
    systemd.release("1.0", None);
    assert!(systemd.roll_out("1.0").await.status.success());
    let fixed = systemd.root.0.join("fixed");
    let script = "#!/bin/sh\ncase \"$1 $0\" in 'serve '*/current/*) [ -e FIXED ] || exit 1 ;; esac\nexec PROGRAM \"$@\"\n";
    systemd.release("3.0", Some(&script.replace("FIXED", &fixed.display().to_string())));
    let serves = || async {
        ask(&reqwest::Client::new(), systemd.address(), &token, "{ me { user { id } } }", json!({})).await.expect("it serves");
    };
    for _ in 0..2 {
        let rolled = systemd.roll_out("3.0").await;
        let text = said(&rolled);
        assert_eq!((rolled.status.code(), systemd.running()), (Some(4), vec!["next".to_owned()]), "{text}");
        assert!(text.contains("partner-portal@next serves"), "{text}");
        serves().await;
    }
    std::fs::write(&fixed, "").expect("it is fixed");
    let rolled = systemd.roll_out("3.0").await;
    assert!(rolled.status.success(), "{}", said(&rolled));
    assert_eq!(systemd.running(), ["current"]);
    serves().await;
}

/// Of two rollouts at once one is refused, and changes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_at_a_time() {
    let systemd = Systemd::start().await;
    let _ending = Ending(Arc::clone(&systemd));
    for version in ["1.0", "1.1"] {
        systemd.release(version, None);
    }
    let (one, other) = tokio::join!(systemd.roll_out("1.0"), systemd.roll_out("1.1"));
    let mut statuses = [one.status.code(), other.status.code()];
    statuses.sort_unstable();
    assert_eq!(statuses, [Some(0), Some(1)], "{}{}", said(&one), said(&other));
    assert!(format!("{}{}", said(&one), said(&other)).contains("another rollout is running"));
    assert_eq!(systemd.running(), ["current"]);
}
