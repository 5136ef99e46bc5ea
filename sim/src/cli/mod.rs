//! The command `tidegate-sim`: runs seeds, replays one, makes it small and explains it.

mod build;
mod case;
mod explain;
mod files;
mod golden;
mod hunt;
mod junit;
mod lift;
mod merge;
mod panics;
mod plant;
mod rehearse;
mod replay;
mod report;
mod run;
mod shrink;
mod table;
mod twins;
mod watch;

pub use case::{Case, Origin};

use crate::choice::{Change, Source};
use crate::marks::quotas;
use crate::oracle::metamorphic::Variant;
use crate::rehearsal::plan::spelled_span;
use clap::{Parser, Subcommand, ValueEnum};
use report::Shard;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Everything held.
pub const CLEAN: u8 = 0;
/// An invariant broke.
pub const BROKEN: u8 = 1;
/// The command line makes no sense, or a file cannot be read.
pub const USAGE: u8 = 2;
/// The same seed gave two different runs, or another run with the other cipher.
pub const NONDETERMINISM: u8 = 3;
/// A signal ended the command, and nothing broke until then.
pub const INTERRUPTED: u8 = 130;

const EXIT_CODES: &str = "\
Exit codes: 0 clean, 1 a rule was broken, a mark missed its quota or seeds were not run, 2 usage \
or a file that could not be written, 3 two runs of one seed differed, 130 interrupted (SIGINT or \
SIGTERM; reports are written, and a second signal ends the command at once)";

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
    #[command(after_help = EXIT_CODES)]
    Run(Box<RunArgs>),
    /// Runs one seed, or a case that was written down
    Replay(ReplayArgs),
    /// Shows what a flight recording holds, and makes cases of its sessions
    Lift(LiftArgs),
    /// Finds the smallest case that breaks the same rule
    Shrink(ShrinkArgs),
    /// Tells the broken rule, the ledger rows and the causal chain in words
    Explain(ExplainArgs),
    /// Plants bugs and counts how many are found, and by which checker
    Plant(plant::PlantArgs),
    /// Runs seeds until a checker of a group fires
    #[command(hide = true)]
    Hunt(hunt::HuntArgs),
    /// Adds up the reports of all shards of a command
    Merge(MergeArgs),
    /// Prints quotas.txt as a report would have it
    Quotas {
        /// A report that `run --json` wrote
        #[arg(value_name = "JSON")]
        report: PathBuf,
    },
    /// Runs the seeds of a file of hashes, and compares
    Golden(GoldenArgs),
}

/// When too few seeds that reach a mark are a failure.
#[derive(Copy, Clone, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum JudgeMarks {
    /// With 10,000 seeds or more
    Auto,
    /// Always
    Judge,
    /// Never: the table is printed, and that is all
    Show,
}

impl JudgeMarks {
    /// Whether quotas are judged over so many seeds.
    pub(crate) fn judges(self, seeds: u64) -> bool {
        match self {
            JudgeMarks::Auto => seeds >= quotas::SEEDS_MIN,
            JudgeMarks::Judge => true,
            JudgeMarks::Show => false,
        }
    }
}

/// What to run.
#[derive(clap::Args)]
pub(crate) struct RunArgs {
    /// Seeds from A to B, B not included
    #[arg(long, value_parser = seeds, value_name = "A..B", conflicts_with = "budget")]
    pub(crate) seeds: Option<(u64, u64)>,
    /// As many seeds as fit into this time, such as 60s, 5m or 1.5h
    #[arg(long, value_parser = span, value_name = "TIME")]
    pub(crate) budget: Option<Duration>,
    /// The first seed of a budget
    #[arg(long, default_value_t = 0, requires = "budget", value_name = "SEED")]
    pub(crate) from: u64,
    /// Seeds at a time
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: u16,
    /// Writes the totals, or the report of a rehearsal, to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Writes them to this file as JUnit's XML
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Runs part I (from 1) of N parts of the seeds
    #[arg(long, value_parser = shard, value_name = "I/N", conflicts_with = "budget")]
    pub(crate) shard: Option<Shard>,
    /// When too few seeds that reach a mark are a failure; never for a shard
    #[arg(long, value_enum, default_value = "auto", value_name = "WHEN")]
    pub(crate) marks: JudgeMarks,
    /// These faults and operations alone, each in every seed (comma separated). Who names faults
    /// alone keeps what clients and servers do
    #[arg(long, value_parser = only, value_name = "FAULT,..")]
    pub(crate) only: Option<Only>,
    /// Gives up after so many failing seeds
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) failures: u16,
    /// Where cases of failing seeds are written; made if it is not there
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub(crate) cases: PathBuf,
    /// A run that takes longer than so many seconds hangs
    #[arg(long, hide = true, default_value_t = watch::HUNG_AFTER, value_name = "SECONDS")]
    pub(crate) hung_after: u64,
    #[command(flatten)]
    pub(crate) rehearsal: rehearse::RehearseArgs,
}

