//! The server process. It runs under a shell that reads a pipe which we hold: when we end, in whatever way, the pipe closes and
//! the shell stops the server.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{errno::Errno, sys::signal::kill, unistd::Pid};

use super::{EmbeddedError, account::Account, at};

/// `$1` is the folder to remove at the end, or empty; the rest is the server's command line. A background process of a shell
/// has no standard input, so the pipe is kept open as descriptor 3. SIGINT is PostgreSQL's fast shutdown.
const GUARD: &str = r#"
exec 3<&0
gone="$1"; shift
"$@" 3<&- </dev/null &
server=$!
{ read -r _ <&3; kill -INT "$server"; } 2>/dev/null &
watch=$!
wait "$server"
status=$?
while kill -0 "$server" 2>/dev/null; do wait "$server"; done
kill "$watch" 2>/dev/null
[ -n "$gone" ] && rm -rf "$gone"
exit "$status"
"#;

/// How long a stop is waited for.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// The process that says it runs a server on this data folder, while it lives.
pub fn running_on(data: &Path) -> Option<i32> {
    let text = fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let process: i32 = text.lines().next()?.trim().parse().ok()?;
    // Signal 0 asks whether it is there. A refusal for lack of rights says that it is somebody else's, and so not our server.
    match kill(Pid::from_raw(process), None) {
        Err(Errno::ESRCH | Errno::EPERM) => None,
        _ => Some(process),
    }
}

/// A server that this process started.
pub struct Postmaster {
    guard: Child,
    /// The file that its messages go to.
    pub log: PathBuf,
}

impl Postmaster {
    pub fn launch(bin: &Path, data: &Path, sockets: &Path, account: &Account, throw_away: bool) -> Result<Self, EmbeddedError> {
        let folder = data.parent().unwrap_or(data);
        let log = folder.join("postgres.log");
        let file = fs::File::create(&log).map_err(at(&log))?;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", GUARD, "partner-portal-postgres"]);
        command.arg(if throw_away { folder.as_os_str() } else { "".as_ref() });
        command.arg(bin.join("postgres")).arg("-D").arg(data).arg("-k").arg(sockets);
        // No network port at all: a process that may enter the sockets' folder may connect.
        let mut settings =
            vec!["listen_addresses=", "max_connections=100", "shared_buffers=256MB", "jit=off", "log_timezone=UTC"];
        if throw_away {
            settings.extend(["fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=400"]);
        }
        for setting in settings {
            command.args(["-c", setting]);
        }
        let errors = file.try_clone().map_err(at(&log))?;
        command.stdin(Stdio::piped()).stdout(file).stderr(errors);
        // A group of its own: Ctrl-C at the terminal is for us, who let requests finish before the server stops.
        command.process_group(0);
        account.assume(&mut command);
        let guard = command.spawn().map_err(at(Path::new("/bin/sh")))?;
        Ok(Self { guard, log })
    }

    /// Whether the server has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.guard.try_wait(), Ok(None))
    }

    /// Closes the pipe and waits until the server is gone.
    pub async fn stop(mut self) {
        drop(self.guard.stdin.take());
        let asked = Instant::now();
        while !self.has_ended() {
            if asked.elapsed() > STOP_LIMIT {
                tracing::warn!("PostgreSQL did not stop within {} s", STOP_LIMIT.as_secs());
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
