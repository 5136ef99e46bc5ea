//! What a command says of its seeds: totals, marks, failures, for people and for machines.

use super::CLEAN;
use super::files::Files;
use super::table;
use crate::choice::mix;
use crate::marks::quotas::SEEDS_MIN;
use crate::marks::{self, Mark};
use crate::world::Outcome;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// The version of the format that `--json` writes and `merge` reads.
pub(crate) const FORMAT: u32 = 1;
/// A range of seeds is told of in so many blocks at most.
const BLOCKS_MAX: u64 = 200;
/// Seeds of the smallest block.
const BLOCK_MIN: u64 = 100;

/// Seeds `from..to`.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Debug)]
pub(crate) struct Range {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

impl Range {
    /// How many seeds these are.
    pub(crate) fn len(self) -> u64 {
        self.to - self.from
    }

    /// Part `index` (from 1) of `of` parts that differ by one seed at most.
    pub(crate) fn shard(self, Shard { index, of }: Shard) -> Range {
        let cut = |n: u64| {
            let offset = u128::from(self.len()) * u128::from(n) / u128::from(of);
            self.from + offset as u64
        };
        Range { from: cut(index - 1), to: cut(index) }
    }
}

/// Part `index` of `of`, from 1.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Debug)]
pub(crate) struct Shard {
    pub(crate) index: u64,
    pub(crate) of: u64,
}

/// A seed that failed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
pub(crate) struct Failure {
    pub(crate) seed: u64,
    /// The checker's group; `determinism` for a seed whose runs differ.
    pub(crate) group: String,
    /// The rule that was broken.
    pub(crate) rule: String,
    /// What was seen.
    pub(crate) message: String,
    /// The event at which it was seen.
    pub(crate) event: u64,
    /// The line to paste.
    pub(crate) replay: String,
}

/// Some seeds in a row.
#[derive(Copy, Clone, Default, PartialEq, Serialize, Deserialize, Debug)]
pub(crate) struct Block {
    /// Seeds of it that were run.
    pub(crate) seeds: u64,
    /// Processor seconds that they took.
    pub(crate) seconds: f64,
}

/// How often a mark was reached.
#[derive(Copy, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Debug)]
pub(crate) struct Reached {
    /// Seeds that reached it.
    pub(crate) seeds: u64,
    /// All visits.
    pub(crate) visits: u64,
}

/// Sums over the seeds of one command, or of one of its threads.
#[derive(Clone, PartialEq, Serialize, Deserialize, Debug)]
pub(crate) struct Totals {
    pub(crate) seeds: u64,
    pub(crate) events: u64,
    /// Events of runs that were made beside a seed's own: again, with the other cipher,
    /// under a recorder, as a pair.
    #[serde(default)]
    pub(crate) events_beside: u64,
    pub(crate) virtual_seconds: u64,
    pub(crate) virtual_nanos: u64,
    pub(crate) requests: u64,
    pub(crate) completed: u64,
    pub(crate) healed_seeds: u64,
    pub(crate) twice: u64,
    /// Seeds run with the real cipher, and again with the stand-in.
    pub(crate) both: u64,
    /// Seeds run once more under a recorder.
    #[serde(default)]
    pub(crate) recorded: u64,
    /// Seeds run as a pair of worlds, too, between which clients must see no difference.
    #[serde(default)]
    pub(crate) metamorphic: u64,
    /// Every seed's hash, in a sum that does not depend on their order.
    #[serde(with = "hex")]
    pub(crate) hash: u64,
    /// How many seeds completed so many requests.
    pub(crate) completed_by_seed: BTreeMap<u64, u64>,
    /// By the first seed of each block.
    pub(crate) blocks: BTreeMap<u64, Block>,
    /// Two runs of a seed differed.
    pub(crate) differing: u64,
    pub(crate) failures: Vec<Failure>,
    /// In the order of the catalogue.
    #[serde(skip)]
    pub(crate) marks: Vec<Reached>,
}

impl Default for Totals {
    fn default() -> Self {
        Totals {
            seeds: 0,
            events: 0,
            events_beside: 0,
            virtual_seconds: 0,
            virtual_nanos: 0,
            requests: 0,
            completed: 0,
            healed_seeds: 0,
            twice: 0,
            both: 0,
            recorded: 0,
            metamorphic: 0,
            hash: 0,
            completed_by_seed: BTreeMap::new(),
            blocks: BTreeMap::new(),
            differing: 0,
            failures: Vec::new(),
            marks: vec![Reached::default(); marks::COUNT],
        }
    }
}

/// The size of the blocks in which `range` is told of.
pub(crate) fn block_size(range: Range) -> u64 {
    if range.to == u64::MAX { 1_000 } else { range.len().div_ceil(BLOCKS_MAX).max(BLOCK_MIN) }
}

impl Totals {
    /// Counts one run.
    pub(crate) fn add(&mut self, outcome: &Outcome, block: u64, took: Duration) {
        self.seeds += 1;
        self.events += outcome.events;
        self.hash = self.hash.wrapping_add(mix(outcome.hash ^ mix(outcome.seed)));
        self.pass(outcome.virtual_nanos);
        self.requests += outcome.requests;
        self.completed += outcome.completed;
        self.healed_seeds += u64::from(outcome.healed > 0);
        *self.completed_by_seed.entry(outcome.completed).or_default() += 1;
        let block = self.blocks.entry(block).or_default();
        block.seeds += 1;
        block.seconds += took.as_secs_f64();
        for (total, &visits) in self.marks.iter_mut().zip(outcome.marks.visits()) {
            total.seeds += u64::from(visits > 0);
            total.visits += u64::from(visits);
        }
    }