/// What to merge.
#[derive(clap::Args)]
pub(crate) struct MergeArgs {
    /// The report of each shard
    #[arg(required = true, value_name = "JSON")]
    pub(crate) reports: Vec<PathBuf>,
    /// Writes the sum to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Writes it to this file as JUnit's XML
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// When too few seeds that reach a mark are a failure
    #[arg(long, value_enum, default_value = "auto", value_name = "WHEN")]
    pub(crate) marks: JudgeMarks,
}

/// What to compare.
#[derive(clap::Args)]
pub(crate) struct GoldenArgs {
    /// The file of hashes
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Writes the file anew instead
    #[arg(long)]
    pub(crate) renew: bool,
}

/// What to lift.
#[derive(clap::Args)]
pub(crate) struct LiftArgs {
    /// The recording that `tidegate serve` wrote
    #[arg(value_name = "RECORDING")]
    pub(crate) recording: PathBuf,
    /// Only the session with this number, as the access log has it
    #[arg(long, value_name = "NUMBER")]
    pub(crate) session: Option<u64>,
    /// Lists every session
    #[arg(long)]
    pub(crate) list: bool,
    /// Prints every entry of the session
    #[arg(long, requires = "session")]
    pub(crate) trace: bool,
    /// Where the case is written, beside the recording by default; --list and --trace alone write
    /// none
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
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
    /// Runs the pair of worlds that differ in segments, batches, clock or copy
    #[arg(long, value_parser = variant, value_name = "NAME")]
    pub(crate) variant: Option<Variant>,
    /// Prints everything that happens, each line behind the number of its event
    #[arg(long)]
    pub(crate) trace: bool,
    /// Writes a timeline for a browser to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Writes the packets for Wireshark to this file, as pcapng
    #[arg(long, value_name = "FILE")]
    pub(crate) pcap: Option<PathBuf>,
    /// Records the proxy's sessions, as `tidegate serve` does, into this file for `lift`
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
}

/// What to shrink.
#[derive(clap::Args)]
pub(crate) struct ShrinkArgs {
    /// A seed, or the file of a case
    #[arg(value_name = "SEED|CASE")]
    pub(crate) what: String,
    /// Where the small case is written, `SEED.small.case.sim` by default
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Attempts at a time; changes nothing of what comes out
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: u16,
    /// Attempts at most
    #[arg(long, default_value_t = 20_000)]
    pub(crate) attempts: u64,
    /// Time at most, such as 60s or 5m
    #[arg(long, default_value = "60s", value_parser = span, value_name = "TIME")]
    pub(crate) budget: Duration,
    /// Writes what was measured to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// What to explain.
#[derive(clap::Args)]
pub(crate) struct ExplainArgs {
    /// A seed, or the file of a case
    #[arg(value_name = "SEED|CASE")]
    pub(crate) what: String,
}

/// What is left of the swarm.
#[derive(Clone)]
pub(crate) struct Only {
    /// Faults and operations in the order of their names, each once.
    names: Vec<String>,
    /// What that changes of each seed's own draws.
    changes: Vec<Change>,
}

fn only(text: &str) -> Result<Only, String> {
    let mut names: Vec<&str> = text.split(',').collect();
    if names.iter().any(|name| name.is_empty()) {
        return Err("an empty name".into());
    }
    let changes = crate::swarm::only(&names)?;
    names.sort_unstable();
    names.dedup();
    Ok(Only { names: names.into_iter().map(str::to_string).collect(), changes })
}

impl RunArgs {
    /// What differs from the seeds in the runs that these arguments ask for.
    fn changes(&self) -> &[Change] {
        self.only.as_ref().map_or(&[], |only| &only.changes)
    }

