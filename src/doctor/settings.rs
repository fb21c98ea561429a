//! Settings, files, and what the operating system lets the process do.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use nix::sys::resource::{Resource, getrlimit};

use super::Findings;
use crate::config::{Introspection, Settings};

/// How many files the server opens besides sockets and connections to the database: the journal of clicks, uploads, requests to others.
const OTHER_FILES: u64 = 600;

/// Examines what needs nobody else.
pub fn examine(settings: &Settings, findings: &mut Findings) {
    match settings.check() {
        Ok(()) => findings.sound("settings", "go together"),
        Err(fault) => findings.fault("settings", fault),
    }
    addresses(settings, findings);
    times(settings, findings);
    clicks(&settings.clicks().folder, findings);
    open_files(settings, findings);
    if let Some(file) = &settings.clusters {
        cluster_file(&file.path, findings);
    }
    // Where there is none, the settings' own check says so.
    if let Some(keyring) = &settings.encryption_keys {
        findings.sound("PORTAL_ENCRYPTION_KEYS", format!("seals with key {}", keyring.active_version()));
    }
    if settings.introspection == Introspection::On {
        findings.note("PORTAL_INTROSPECTION", "everyone may read the schema; `auto` shows it to operators alone");
    }
}

fn addresses(settings: &Settings, findings: &mut Findings) {
    let about = "PORTAL_PUBLIC_URL";
    match &settings.public_url {
        None => findings.fault(about, format!("is not set: short links would begin with {}", settings.public_url())),
        Some(url) if url.scheme() != "https" => {
            findings.fault(about, format!("{url} points to the visitor's own machine: set the address that the world knows"));
        }
        Some(url) => findings.sound(about, format!("links begin with {url}")),
    }
    if let Some(origin) = settings.cors_origins.iter().find(|origin| !origin.starts_with("https://") && !is_local(origin)) {
        findings
            .fault("PORTAL_CORS_ORIGINS", format!("{origin} is without TLS: an attacker on the network can act as its users"));
    }
    if settings.authorized_parties.is_empty() {
        findings.note(
            "CLERK_AUTHORIZED_PARTIES",
            "is not set: a token that the issuer made for another of its front ends is believed",
        );
    }
    if settings.address_header.is_none() {
        findings.note(
            "PORTAL_ADDRESS_HEADER",
            "is not set: behind a proxy all visitors have its address, and those with the same browser are counted as one",
        );
    }
    if let Some(address) = settings.metrics_listen.filter(|address| !address.ip().is_loopback()) {
        findings.note("PORTAL_METRICS_LISTEN", format!("{address} asks for no token: let nobody but Prometheus reach it"));
    }
    if settings.owner_url.is_some() {
        findings.note(
            "PORTAL_OWNER_URL",
            "is set here: whoever takes over the server's process has the owner's rights; give it to `migrate` and other commands alone",
        );
    }
}

/// Whether an origin is on the visitor's own machine.
fn is_local(origin: &str) -> bool {
    let host = url::Url::parse(origin).ok().and_then(|url| url.host_str().map(str::to_owned));
    matches!(host.as_deref(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

/// Whether the file of clusters, which has their passwords, is for its owner alone.
fn cluster_file(path: &Path, findings: &mut Findings) {
    let about = "PORTAL_CLUSTERS";
    match fs::metadata(path).map(|file| file.permissions().mode()) {
        Ok(mode) if mode & 0o007 != 0 => {
            findings.fault(
                about,
                format!("{} can be read by everybody on this machine, and has passwords: chmod 640", path.display()),
            );
        }
        Ok(_) => findings.sound(about, format!("{} is for its owner and group alone", path.display())),
        Err(error) => findings.fault(about, format!("{}: {error}", path.display())),
    }
}

fn times(settings: &Settings, findings: &mut Findings) {
    let (statement, operation) = (settings.statement_timeout, settings.operation_timeout);
    if statement >= operation {
        findings.fault(
            "PORTAL_STATEMENT_TIMEOUT",
            format!(
                "is {} s, and PORTAL_OPERATION_TIMEOUT {} s: an operation is given up while its statement runs on; make it shorter",
                statement.as_secs(),
                operation.as_secs()
            ),
        );
    } else if settings.upload_timeout < operation {
        findings.fault(
            "PORTAL_UPLOAD_TIMEOUT",
            "is below PORTAL_OPERATION_TIMEOUT: an operation with a file has less time than one without",
        );
    } else {
        findings.sound("time limits", format!("a statement {} s, an operation {} s", statement.as_secs(), operation.as_secs()));
    }
}

/// Whether clicks outlast the process. The nearest folder that is there decides who may make it.
fn clicks(folder: &Path, findings: &mut Findings) {
    let about = "PORTAL_CLICK_DIR";
    let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let there = whole.ancestors().find(|folder| folder.exists()).unwrap_or(&whole);
    match tempfile::tempfile_in(there) {
        Err(error) => findings.fault(
            about,
            format!(
                "{} cannot be written ({error}): followed links are not counted while the database is away",
                folder.display()
            ),
        ),
        Ok(_) if is_in_memory(there) => findings.fault(
            about,
            format!(
                "{} is in memory: clicks that wait are lost when the machine stops; choose a folder on a disk",
                folder.display()
            ),
        ),
        Ok(_) => findings.sound(about, format!("{} can be written", folder.display())),
    }
}

/// Whether a folder is on a file system that does not outlast the machine's run.
fn is_in_memory(folder: &Path) -> bool {
    let Ok(folder) = folder.canonicalize() else { return false };
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let holding = mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            Some((words.next()?, words.next()?))
        })
        .map(|(mounted, kind)| (mounted.replace("\\040", " "), kind))
        .filter(|(mounted, _)| folder.starts_with(mounted))
        // The last of those that are mounted over one another is seen.
        .max_by_key(|(mounted, _)| mounted.len());
    holding.is_some_and(|(_, kind)| matches!(kind, "tmpfs" | "ramfs"))
}

fn open_files(settings: &Settings, findings: &mut Findings) {
    let about = "open files";
    let Ok((soft, _)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    let sockets = u64::try_from(settings.limits.max_sockets).unwrap_or(u64::MAX);
    let connections = u64::try_from(settings.pool_size * settings.all_clusters().len()).unwrap_or(u64::MAX);
    let needed = sockets.saturating_add(connections).saturating_add(OTHER_FILES);
    if soft < needed {
        findings.fault(
            about,
            format!(
                "the process may open {soft}, and needs {needed} for PORTAL_MAX_SOCKETS ({sockets}): raise the limit (systemd: LimitNOFILE={needed}), or lower PORTAL_MAX_SOCKETS"
            ),
        );
    } else {
        findings.sound(about, format!("the process may open {soft}"));
    }
}