    fn pass(&mut self, nanos: u64) {
        let nanos = self.virtual_nanos.saturating_add(nanos);
        add(&mut self.virtual_seconds, nanos / 1_000_000_000);
        self.virtual_nanos = nanos % 1_000_000_000;
    }

    /// Adds the totals of other seeds; the same whatever the order. Those of a file may say
    /// anything.
    pub(crate) fn merge(&mut self, other: &Totals) {
        add(&mut self.seeds, other.seeds);
        add(&mut self.events, other.events);
        add(&mut self.events_beside, other.events_beside);
        add(&mut self.virtual_seconds, other.virtual_seconds);
        self.pass(other.virtual_nanos);
        add(&mut self.requests, other.requests);
        add(&mut self.completed, other.completed);
        add(&mut self.healed_seeds, other.healed_seeds);
        add(&mut self.twice, other.twice);
        add(&mut self.both, other.both);
        add(&mut self.recorded, other.recorded);
        add(&mut self.metamorphic, other.metamorphic);
        self.hash = self.hash.wrapping_add(other.hash);
        add(&mut self.differing, other.differing);
        for (&completed, &seeds) in &other.completed_by_seed {
            add(self.completed_by_seed.entry(completed).or_default(), seeds);
        }
        for (&first, block) in &other.blocks {
            let mine = self.blocks.entry(first).or_default();
            add(&mut mine.seeds, block.seeds);
            mine.seconds += block.seconds;
        }
        self.failures.extend(other.failures.iter().cloned());
        self.failures.sort_by_key(|failure| failure.seed);
        for (mine, other) in self.marks.iter_mut().zip(&other.marks) {
            add(&mut mine.seeds, other.seeds);
            add(&mut mine.visits, other.visits);
        }
    }

    /// How many requests the median seed completed.
    pub(crate) fn median_completed(&self) -> u64 {
        let mut before = 0;
        let median = self.completed_by_seed.iter().find(|&(_, seeds)| {
            add(&mut before, *seeds);
            before > self.seeds / 2
        });
        median.map_or(0, |(&completed, _)| completed)
    }

    /// How many marks were reached.
    pub(crate) fn reached(&self) -> usize {
        self.marks.iter().filter(|mark| mark.seeds > 0).count()
    }
}

fn add(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more);
}

/// 64 bits as 16 digits: not every reader of JSON keeps them as a number.
mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(hash: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format!("{hash:016x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        u64::from_str_radix(&String::deserialize(from)?, 16).map_err(D::Error::custom)
    }
}

/// Why a sweep ended before its last seed.
#[derive(Copy, Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Early {
    /// Too many seeds failed.
    GaveUp,
    /// A run did not end.
    Hung,
    /// Somebody interrupted it.
    Interrupted,
    /// The simulator itself panicked, outside of a run.
    Panicked,
}

impl Early {
    fn words(self, failures: usize) -> String {
        match self {
            Early::GaveUp => format!("gave up after {failures} failing seeds"),
            Early::Hung => "ended by a run that hangs".into(),
            Early::Interrupted => "interrupted".into(),
            Early::Panicked => "ended by a panic of the simulator itself".into(),
        }
    }
}

