//! `tidegate-sim plant`: counts how many planted bugs the oracle finds, and by which checker.

mod patch;
mod small;
mod tree;

use super::hunt::{Bag, Bite};
use super::twins::DETERMINISM;
use super::{BROKEN, CLEAN, USAGE, usage};
use crate::oracle::GROUPS;
use patch::Plant;
use serde_json::{Value, json};
use small::Small;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tree::{Copy, Hunted, say};

/// Where the tree keeps its own patches.
pub(crate) const DIR: &str = "sim/plants";
/// What a seed may take beyond the time of its bug, before it is taken for hanging.
const GRACE: Duration = Duration::from_secs(30);
/// Groups that no patch has to break: the run itself, not a rule of the product's.
pub(crate) const UNPLANTED: [&str; 2] = ["metamorphic", "panic"];

/// What to plant.
#[derive(clap::Args)]
pub(crate) struct PlantArgs {
    /// Directory of patches [default: sim/plants]
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Seeds for each bug at most
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Seeds at a time
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: u16,
    /// Seconds that the seeds of one bug may take
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// These patches alone
    #[arg(long, value_delimiter = ',', value_name = "NAME,..")]
    only: Vec<String>,
    /// Where the copy of the tree is made, and built [default: target/plants]
    #[arg(long, value_name = "DIR")]
    place: Option<PathBuf>,
    /// Shrinks each bug that is found, for a minute at most, and replays what is left
    #[arg(long)]
    shrink: bool,
    /// Writes the table to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What became of one bug.
enum Fate {
    /// The seeds were run.
    Hunted(Bag),
    /// A run hung, which is no checker's merit.
    Hung,
    /// The patch does not apply, or what it makes does not compile.
    Unsound(String),
}

struct Row {
    plant: Plant,
    fate: Fate,
    build: Duration,
    hunt: Duration,
    /// What `--shrink` made of the found seed, or why it made nothing.
    small: Option<Result<Small, String>>,
}

impl Row {
    fn found(&self) -> Option<&Bite> {
        match &self.fate {
            Fate::Hunted(bag) => bag.found.as_ref(),
            Fate::Hung | Fate::Unsound(_) => None,
        }
    }

    /// The row of the table, and below it what other groups saw first.
    fn lines(&self) -> String {
        let groups = match self.plant.groups.as_slice() {
            [] => "(any)".to_string(),
            groups => groups.join(","),
        };
        let (verdict, seed, seeds) = match &self.fate {
            Fate::Hunted(Bag { found: Some(found), seeds, .. }) => {
                (format!("{} {}", found.group, found.rule), found.seed.to_string(), *seeds)
            }
            Fate::Hunted(bag) => ("NOT FOUND".into(), "-".into(), bag.seeds),
            Fate::Hung => ("HANGS".into(), "-".into(), 0),
            Fate::Unsound(_) => ("ERROR".into(), "-".into(), 0),
        };
        let (build, hunt) = (self.build.as_secs_f64(), self.hunt.as_secs_f64());
        let name = &self.plant.name;
        let mut text = format!(
            "{name:<42} {groups:<32} {verdict:<22} {seed:>5} {seeds:>5} {build:>5.1} {hunt:>5.1}"
        );
        match &self.fate {
            Fate::Unsound(error) => text.push_str(&format!("\n    {error}")),
            Fate::Hunted(bag) => {
                for Bite { seed, group, rule, message } in &bag.others {
                    let message: String = message.chars().take(100).collect();
                    text.push_str(&format!("\n    seed {seed}: {group} {rule}: {message}"));
                }
            }
            Fate::Hung => {}
        }
        match &self.small {
            Some(Ok(small)) => text.push_str(&small.line()),
            Some(Err(error)) => text.push_str(&format!("\n    {error}")),
            None => {}
        }
        text
    }

