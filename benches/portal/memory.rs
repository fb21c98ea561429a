//! What this process needs of memory.

/// The largest and present size of this process in memory, in MB.
pub fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse::<u64>().ok()).unwrap_or(0) / 1_024
    };
    (of("VmHWM:"), of("VmRSS:"))
}