/// All that one command says of its seeds.
#[derive(Clone, PartialEq, Serialize, Deserialize, Debug)]
pub(crate) struct Report {
    pub(crate) format: u32,
    /// The commit that was built, `unknown` outside a repository; if nobody told the build, the one
    /// that was checked out when the run began.
    pub(crate) commit: String,
    /// A digest of the program, which tells builds of the same commit apart; absent in older
    /// reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) binary: Option<String>,
    /// The command line.
    pub(crate) command: Vec<String>,
    /// The seeds that were asked for, before they were split; absent for a budget of time.
    pub(crate) range: Option<Range>,
    /// The part of them that was run, if not all.
    pub(crate) shard: Option<Shard>,
    /// The faults and operations that were left of the swarm, in the order of their names; absent
    /// if all were.
    pub(crate) only: Option<Vec<String>>,
    /// Whether every seed was run.
    pub(crate) is_complete: bool,
    /// Why it was not; absent in older reports, which gave up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ended_early: Option<Early>,
    /// Threads.
    pub(crate) jobs: u64,
    /// Seconds on the wall; of merged reports the sum.
    pub(crate) seconds: f64,
    pub(crate) totals: Totals,
    /// By name.
    pub(crate) marks: BTreeMap<String, Reached>,
}

impl Report {
    /// As it stands in a file.
    pub(crate) fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Reads the report in the file at `path`.
    ///
    /// # Errors
    /// What the file system says; no report; another format; marks that this build does not know.
    pub(crate) fn read(path: &Path) -> Result<Report, String> {
        let say = |error: String| format!("{}: {error}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| say(error.to_string()))?;
        let mut report: Report =
            serde_json::from_str(&text).map_err(|error| say(error.to_string()))?;
        if report.format != FORMAT {
            return Err(say(format!("format {}, this build reads {FORMAT}", report.format)));
        }
        report.sound().map_err(say)?;
        let mut names = report.marks.clone();
        report.totals.marks =
            Mark::all().map(|mark| names.remove(&mark.name()).unwrap_or_default()).collect();
        match names.into_keys().next() {
            Some(name) => Err(say(format!("this build knows no mark {name:?}"))),
            None => Ok(report),
        }
    }

    /// Refuses what no sweep says.
    fn sound(&self) -> Result<(), String> {
        if let Some(Shard { index, of }) = self.shard
            && !(1..=of).contains(&index)
        {
            return Err(format!("there is no shard {index}/{of}"));
        }
        if let Some(Range { from, to }) = self.range
            && from >= to
        {
            return Err(format!("no seed lies in {from}..{to}"));
        }
        if self.marks.is_empty() {
            return Err("no marks, not even those that no seed reached".into());
        }
        let seeds = self.totals.seeds;
        match self.asked() {
            Some(all) if seeds > all => Err(format!("{seeds} seeds of {all}")),
            Some(all) if self.is_complete && seeds < all => {
                Err(format!("it is said to be complete, with {seeds} seeds of {all}"))
            }
            _ => Ok(()),
        }
    }

    /// Refuses what quotas cannot follow from.
    ///
    /// # Errors
    /// Says what is missing: a part of the swarm, or some of the seeds.
    pub(crate) fn whole(&self) -> Result<(), String> {
        if let Some(names) = &self.only {
            return Err(format!("quotas are those of the whole swarm, not of {}", names.join(",")));
        }
        if let Some(Shard { index, of }) = self.shard {
            return Err(format!("quotas are those of all shards, not of {index}/{of}: merge them"));
        }
        if let Some(lack) = self.lack() {
            return Err(format!("quotas need every seed, and this run {lack}"));
        }
        match self.totals.seeds {
            seeds if seeds < SEEDS_MIN => {
                Err(format!("quotas need {SEEDS_MIN} seeds, and these are {seeds}"))
            }
            _ => Ok(()),
        }
    }

    /// How many seeds were asked for; `None` for as many as fit into a budget.
    fn asked(&self) -> Option<u64> {
        let range = self.range?;
        Some(self.shard.map_or(range, |shard| range.shard(shard)).len())
    }

    /// Why seeds were not run, and how many, in words; `None` if all were.
    pub(crate) fn lack(&self) -> Option<String> {
        let why = self.ended_early.unwrap_or(Early::GaveUp).words(self.totals.failures.len());
        let lack = match self.asked() {
            Some(all) => {
                format!("{why}: {} of {all} not run", all.saturating_sub(self.totals.seeds))
            }
            None => why,
        };
        (!self.is_complete).then_some(lack)
    }

    /// Takes the marks over from the totals, by name.
    pub(crate) fn name_marks(&mut self) {
        let reached = Mark::all().zip(&self.totals.marks);
        self.marks = reached.map(|(mark, reached)| (mark.name(), *reached)).collect();
    }

    /// The table at the end, on `out`.
    ///
    /// # Errors
    /// When nobody reads it.
    pub(crate) fn print(&self, out: &mut impl Write) -> std::io::Result<()> {
        let totals = &self.totals;
        let seconds = self.seconds.max(0.001);
        let per = |n: u64| n as f64 / seconds;
        let virtual_seconds = totals.virtual_seconds as f64 + totals.virtual_nanos as f64 / 1e9;
        writeln!(out, "seeds            {:>12}   {:>10.0} /s", totals.seeds, per(totals.seeds))?;
        let popped = per(totals.events.saturating_add(totals.events_beside));
        writeln!(out, "events           {:>12}", totals.events)?;
        writeln!(
            out,
            "       beside    {:>12}   {popped:>10.0} /s with them",
            totals.events_beside
        )?;
        let completed = per(totals.completed);
        writeln!(out, "requests begun   {:>12}", totals.requests)?;
        writeln!(out, "       completed {:>12}   {completed:>10.0} /s", totals.completed)?;
        writeln!(out, "       median    {:>12}   a seed", totals.median_completed())?;
        let healed = u128::from(totals.healed_seeds) * 100 / u128::from(totals.seeds.max(1));
        writeln!(out, "served healed    {:>12}   {healed:>10} % of seeds", totals.healed_seeds)?;
        writeln!(out, "run twice        {:>12}", totals.twice)?;
        writeln!(out, "both ciphers     {:>12}", totals.both)?;
        writeln!(out, "recorded         {:>12}", totals.recorded)?;
        writeln!(out, "metamorphic      {:>12}", totals.metamorphic)?;
        writeln!(out, "hash of all      {:>16x}", totals.hash)?;
        let ratio = virtual_seconds / seconds;
        let density = totals.events as f64 / virtual_seconds.max(1e-9);
        writeln!(out, "virtual time     {virtual_seconds:>11.0}s   {ratio:>10.0} : 1")?;
        writeln!(out, "events           {density:>12.1}   a virtual second")?;
        writeln!(out, "failing seeds    {:>12}", totals.failures.len())?;
        self.lack().map_or(Ok(()), |lack| writeln!(out, "{lack}"))
    }

    /// The exit code for what was found, where so many marks missed their quota.
    pub(crate) fn verdict(&self, missed: usize) -> u8 {
        match (self.totals.differing, self.totals.failures.len() + missed) {
            (0, 0) if self.is_complete => CLEAN,
            (0, 0) if self.ended_early == Some(Early::Interrupted) => super::INTERRUPTED,
            (0, _) => super::BROKEN,
            _ => super::NONDETERMINISM,
        }
    }

    /// Writes the report where it is wanted and prints it; the exit code. `judges`: whether a
    /// missed quota is a failure. A broken rule is told of by the exit code whatever could not be
    /// written, and whoever closes the pipe has read enough.
    pub(crate) fn finish(&self, judges: bool, files: &Files) -> u8 {
        let reach = match table::Reach::new(&self.totals) {
            Ok(reach) => reach,
            Err(error) => return super::usage(&error),
        };
        let missed = if judges { reach.missed() } else { Vec::new() };
        let mut code = self.verdict(missed.len());
        let mut lost = |error: String| {
            let usage = super::usage(&error);
            code = if code == CLEAN { usage } else { code };
        };
        files.write(self, &missed).into_iter().for_each(&mut lost);
        let mut out = std::io::stdout().lock();
        let printed = self.print(&mut out).and_then(|()| reach.print(&mut out, judges));
        if let Err(error) = printed.and_then(|()| out.flush())
            && error.kind() != std::io::ErrorKind::BrokenPipe
        {
            lost(format!("standard output: {error}"));
        }
        code
    }
}