    fn json(&self) -> Value {
        let (found, others, seeds) = match &self.fate {
            Fate::Hunted(bag) => (json!(bag.found), json!(bag.others), json!(bag.seeds)),
            _ => (Value::Null, json!([]), Value::Null),
        };
        let error = match &self.fate {
            Fate::Unsound(error) => Some(error.as_str()),
            Fate::Hung => Some("hangs"),
            Fate::Hunted(_) => None,
        };
        json!({
            "bug": self.plant.name,
            "groups": self.plant.groups,
            "rule": self.plant.rule,
            "story": self.plant.story,
            "found": found,
            "others": others,
            "seeds": seeds,
            "build_seconds": self.build.as_secs_f64(),
            "hunt_seconds": self.hunt.as_secs_f64(),
            "small": self.small.as_ref().and_then(|small| small.as_ref().ok()),
            "error": error,
        })
    }
}

/// Plants one bug after the other and prints what became of each; the exit code.
pub(crate) fn plant(args: &PlantArgs) -> u8 {
    match run(args) {
        Ok(rows) => exit_code(&rows),
        Err(error) => usage(&error),
    }
}

fn exit_code(rows: &[Row]) -> u8 {
    let is_lost = |small: &Result<Small, String>| small.as_ref().is_ok_and(|it| !it.replays);
    let fails = |row: &Row| row.found().is_none() || row.small.as_ref().is_some_and(is_lost);
    let is_unsound =
        |row: &Row| matches!(row.fate, Fate::Unsound(_)) || matches!(row.small, Some(Err(_)));
    if rows.iter().any(is_unsound) {
        USAGE
    } else if rows.iter().any(fails) {
        BROKEN
    } else {
        CLEAN
    }
}

fn run(args: &PlantArgs) -> Result<Vec<Row>, String> {
    let root = tree::root()?;
    let dir = args.dir.clone().unwrap_or_else(|| root.join(DIR));
    let mut plants = Plant::all(&dir)?;
    if let Some(name) = args.only.iter().find(|name| !plants.iter().any(|p| p.name == **name)) {
        return Err(format!("{}: no patch {name:?}", dir.display()));
    }
    plants.retain(|plant| args.only.is_empty() || args.only.contains(&plant.name));
    let place = args.place.clone().unwrap_or_else(|| root.join("target/plants"));
    let place = std::path::absolute(&place).map_err(|e| format!("{}: {e}", place.display()))?;
    let copy = Copy::of(&root, &place)?;
    // A tree that does not build by itself says nothing about its patches.
    copy.build_sound().map_err(|error| format!("without any bug: {error}"))?;
    let (bug, group, by) = ("bug", "its groups", "found by");
    say(&format!("{bug:<42} {group:<32} {by:<22}  seed seeds build  hunt (seconds)"));
    let mut rows = Vec::with_capacity(plants.len());
    for plant in plants {
        let row = one(args, &copy, plant)?;
        say(&row.lines());
        rows.push(row);
    }
    drop(copy);
    say(&summary(&rows));
    if let Some(path) = &args.json {
        let text = json!(rows.iter().map(Row::json).collect::<Vec<_>>()).to_string();
        std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(rows)
}

fn one(args: &PlantArgs, copy: &Copy, plant: Plant) -> Result<Row, String> {
    let nothing = Duration::ZERO;
    if let Err(error) = copy.plant(&plant.path) {
        let fate = Fate::Unsound(error);
        return Ok(Row { plant, fate, build: nothing, hunt: nothing, small: None });
    }
    let (built, build) = timed(|| copy.build());
    let (binary, fate, hunt) = match built {
        Err(error) => (None, Fate::Unsound(error), nothing),
        Ok(binary) => {
            let (fate, hunt) = timed(|| seeds(args, &binary, &plant));
            (Some(binary), fate, hunt)
        }
    };
    let mut row = Row { plant, fate, build, hunt, small: None };
    if let (Some(binary), Some(found), true) = (binary, row.found(), args.shrink) {
        row.small = Some(small::shrink(&binary, found.seed, copy.place()));
    }
    copy.uproot(&row.plant.path)?;
    Ok(row)
}

fn seeds(args: &PlantArgs, binary: &Path, plant: &Plant) -> Fate {
    let mut hunt = vec![format!("--seeds=0..{}", args.seeds), format!("--jobs={}", args.jobs)];
    // A panic is no checker's merit.
    let checkers = GROUPS.iter().filter(|group| !UNPLANTED.contains(group));
    let checkers = checkers.chain([&DETERMINISM]).map(ToString::to_string);
    let groups = match plant.groups.as_slice() {
        [] => checkers.collect(),
        groups => groups.to_vec(),
    };
    hunt.push(format!("--groups={}", groups.join(",")));
    hunt.push(format!("--within={}", args.limit));
    match tree::hunt(binary, &hunt, Duration::from_secs(args.limit) + GRACE) {
        Ok(Hunted::Bag(bag)) => Fate::Hunted(bag),
        Ok(Hunted::Hung) => Fate::Hung,
        Err(error) => Fate::Unsound(error),
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    #[expect(clippy::disallowed_methods, reason = "the command measures the real world")]
    let start = Instant::now();
    let done = work();
    (done, start.elapsed())
}

fn summary(rows: &[Row]) -> String {
    let mut seeds: Vec<u64> = rows
        .iter()
        .filter(|row| row.found().is_some())
        .map(|row| match &row.fate {
            Fate::Hunted(bag) => bag.seeds,
            Fate::Hung | Fate::Unsound(_) => 0,
        })
        .collect();
    seeds.sort_unstable();
    let (found, all) = (seeds.len(), rows.len());
    let median = seeds.get(found / 2).copied().unwrap_or(0);
    let most = seeds.last().copied().unwrap_or(0);
    let is_any = rows.iter().any(|row| row.plant.groups.is_empty());
    let note = if is_any { "\n(any): no header says which group, so that any counts" } else { "" };
    let small: Vec<&Small> =
        rows.iter().filter_map(|row| row.small.as_ref()?.as_ref().ok()).collect();
    format!(
        "\n{found} of {all} found, after {median} seeds in the median, {most} at most{note}{}",
        small::summary(&small)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(fate: Fate) -> Row {
        let plant = Plant { name: "bug".into(), groups: vec!["bytes".into()], ..Plant::default() };
        Row { plant, fate, build: Duration::ZERO, hunt: Duration::ZERO, small: None }
    }

    fn bag(found: Option<&str>) -> Fate {
        let found = found.map(|group| Bite {
            seed: 6,
            group: group.into(),
            rule: "RES-2".into(),
            message: String::new(),
        });
        Fate::Hunted(Bag { found, others: Vec::new(), seeds: 7 })
    }

    #[test]
    fn the_worst_row_decides() {
        assert_eq!(exit_code(&[row(bag(Some("bytes")))]), CLEAN);
        assert_eq!(exit_code(&[row(bag(Some("bytes"))), row(bag(None))]), BROKEN);
        assert_eq!(exit_code(&[row(Fate::Hung)]), BROKEN);
        assert_eq!(exit_code(&[row(bag(None)), row(Fate::Unsound("no".into()))]), USAGE);
        let unshrunk = Row { small: Some(Err("no".into())), ..row(bag(Some("bytes"))) };
        assert!(unshrunk.lines().ends_with("\n    no"));
        assert_eq!(exit_code(&[unshrunk]), USAGE);
    }

    #[test]
    fn rows_say_what_was_found() {
        assert!(row(bag(Some("bytes"))).lines().contains("bytes RES-2"));
        assert!(row(bag(None)).lines().contains("NOT FOUND"));
        assert!(row(Fate::Unsound("does not apply".into())).lines().contains("does not apply"));
        let rows = [row(bag(Some("bytes"))), row(bag(None))];
        assert!(summary(&rows).contains("1 of 2 found, after 7 seeds in the median, 7 at most"));
    }
}
