//! `deploy/rollout`'s counterpart: a systemd that does as much of the real one as the script asks for, with real servers.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    os::{
        fd::OwnedFd,
        unix::{fs::PermissionsExt, net::UnixDatagram, process::CommandExt},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{
    binary::{Folder, command},
    production::Production,
};

/// How long a server may take until it is ready, or until it has ended.
const PATIENCE: Duration = Duration::from_secs(40);
/// Hands what the script asks of systemctl to the test, and waits for the exit status.
const SYSTEMCTL: &str = r#"#!/bin/sh
printf '%s\n' "$*" > "$BUS/$$.new" && mv "$BUS/$$.new" "$BUS/$$.asked"
turns=0
while ! [ -e "$BUS/$$.done" ]; do sleep 0.02; turns=$((turns + 1)); [ "$turns" -lt 5000 ] || exit 1; done
exit "$(cat "$BUS/$$.done")"
"#;

/// Starts and stops servers as the units in deploy/systemd say: on one socket, ready when they say so, ended by SIGTERM.
pub struct Systemd {
    pub root: Folder,
    listener: TcpListener,
    pub production: Production,
    servers: Mutex<Vec<(String, Child)>>,
    is_over: AtomicBool,
}

impl Systemd {
    pub async fn start() -> Arc<Self> {
        let root = Folder::new();
        fs::create_dir_all(root.0.join("releases")).expect("a folder");
        fs::create_dir_all(root.0.join("bus")).expect("a folder");
        let systemctl = root.0.join("systemctl");
        fs::write(&systemctl, SYSTEMCTL).expect("a script");
        fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755)).expect("a program");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let production = Production::start().await;
        let systemd = Arc::new(Self { root, listener, production, servers: Mutex::default(), is_over: AtomicBool::new(false) });
        let own = Arc::clone(&systemd);
        std::thread::spawn(move || own.answer());
        systemd
    }

    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("an address")
    }

    /// A version that is this program, or a script that stands for a bad one.
    pub fn release(&self, version: &str, script: Option<&str>) {
        let folder = self.root.0.join("releases").join(version);
        fs::create_dir_all(&folder).expect("a folder");
        let program = folder.join("partner-portal");
        match script {
            None => std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_partner-portal"), program).expect("a link"),
            Some(script) => {
                fs::write(&program, script.replace("PROGRAM", env!("CARGO_BIN_EXE_partner-portal"))).expect("a script");
                fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a program");
            }
        }
    }

    /// Runs the script.
    pub async fn roll_out(self: &Arc<Self>, version: &str) -> Output {
        let (own, version) = (Arc::clone(self), version.to_owned());
        let path = format!("{}:{}", self.root.0.display(), std::env::var("PATH").expect("a path"));
        tokio::task::spawn_blocking(move || {
            Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/rollout"))
                .arg(version)
                .env("PATH", path)
                .env("ROLLOUT_ROOT", &own.root.0)
                .env("BUS", own.root.0.join("bus"))
                .output()
                .expect("the script runs")
        })
        .await
        .expect("it ends")
    }

    /// What the script asks for, until the test ends.
    fn answer(&self) {
        let bus = self.root.0.join("bus");
        while !self.is_over.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(10));
            for entry in fs::read_dir(&bus).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.extension().is_some_and(|kind| kind == "asked") {
                    let asked = fs::read_to_string(&path).expect("what is asked");
                    fs::remove_file(&path).expect("it is taken");
                    let done = u8::from(!self.execute(asked.trim()));
                    let (unfinished, finished) = (path.with_extension("answer"), path.with_extension("done"));
                    fs::write(&unfinished, done.to_string()).expect("an answer");
                    fs::rename(unfinished, finished).expect("an answer");
                }
            }
        }
    }

    fn execute(&self, asked: &str) -> bool {
        let verb = asked.split_whitespace().next().unwrap_or_default();
        let unit = asked.split_whitespace().last().and_then(|unit| unit.strip_suffix(".service")?.split_once('@'));
        let Some((template, instance)) = unit else { return false };
        let program = self.root.0.join(instance).join("partner-portal");
        match (verb, template) {
            ("start", "partner-portal-migrate") => {
                let program = self.root.0.join("releases").join(instance).join("partner-portal");
                self.program(&program).arg("migrate").status().is_ok_and(|status| status.success())
            }
            ("restart", "partner-portal") => self.stop(instance) && self.begin(instance, &program),
            ("stop", "partner-portal") => self.stop(instance),
            ("is-active", "partner-portal") => self.running().iter().any(|name| name == instance),
            ("reset-failed", "partner-portal") => true,
            // It is not asked for anything else.
            _ => false,
        }
    }

    fn program(&self, program: &Path) -> Command {
        let of_this = command(&self.production.data.0);
        let mut command = Command::new(program);
        for (name, value) in of_this.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.envs(&self.production.settings).env("PORTAL_OWNER_URL", self.production.url("portal_owner"));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Starts a server on the socket, and waits until it says that it is ready.
    fn begin(&self, instance: &str, program: &Path) -> bool {
        let notified = self.root.0.join(format!("notify-{instance}"));
        let _ = fs::remove_file(&notified);
        let socket = UnixDatagram::bind(&notified).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a time limit");
        let own = self.program(program);
        let mut server = Command::new("/bin/sh");
        server.args(["-c", "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=api exec \"$0\" serve 3<&0 </dev/null"]).arg(program);
        for (name, value) in own.get_envs() {
            match value {
                Some(value) => server.env(name, value),
                None => server.env_remove(name),
            };
        }
        // As the unit says: the server does not have the owner's connection.
        server.env_remove("PORTAL_OWNER_URL").env("NOTIFY_SOCKET", &notified).process_group(0);
        server.stdin(OwnedFd::from(self.listener.try_clone().expect("the socket"))).stdout(Stdio::null()).stderr(Stdio::null());
        let mut server = server.spawn().expect("it starts");
        let (begun, mut said) = (Instant::now(), [0; 256]);
        let limit = if program.is_symlink() || fs::read(program).is_ok_and(|text| text.len() > 10_000) {
            PATIENCE
        } else {
            Duration::from_secs(2)
        };
        while begun.elapsed() < limit && matches!(server.try_wait(), Ok(None)) {
            if let Ok(length) = socket.recv(&mut said)
                && String::from_utf8_lossy(&said[..length]).lines().any(|line| line == "READY=1")
            {
                self.servers.lock().expect("servers").push((instance.to_owned(), server));
                return true;
            }
        }
        let _ = server.kill();
        let _ = server.wait();
        false
    }

    /// Ends a server, if there is one.
    fn stop(&self, instance: &str) -> bool {
        let stopped: Vec<_> = {
            let mut servers = self.servers.lock().expect("servers");
            servers.extract_if(.., |(name, _)| name == instance).collect()
        };
        stopped.into_iter().all(|(_, mut server)| {
            kill(Pid::from_raw(i32::try_from(server.id()).expect("a process")), Signal::SIGTERM).expect("it is there");
            let asked = Instant::now();
            while matches!(server.try_wait(), Ok(None)) {
                assert!(asked.elapsed() < PATIENCE, "{instance} does not end");
                std::thread::sleep(Duration::from_millis(10));
            }
            true
        })
    }

    /// The process of the first server.
    pub fn process(&self) -> Option<u32> {
        self.servers.lock().expect("servers").first().map(|(_, server)| server.id())
    }

    /// The names that run.
    pub fn running(&self) -> Vec<String> {
        self.servers.lock().expect("servers").iter().map(|(name, _)| name.clone()).collect()
    }

    /// Which version a name leads to.
    pub fn version(&self, name: &str) -> PathBuf {
        fs::read_link(self.root.0.join(name)).expect("a link")
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        for (_, server) in self.servers.get_mut().expect("servers") {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

/// Ends the thread that answers.
pub struct Ending(pub Arc<Systemd>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}
