//! The command line, and how the program's memory is managed: see [`partner_portal::cli`].

/// Allocation is a good part of building answers; this allocator is the faster one at it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    // The allocator asks for huge pages. What it frees comes back in small ones, so they stay half empty; and a thread that touches one that is
    // not there yet waits until all of its 2 MiB are cleared. Where this fails, the kernel has none.
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_thp_disable(true);
    partner_portal::cli::main()
}
