//! Runs the Tidegate core in seeded worlds: `tidegate-sim run`, `tidegate-sim replay`.

use clap::Parser;
use std::process::ExitCode;

/// A sixth of a run's time goes to glibc's allocator; this one takes a third of that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tidegate_sim::cli::main(tidegate_sim::cli::Args::parse())
}
