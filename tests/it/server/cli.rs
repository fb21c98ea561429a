//! The command line: what it prints, and how it fails.

use std::process::{Command, Stdio};

use crate::support::{
    binary::{Folder, Server, command, run},
    cluster,
};

fn data() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn failure(mut command: Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("the program runs");
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

/// A wrong setting ends the program with one line that names it, by variable and flag; a secret is not repeated.
#[test]
fn wrong_settings_are_named() {
    let data = data();
    for (variable, value, words) in [
        ("PORTAL_LISTEN", "nowhere", "PORTAL_LISTEN (--listen): \"nowhere\" cannot be used"),
        ("PORTAL_POOL_SIZE", "0", "PORTAL_POOL_SIZE (--pool-size): \"0\" cannot be used: expected a whole number from 1 to 1000"),
        ("PORTAL_POOL_WAIT", "soon", "PORTAL_POOL_WAIT (--pool-wait): \"soon\" cannot be used"),
        (
            "CLERK_AZP_POLICY",
            "maybe",
            "CLERK_AZP_POLICY (--azp-policy): \"maybe\" cannot be used: expected one of when_present, required, off",
        ),
        (
            "CLERK_ISSUER",
            "http://clerk.example.com",
            "CLERK_ISSUER (--issuer): \"http://clerk.example.com\" cannot be used: expected an https URL",
        ),
        ("CLERK_JWKS_URL", "ftp://x", "CLERK_JWKS_URL (--jwks-url)"),
        ("PORTAL_LOG", "a=b=c", "PORTAL_LOG (--log)"),
        ("PORTAL_LOG_FORMAT", "xml", "PORTAL_LOG_FORMAT (--log-format): \"xml\" cannot be used: expected one of text, json"),
        ("DATABASE_URL", "postgres://user:hunter2@host:port/x", "DATABASE_URL (--database-url):"),
        ("PORTAL_ENCRYPTION_KEYS", "1:hunter2", "PORTAL_ENCRYPTION_KEYS (--encryption-keys):"),
    ] {
        let mut command = command(data.path());
        command.env(variable, value);
        let said = failure(command);
        assert!(said.contains(words), "{variable}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

/// With a database configured the server does not start without an issuer, or keys to seal with; nothing is left listening.
#[test]
fn production_needs_its_settings() {
    let data = data();
    let url = "postgres://nobody@127.0.0.1:1/nothing";
    let mut without_issuer = command(data.path());
    without_issuer.env("DATABASE_URL", url);
    assert!(failure(without_issuer).contains("CLERK_ISSUER (--issuer) is not set"));
    let mut without_keys = command(data.path());
    without_keys.env("DATABASE_URL", url).env("CLERK_ISSUER", "https://clerk.example.com");
    assert!(failure(without_keys).contains("PORTAL_ENCRYPTION_KEYS (--encryption-keys) is not set"));
    let mut two_issuers = command(data.path());
    two_issuers.env("CLERK_ISSUER", "https://a.example,https://b.example").env("CLERK_JWT_KEY", "x");
    assert!(failure(two_issuers).contains("are for a single issuer"));
    let mut token = command(data.path());
    token.arg("token").env("DATABASE_URL", url);
    assert!(failure(token).contains("tokens are made in development only"));
}

/// A database that cannot be reached, and a migration that fails, end the program with their reason before it listens.
#[tokio::test(flavor = "multi_thread")]
async fn no_port_is_opened_without_a_database() {
    let data = data();
    let key = "1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let mut unreachable = command(data.path());
    unreachable
        .env("DATABASE_URL", format!("postgres://nobody@127.0.0.1:{port}/nothing"))
        .env("CLERK_ISSUER", "https://clerk.example.com")
        .env("PORTAL_LISTEN", "127.0.0.1:0")
        .env("PORTAL_ENCRYPTION_KEYS", key);
    assert!(failure(unreachable).contains("the database cannot be reached"));

    let database = cluster::empty_database().await;
    let mut connection = partner_portal::db::connect::establish(&database.owner, None).await.expect("a connection");
    diesel_async::SimpleAsyncConnection::batch_execute(&mut connection, "CREATE TABLE partners ()").await.expect("a table");
    let mut failing = command(data.path());
    failing
        .env("DATABASE_URL", url(&database.owner))
        .env("CLERK_ISSUER", "https://clerk.example.com")
        .env("PORTAL_LISTEN", "127.0.0.1:0")
        .env("PORTAL_ENCRYPTION_KEYS", key);
    let output = failing.stdin(Stdio::null()).output().expect("the program runs");
    let said = String::from_utf8(output.stderr).expect("text");
    let last = said.lines().last().unwrap_or_default();
    assert_eq!(last, "partner-portal: migration 2026-11-20-090200_partners failed: relation \"partners\" already exists");
    assert!(!said.contains("listening"));
}

fn url(config: &tokio_postgres::Config) -> String {
    let [tokio_postgres::config::Host::Unix(folder)] = config.get_hosts() else { panic!("a socket") };
    format!(
        "host={} user={} dbname={}",
        folder.display(),
        config.get_user().expect("a user"),
        config.get_dbname().expect("a name")
    )
}

/// In production the first start makes the first tenant from the configured issuer, shows no page and no tokens, and ends on
/// SIGTERM; tenants are added and changed from the command line.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_in_production() {
    let data = data();
    let database = cluster::empty_database().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let configured = |arguments: &[&str]| {
        let mut command = command(data.path());
        command
            .args(arguments)
            .env("DATABASE_URL", url(&database.owner))
            .env("CLERK_ISSUER", "https://clerk.example.com")
            .env("PORTAL_ENCRYPTION_KEYS", "1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
            .env("PORTAL_LISTEN", address.to_string());
        command
    };
    let mut server = configured(&["serve"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the server starts");
    let client = reqwest::Client::new();
    let ready = async || client.get(format!("http://{address}/readyz")).send().await.is_ok_and(|answer| answer.status() == 200);
    let started = std::time::Instant::now();
    while !ready().await {
        assert!(started.elapsed().as_secs() < 30, "the server is ready");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    for path in ["/", "/.well-known/jwks.json", "/assets/graphiql/boot.js"] {
        assert_eq!(client.get(format!("http://{address}{path}")).send().await.expect("an answer").status(), 404, "{path}");
    }
    let said = |arguments: &[&str]| {
        let output = configured(arguments).output().expect("the program runs");
        String::from_utf8(if output.status.success() { output.stdout } else { output.stderr }).expect("text")
    };
    assert!(said(&["tenant", "list"]).starts_with(
        "main\tclerk.example.com\tUSD\tsign-up: pending\thold: 0 days\tminimum payout: 0\thttps://clerk.example.com\ttenant_"
    ));
    assert_eq!(
        said(&["tenant", "set", "main", "--name", "Acme", "--currency", "EUR", "--partner-on-signup", "none"]),
        "main is changed.\n"
    );
    assert!(said(&["tenant", "add", "second", "--name", "Second"]).starts_with("second is added as tenant_"));
    assert!(said(&["tenant", "add", "second", "--name", "Second"]).contains("there is a tenant \"second\" already"));
    assert_eq!(said(&["tenant", "host", "add", "main", "GO.Example.com."]), "go.example.com leads to the links of main.\n");
    assert_eq!(
        said(&["tenant", "host", "add", "main", "go.example.com"]),
        "go.example.com leads to the links of main already.\n"
    );
    assert!(said(&["tenant", "host", "add", "second", "go.example.com"]).contains("the links of another tenant"));
    assert!(said(&["tenant", "host", "add", "second", "10.0.0.1"]).contains("expected a host name"));
    assert_eq!(said(&["tenant", "host", "list", "main"]), "go.example.com\n");
    assert!(said(&["tenant", "host", "remove", "second", "go.example.com"]).contains("is no host of second"));
    assert_eq!(said(&["tenant", "host", "remove", "main", "go.example.com"]), "go.example.com leads nowhere any more.\n");
    assert!(said(&["tenant", "add", "Not A Slug", "--name", "X"]).contains("lower-case letters"));
    assert!(said(&["tenant", "set", "third", "--name", "X"]).contains("there is no tenant \"third\""));
    assert!(said(&["tenant", "list"]).starts_with("main\tAcme\tEUR\tsign-up: none\t"));
    assert!(said(&["tenant", "set", "main", "--hold-days", "15"]).contains("expected 0, 7, 14, 30, 60 or 90"));
    assert!(said(&["tenant", "set", "main", "--minimum-payout", "1.005"]).contains("at most 2 digits after the point"));
    assert_eq!(said(&["tenant", "set", "main", "--hold-days", "14", "--minimum-payout", "50"]), "main is changed.\n");
    assert!(said(&["tenant", "list"]).contains("\thold: 14 days\tminimum payout: 50\t"));
    assert!(said(&["tenant", "list"]).contains("\ttime zone: UTC\n"));
    assert!(
        said(&["tenant", "set", "main", "--time-zone", "Mars/Olympus"])
            .contains("time zone of the IANA database such as Europe/Berlin")
    );
    assert_eq!(said(&["tenant", "set", "main", "--time-zone", "America/Bogota"]), "main is changed.\n");
    assert!(said(&["tenant", "list"]).contains("\ttime zone: America/Bogota\n"));
    said(&["tenant", "set", "main", "--currency", "JPY"]);
    assert!(said(&["tenant", "list"]).contains("\thold: 14 days\tminimum payout: 0\t"));
    let id = nix::unistd::Pid::from_raw(i32::try_from(server.id()).expect("a process id"));
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).expect("the process is there");
    assert!(server.wait().expect("it ends").success());
}

/// A server whose login owns nothing starts once the owner has migrated, which also makes the first tenant.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_owns_nothing() {
    let data = data();
    let database = cluster::empty_database().await;
    let configured = |login: &tokio_postgres::Config, arguments: &[&str]| {
        let mut command = command(data.path());
        command.args(arguments).env("DATABASE_URL", url(login)).env("CLERK_ISSUER", "https://clerk.example.com");
        command.env("PORTAL_ENCRYPTION_KEYS", "1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
        command.env("PORTAL_LISTEN", "127.0.0.1:0").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    };
    assert!(configured(&database.owner, &["migrate"]).status().expect("it runs").success());
    let listed = configured(&database.owner, &["tenant", "list"]).stdout(Stdio::piped()).output().expect("it runs");
    assert!(String::from_utf8_lossy(&listed.stdout).starts_with("main\t"));
    let mut server = configured(&database.login, &["serve"]).spawn().expect("it starts");
    let said = std::io::BufRead::lines(std::io::BufReader::new(server.stderr.take().expect("its log")));
    let lines: Vec<String> = said.map_while(Result::ok).take_while(|line| !line.contains("listening")).collect();
    assert!(server.try_wait().expect("its state").is_none(), "{lines:?}");
    let _ = server.kill();
    let _ = server.wait();
}

/// `id` goes from an id to its UUID and back; `schema` prints the schema; `encryption-key` prints a key that is one.
#[test]
fn small_commands() {
    let data = data();
    let said = |arguments: &[&str]| String::from_utf8(run(data.path(), arguments).stdout).expect("text");
    assert_eq!(said(&["id", "user_01h455vb4pex5vsknk084sn02q"]), "01890a5d-ac96-774b-bcce-b302099a8057\n");
    assert_eq!(said(&["id", "01890a5d-ac96-774b-bcce-b302099a8057", "--as", "user"]), "user_01h455vb4pex5vsknk084sn02q\n");
    assert_eq!(said(&["schema"]), partner_portal::graphql::sdl());
    let mut unknown = command(data.path());
    unknown.args(["id", "01890a5d-ac96-774b-bcce-b302099a8057"]);
    assert!(failure(unknown).contains("say what 01890a5d-ac96-774b-bcce-b302099a8057 is the id of"));
    let mut wrong = command(data.path());
    wrong.args(["token", "--expires-in", "never"]);
    assert!(failure(wrong).contains("--expires-in: \"never\" cannot be used: expected a number and s, m, h or d"));
    let mut nonsense = command(data.path());
    nonsense.arg("dance");
    assert!(failure(nonsense).contains("unrecognized subcommand 'dance'"));
    let key = said(&["encryption-key", "--version", "3"]);
    assert!(key.trim().parse::<partner_portal::keyring::Keyring>().is_ok_and(|keyring| keyring.active_version() == 3), "{key}");
    assert_ne!(said(&["encryption-key"]), said(&["encryption-key"]));
}

/// Arguments that are missing are named, and what is mistyped gets a suggestion: commands, flags, variables.
#[test]
fn what_is_mistyped_gets_a_suggestion() {
    let data = data();
    for (arguments, words) in [
        (&["tenant", "add"][..], "--name <NAME>, <SLUG>"),
        (&["import-members"], "<FILE>"),
        (&["verfy"], "did you mean verify?"),
        (&["serve", "--listn", ":1"], "did you mean --listen?"),
    ] {
        let mut command = command(data.path());
        command.args(arguments);
        let said = failure(command);
        assert!(said.contains(words) && said.ends_with("; see --help\n"), "{said}");
    }
    let mut mistyped = command(data.path());
    mistyped.args(["id", "user_01h455vb4pex5vsknk084sn02q"]).env("PORTAL_POOLSIZE", "4").env("PORTAL_QQQ", "4");
    let output = mistyped.output().expect("the program runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success());
    assert!(said.contains("PORTAL_POOLSIZE is no setting of this program's; did you mean PORTAL_POOL_SIZE?"), "{said}");
    assert!(said.contains("PORTAL_QQQ is no setting of this program's\n"), "{said}");
}

/// Where there is no database, what only looks makes none and says so; a token that nobody would believe is not made.
#[test]
fn an_empty_folder_stays_empty() {
    let data = data();
    for arguments in [&["verify"][..], &["maintain"], &["tenant", "list"], &["rotate-keys"], &["token"]] {
        let mut command = command(data.path());
        command.args(arguments);
        let said = failure(command);
        assert!(said.contains(&format!("there is no database in {}", data.path().display())), "{arguments:?}: {said}");
        assert_eq!(said.contains("nobody would believe this token"), arguments == ["token"], "{said}");
    }
    let left: Vec<_> =
        std::fs::read_dir(data.path()).expect("the folder").map(|entry| entry.expect("an entry").file_name()).collect();
    assert!(left.iter().all(|name| name == "encryption-keys"), "{left:?}");
    let folder = Folder::new();
    assert!(run(&folder.0, &["seed", "--partners", "0"]).status.success());
    let token = run(&folder.0, &["token", "--role", "operator", "--user", "user_x", "--expires-in", "5m"]).stdout;
    let token = String::from_utf8(token).expect("text");
    assert_eq!((token.lines().count(), token.trim().split('.').count()), (1, 3));
    let mut unknown = command(&folder.0);
    unknown.args(["token", "--tenant", "nobody"]);
    let said = failure(unknown);
    assert!(said.contains("there is no tenant \"nobody\"; there are ") && said.contains("northwind"), "{said}");
}

/// A port that is taken is noticed before anything is started or made.
#[test]
fn a_taken_port_is_noticed_first() {
    let (data, taken) = (data(), std::net::TcpListener::bind("127.0.0.1:0").expect("a port"));
    let address = taken.local_addr().expect("an address").to_string();
    for variable in ["PORTAL_LISTEN", "PORTAL_METRICS_LISTEN"] {
        let mut serve = command(data.path());
        serve.env("PORTAL_LISTEN", "localhost:0").env(variable, &address);
        let said = failure(serve);
        assert!(said.contains(&format!("cannot listen on {address}")) && said.contains(variable), "{said}");
    }
    assert_eq!(std::fs::read_dir(data.path()).expect("the folder").count(), 0);
}

/// Memory is not in huge pages: they hold more than is used, and delay the request that touches one first.
#[cfg(target_os = "linux")]
#[test]
fn memory_is_in_small_pages() {
    let folder = Folder::new();
    let server = Server::start(&folder.0);
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).expect("a process");
    assert!(status.lines().any(|line| line == "THP_enabled:\t0"), "{status}");
}
