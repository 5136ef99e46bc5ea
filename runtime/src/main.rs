//! The `tidegate` binary.

/// An idle TLS connection keeps the 4 KiB that are left of a buffer of 18. glibc shrinks it in
/// place, so that every connection leaves a hole that the next one's buffer does not fit into: 22
/// KiB a connection (`benches/compare --idle`). This allocator moves it to where small ones are.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    tidegate::cli::main()
}