    /// The faults and operations that are left, if not all are.
    fn names(&self) -> Option<&[String]> {
        self.only.as_ref().map(|only| &only.names[..])
    }

    /// Options of the runs that these arguments ask for.
    fn options(&self) -> crate::world::Options {
        let source = match self.changes() {
            [] => Source::Seed,
            changes => Source::Changed(changes.iter().collect()),
        };
        crate::world::Options { source, ..options() }
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
        Command::Run(args) => match &args.rehearsal.config {
            Some(config) => rehearse::rehearse(config, &args),
            None => run::run(&args),
        },
        Command::Lift(args) => lift::lift(&args),
        Command::Replay(args) => replay::replay(&args),
        Command::Shrink(args) => shrink::shrink(&args),
        Command::Explain(args) => explain::explain(&args),
        Command::Plant(args) => plant::plant(&args),
        Command::Hunt(args) => hunt::hunt(&args),
        Command::Merge(args) => merge::merge(&args),
        Command::Quotas { report } => print_quotas(&report),
        Command::Golden(args) => golden::golden(&args),
    })
}

/// Complains; the exit code for what makes no sense.
fn usage(error: &str) -> u8 {
    let _ = writeln!(std::io::stderr(), "error: {error}");
    USAGE
}

fn print_quotas(path: &std::path::Path) -> u8 {
    let text = report::Report::read(path).and_then(|report| {
        report.whole().map_err(|why| format!("{}: {why}", path.display()))?;
        let reached: Vec<u64> = report.totals.marks.iter().map(|mark| mark.seeds).collect();
        quotas::renewed(&reached, report.totals.seeds)
    });
    match text {
        Ok(text) if std::io::stdout().write_all(text.as_bytes()).is_ok() => CLEAN,
        Ok(_) => USAGE,
        Err(error) => usage(&error),
    }
}

fn shard(text: &str) -> Result<Shard, String> {
    let (index, of) = text.split_once('/').ok_or("a shard is written as I/N")?;
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text:?}: {error}"));
    let (index, of) = (number(index)?, number(of)?);
    if of == 0 {
        return Err("seeds are split into one part at least".into());
    }
    if index == 0 || index > of {
        return Err(format!("shards are numbered from 1/{of} to {of}/{of}"));
    }
    Ok(Shard { index, of })
}

fn variant(text: &str) -> Result<Variant, String> {
    let names = Variant::ALL.map(Variant::name).join(", ");
    Variant::named(text).ok_or_else(|| format!("no variant {text:?}; there are {names}"))
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
    // A number alone means seconds.
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let nanos = match is_number && !text.is_empty() {
        true => spelled_span(&format!("{text}s"))?,
        false => spelled_span(text)?,
    };
    match u64::try_from(nanos) {
        Ok(0) => Err("no time at all".into()),
        Ok(nanos) => Ok(Duration::from_nanos(nanos)),
        Err(_) => Err("more time than there is".into()),
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
        assert_eq!(span("4h"), Ok(Duration::from_secs(14_400)));
        assert_eq!(span("90"), Ok(Duration::from_secs(90)));
        assert_eq!(span("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(span("1.5h"), Ok(Duration::from_secs(5400)));
        assert_eq!(span("200h"), Ok(Duration::from_secs(720_000)));
        assert!(span("99999999999999999h").is_err() && span("99999999999h").is_err());
        let wrong = span("1h30m").expect_err("one unit");
        assert!(wrong.contains("like 250ms, 10s or 1m (us, ms, s, m, h)"), "{wrong}");
        assert!(span("0s").is_err() && span("soon").is_err());
        assert_eq!(shard("2/3"), Ok(Shard { index: 2, of: 3 }));
        assert_eq!(variant("clock"), Ok(Variant::Clock));
        assert!(variant("weather").is_err());
        assert!(shard("1/0").is_err_and(|error| error.contains("one part at least")));
        assert!(shard("0/3").is_err() && shard("4/3").is_err() && shard("2").is_err());
    }
}
