//! The command line and nothing else: see [`partner_portal::cli`].

/// Allocation is a good part of building answers; this allocator is the faster one at it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    partner_portal::cli::main()
}
