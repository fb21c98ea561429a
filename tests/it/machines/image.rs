//! What the container image consists of (`deploy/rootfs`), run in a namespace as a container would be: not root, and nothing can be written but clicks,
//! uploads and what belongs to them.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::support::{binary::Folder, production::Production, standby::sockets};

/// Mounts the root read-only with what may be written, and the database's sockets in it, and runs the program as nobody that the machine knows.
const CONTAINER: &str = r#"set -eu
root=$1 sockets=$2; shift 2
mount --bind "$root" "$root"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o mode=0700,uid=65532,gid=65532 tmpfs "$root/var/lib/partner-portal"
mkdir "$root/tmp/sockets"
mount --bind "$sockets" "$root/tmp/sockets"
mount -o remount,bind,ro "$root"
exec chroot --userspec=65532:65532 "$root" /partner-portal "$@""#;

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        if entry.file_type().expect("a kind").is_dir() { found.extend(files(&entry.path())) } else { found.push(entry.path()) }
    }
    found
}

/// The image is the program, its libraries and the certificates; it serves, says whether it is healthy, and ends in order when it is asked to.
#[tokio::test(flavor = "multi_thread")]
async fn it_serves_on_nothing() {
    let namespaces = Command::new("unshare").args(["--mount", "--pid", "--fork", "true"]).output();
    if !namespaces.is_ok_and(|output| output.status.success()) {
        eprintln!("not tried: it takes the right to make namespaces");
        return;
    }
    let folder = Folder::new();
    fs::create_dir_all(&folder.0).expect("a folder");
    let root = folder.0.join("rootfs");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/rootfs");
    let made = Command::new(&script).arg(env!("CARGO_BIN_EXE_partner-portal")).arg(&root).output().expect("the script runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let programs: Vec<String> = files(&root)
        .iter()
        .map(|file| file.strip_prefix(&root).expect("inside").display().to_string())
        .filter(|file| !file.starts_with("lib") && !file.starts_with("usr/lib") && !file.starts_with("etc/"))
        .collect();
    assert_eq!(programs, ["partner-portal"], "no shell, and no other program");
    let again = Command::new(&script).arg(env!("CARGO_BIN_EXE_partner-portal")).arg(&root).output().expect("the script runs");
    assert!(!again.status.success() && String::from_utf8_lossy(&again.stderr).contains("is not empty"));

    let production = Production::start().await;
    let own_sockets = sockets(&production.cluster.owner());
    let outside = own_sockets.display().to_string().replace('/', "%2F");
    fs::set_permissions(&own_sockets, fs::Permissions::from_mode(0o755)).expect("others may connect");
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let run = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child=KILL", "/bin/sh", "-c", CONTAINER, "container"]);
        command.arg(&root).arg(&own_sockets).args(arguments).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        for (name, value) in &production.settings {
            command.env(name, value.replace(&outside, "%2Ftmp%2Fsockets"));
        }
        // As the Containerfile has it.
        command.env("PORTAL_CLICK_DIR", "/var/lib/partner-portal/clicks").env("PORTAL_DATA_DIR", "/var/lib/partner-portal");
        command.env("PORTAL_LISTEN", format!("0.0.0.0:{port}")).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let health = || run(&["health"]).output().expect("the program runs");
    let sick = health();
    let said = String::from_utf8_lossy(&sick.stderr).into_owned();
    assert!(!sick.status.success() && said.contains("cannot be reached"), "{said}");

    let mut server = run(&["serve"]).spawn().expect("it starts");
    let begun = Instant::now();
    loop {
        let answer = health();
        if answer.status.success() {
            assert_eq!(String::from_utf8_lossy(&answer.stdout), "ready\n");
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{}", String::from_utf8_lossy(&answer.stderr));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let page = reqwest::get(format!("http://127.0.0.1:{port}/healthz")).await.expect("an answer");
    assert_eq!(page.text().await.expect("text"), "alive\n");
    // The first process of a container: the signal is for it.
    let inside = Command::new("pgrep").args(["--parent", &server.id().to_string()]).output().expect("pgrep");
    let process: i32 = String::from_utf8_lossy(&inside.stdout).trim().parse().expect("one process");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(process), nix::sys::signal::Signal::SIGTERM).expect("it is there");
    let status = server.wait().expect("it ends");
    assert!(status.success(), "{status}");
}
