//! Processes, and those that they have started.

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// Sends a signal to a process and to all that it has started, and they. Each of PostgreSQL's has a group of its own.
pub fn signal_all(ancestor: u32, signal: Signal) {
    let all: Vec<Pid> = std::fs::read_dir("/proc")
        .expect("processes")
        .flatten()
        .filter_map(|process| Some(Pid::from_raw(process.file_name().to_str()?.parse().ok()?)))
        .filter(|process| process.as_raw().unsigned_abs() == ancestor || descends_from(*process, ancestor))
        .collect();
    for process in all {
        // One that has ended meanwhile needs no signal.
        let _ = kill(process, signal);
    }
}

fn descends_from(process: Pid, ancestor: u32) -> bool {
    let ancestors = std::iter::successors(parent(process.as_raw()), |process| parent(*process).filter(|parent| *parent > 0));
    ancestors.take(10).any(|process| process.unsigned_abs() == ancestor)
}

/// The process that has started it.
pub fn parent(process: i32) -> Option<i32> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}
