//! The command `tidegate-sim`: runs seeds, and replays one.

mod case;
mod panics;
mod replay;
mod report;
mod run;

pub use case::Case;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Everything held.
pub const CLEAN: u8 = 0;
/// An invariant broke.
pub const BROKEN: u8 = 1;
/// The command line makes no sense, or a file cannot be read.
pub const USAGE: u8 = 2;
/// The same seed gave two different runs.
pub const NONDETERMINISM: u8 = 3;

/// Runs the Tidegate core in seeded worlds and judges it by an oracle of its own.
#[derive(Parser)]
#[command(name = "tidegate-sim", version)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs many seeds
    Run(RunArgs),
    /// Runs one seed, or a case that was written down
    Replay(ReplayArgs),
}

/// What to run.
#[derive(clap::Args)]
pub(crate) struct RunArgs {
    /// Seeds from A to B, B not included
    #[arg(long, value_parser = seeds, value_name = "A..B", conflicts_with = "budget")]
    pub(crate) seeds: Option<(u64, u64)>,
    /// As many seeds as fit into this time, such as 60s or 5m
    #[arg(long, value_parser = span, value_name = "TIME")]
    pub(crate) budget: Option<Duration>,
    /// Seeds at a time
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: u16,
    /// Writes the totals to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// These faults and operations alone, each in every seed (comma separated). Who names faults
    /// alone keeps what clients and servers do
    #[arg(long, value_parser = only, value_name = "FAULT,..")]
    pub(crate) only: Option<Only>,
    /// Gives up after so many failing seeds
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) failures: u16,
    /// Where cases of failing seeds are written
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub(crate) cases: PathBuf,
}

/// What to replay.
#[derive(clap::Args)]
pub(crate) struct ReplayArgs {
    /// A seed, or the file of a case
    #[arg(value_name = "SEED|CASE")]
    pub(crate) what: String,
    /// Stops after this event
    #[arg(long, value_name = "EVENT")]
    pub(crate) until: Option<u64>,
    /// Prints everything that happens
    #[arg(long)]
    pub(crate) trace: bool,
}

/// What is left of the swarm: draws that take precedence over each seed's own.
#[derive(Clone)]
pub(crate) struct Only(Vec<crate::choice::Draw>);

fn only(text: &str) -> Result<Only, String> {
    crate::swarm::only(&text.split(',').collect::<Vec<_>>()).map(Only)
}

impl RunArgs {
    /// Options of the runs that these arguments ask for.
    fn options(&self) -> crate::world::Options {
        let only = self.only.as_ref().map(|only| only.0.clone());
        crate::world::Options { only, ..options() }
    }
}

/// Options of every run that the command makes.
fn options() -> crate::world::Options {
    crate::world::Options { place_of_panic: Some(panics::last_place), ..Default::default() }
}

/// Does what the command line says.
pub fn main(args: Args) -> ExitCode {
    panics::silence();
    ExitCode::from(match args.command {
        Command::Run(args) => run::run(&args),
        Command::Replay(args) => replay::replay(&args),
    })
}

fn seeds(text: &str) -> Result<(u64, u64), String> {
    let (from, to) = text.split_once("..").ok_or("seeds are written as A..B")?;
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text:?}: {error}"));
    let (from, to) = (number(from)?, number(to)?);
    if from >= to {
        return Err(format!("no seed lies in {from}..{to}"));
    }
    Ok((from, to))
}

fn span(text: &str) -> Result<Duration, String> {
    let (number, factor) = match text.strip_suffix('m') {
        Some(minutes) => (minutes, 60),
        None => (text.strip_suffix('s').unwrap_or(text), 1),
    };
    let number: u64 = number.parse().map_err(|error| format!("{text:?}: {error}"))?;
    match number * factor {
        0 => Err("no time at all".into()),
        seconds => Ok(Duration::from_secs(seconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_and_spans_are_read_or_refused() {
        assert_eq!(seeds("3..17"), Ok((3, 17)));
        assert!(seeds("3").is_err() && seeds("5..5").is_err() && seeds("a..b").is_err());
        assert_eq!(span("60s"), Ok(Duration::from_secs(60)));
        assert_eq!(span("2m"), Ok(Duration::from_secs(120)));
        assert!(span("0s").is_err() && span("soon").is_err());
    }
}
