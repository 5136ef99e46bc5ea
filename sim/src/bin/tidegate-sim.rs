//! Runs the Tidegate core in seeded worlds: `tidegate-sim run`, `tidegate-sim replay`.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    tidegate_sim::cli::main(tidegate_sim::cli::Args::parse())
}
