//! The page on production in docs/operations.md, followed word for word on a fresh cluster, with an owner that is no superuser.

use std::{fs, path::Path, process::Command};

use diesel_async::SimpleAsyncConnection;
use partner_portal::db::{
    connect,
    embedded::{Embedded, Options},
};

use crate::support::{
    binary::{Folder, command},
    cluster,
};

/// The page's section of that name.
fn section(name: &str) -> String {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md")).expect("the page");
    let start = page.split(&format!("\n## {name}\n")).nth(1).expect("the section");
    start.split("\n## ").next().expect("its end").to_owned()
}

/// The first block of that language.
fn block(section: &str, language: &str) -> String {
    let start = section.split(&format!("```{language}\n")).nth(1).expect("a block");
    start.split("```").next().expect("its end").to_owned()
}

/// A new administrator can follow the page: the roles, the key, the migrations, the first tenant and its name; then the login alone serves, and
/// what it cannot do it says.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_can_be_followed() {
    let (folder, data) = (Folder::new(), Folder::new());
    let options = Options { throw_away: true, ..cluster::options() };
    let cluster = Embedded::start(&folder.0, &options).await.expect("a cluster");
    let page = section("In production");
    let mut administrator = connect::establish(&cluster.owner_of("postgres"), None).await.expect("an administrator");
    // What the program makes for itself on a cluster of its own is not there on another.
    for statement in ["DROP DATABASE portal", "DROP ROLE portal"] {
        administrator.batch_execute(statement).await.expect("a bare cluster");
    }
    for statement in block(&page, "sql").split(';') {
        if !statement.trim().is_empty() {
            administrator.batch_execute(statement).await.unwrap_or_else(|error| panic!("{error}: {statement}"));
        }
    }
    let socket = cluster.owner().get_hosts().iter().find_map(|host| match host {
        tokio_postgres::config::Host::Unix(path) => Some(path.display().to_string()),
        tokio_postgres::config::Host::Tcp(_) => None,
    });
    let socket = socket.expect("a socket").replace('/', "%2F");
    let program = env!("CARGO_BIN_EXE_partner-portal");
    let script = block(&page, "sh").replace("db.example.com/portal", &format!("{socket}/portal"));
    let script = format!("set -eu\npartner-portal() {{ '{program}' \"$@\"; }}\n{script}");
    let script = script.replace("partner-portal()", "portal()").replace("partner-portal ", "portal ");
    let shell = |script: &str| {
        let run = command(&data.0);
        let mut shell = Command::new("sh");
        shell.args(["-c", script]);
        for (name, value) in run.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        let output = shell.output().expect("a shell");
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), said)
    };
    let (done, said) = shell(&script);
    assert!(done, "{said}");
    assert!(said.contains("main is changed.") && said.contains("there is nothing to check"), "{said}");
    assert!(!said.contains("PASS: all"), "{said}");
    let (done, said) = shell(&format!("{script}\nportal tenant list"));
    assert!(done && said.contains("main\tExample Inc.\tEUR\t"), "{said}");
    // Without the owner's connection each such command says what it needs.
    for needs_owner in ["tenant list", "verify", "seed --partners 1", "rotate-keys"] {
        let (done, said) = shell(&format!("{script}\nunset PORTAL_OWNER_URL\nportal {needs_owner}"));
        assert!(!done && said.contains("set PORTAL_OWNER_URL (--owner-url)"), "{needs_owner}: {said}");
    }
    let (done, said) = shell(&format!("{script}\nunset PORTAL_OWNER_URL\nportal maintain"));
    assert!(done && said.contains("0 commissions were due"), "{said}");
    // And the login owns nothing.
    let mut owner = connect::establish(&cluster.owner_of("portal"), None).await.expect("a connection");
    let owns = "SELECT count(*) FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE r.rolname = 'portal'";
    assert_eq!(crate::support::sql::number(&mut owner, owns).await, 0);
    cluster.stop().await;
}
