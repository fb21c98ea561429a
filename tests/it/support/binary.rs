//! The program itself, run as a person would run it.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

/// A data folder, removed in the end.
pub struct Folder(pub std::path::PathBuf);

impl Folder {
    /// One that is not there yet.
    pub fn new() -> Self {
        Self(super::cluster::new_folder())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The program with nothing set but its data folder.
pub fn command(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_partner-portal"));
    for name in [
        "DATABASE_URL",
        "CLERK_ISSUER",
        "CLERK_JWKS_URL",
        "CLERK_JWT_KEY",
        "PORTAL_ENCRYPTION_KEYS",
        "PORTAL_LISTEN",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
    ] {
        command.env_remove(name);
    }
    command.env("PORTAL_DATA_DIR", data);
    command
}

/// Runs a command of the program to its end.
pub fn run(data: &Path, arguments: &[&str]) -> Output {
    command(data).args(arguments).stdin(Stdio::null()).output().expect("the program runs")
}

/// A running server.
pub struct Server {
    pub child: Child,
    /// Where it listens: `127.0.0.1:…`.
    pub address: String,
}

impl Server {
    /// Starts a server on a free port, and waits for its start screen.
    pub fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    /// The same with these settings.
    pub fn start_with(data: &Path, settings: &[(&str, &str)]) -> Self {
        let mut child = command(data)
            .envs(settings.iter().copied())
            .args(["serve", "--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        let screen = BufReader::new(child.stdout.take().expect("its output"));
        let address = screen
            .lines()
            .map_while(Result::ok)
            .find_map(|line| Some(line.split_once("POST http://")?.1.split('/').next()?.to_owned()))
            .expect("the start screen names the address");
        Self { child, address }
    }

    /// Asks as a demo person, and gives the answer's body.
    pub async fn ask(&self, token: &str, query: &str) -> serde_json::Value {
        let request = reqwest::Client::new().post(format!("http://{}/graphql", self.address)).bearer_auth(token);
        request
            .json(&serde_json::json!({"query": super::world::with_fresh_keys(query)}))
            .send()
            .await
            .expect("an answer")
            .json()
            .await
            .expect("JSON")
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        let id = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"));
        nix::sys::signal::kill(id, signal).expect("the process is there");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The ids of the processes whose command line names `folder`.
pub fn processes_in(folder: &Path) -> Vec<u32> {
    let output = Command::new("ps").args(["-eo", "pid=,args="]).output().expect("ps");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let named = folder.to_string_lossy().into_owned();
    text.lines().filter(|line| line.contains(&named)).filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
}

/// Waits until something holds.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(30), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
