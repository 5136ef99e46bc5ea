//! `tidegate-sim merge`: the shards of a campaign become one report.

use super::files::Files;
use super::report::{Range, Report};
use super::{BROKEN, INTERRUPTED, MergeArgs, usage};
use std::io::Write;
use std::path::{Path, PathBuf};

const INCOMPLETE: &str = "not every seed was run, and the hash is not that of all";

/// Merges the reports and prints what came out; the exit code. The quotas of marks are judged, if
/// there are seeds enough.
pub(crate) fn merge(args: &MergeArgs) -> u8 {
    let reports: Result<Vec<(PathBuf, Report)>, String> =
        args.reports.iter().map(|path| Ok((path.clone(), Report::read(path)?))).collect();
    let all = reports.and_then(|reports| Ok((apart(args)?, merged(&reports)?)));
    match all {
        Ok((files, report)) => {
            if !report.is_complete {
                let _ = writeln!(std::io::stderr(), "a shard ended early: {INCOMPLETE}");
            }
            let judges = args.marks.judges(report.totals.seeds);
            // It was a shard that was interrupted, and not this command.
            match report.finish(judges, &files) {
                INTERRUPTED => BROKEN,
                code => code,
            }
        }
        Err(error) => usage(&error),
    }
}

/// Where the sum is wanted: not in the place of a shard, which would be lost.
fn apart(args: &MergeArgs) -> Result<Files, String> {
    let shards: Vec<(&str, &Path)> =
        args.reports.iter().map(|path| ("what is merged", &**path)).collect();
    Files::new(&shards, args.json.as_deref(), args.junit.as_deref())
}

/// The sum of all shards of one command.
///
/// # Errors
/// Shards of different builds or different commands, shards that are missing or there twice.
fn merged(reports: &[(PathBuf, Report)]) -> Result<Report, String> {
    let Some(((first_path, first), others)) = reports.split_first() else {
        return Err("nothing to merge".into());
    };
    let name = |path: &PathBuf| path.display().to_string();
    for (path, report) in reports {
        let (Some(_), Some(_)) = (report.range, report.shard) else {
            return Err(format!("{} is no shard: run with --seeds and --shard", name(path)));
        };
        if report.commit == "unknown" {
            return Err(format!("{} is of an unknown commit, as any other may be", name(path)));
        }
        fits(first, report).map_err(|(one, other)| {
            format!("{} is {one}, {} {other}", name(first_path), name(path))
        })?;
    }
    // Reports of older builds do not say what ran.
    let known = |(path, report): &'_ (PathBuf, Report)| Some((name(path), report.binary.clone()?));
    let mut programs = reports.iter().filter_map(known);
    let program = programs.next();
    if let Some((path, one)) = &program
        && let Some((other_path, other)) = programs.find(|(_, other)| other != one)
    {
        return Err(format!(
            "{path} and {other_path} are of the same commit, and of two builds: the program was \
             {one}, and {other}"
        ));
    }
    let count = first.shard.map_or(0, |shard| shard.of);
    for index in 1..=count {
        let mine =
            |(_, report): &&(PathBuf, Report)| report.shard.is_some_and(|s| s.index == index);
        let found: Vec<String> = reports.iter().filter(mine).map(|(path, _)| name(path)).collect();
        match found.len() {
            1 => {}
            0 => return Err(format!("shard {index}/{count} is missing")),
            _ => return Err(format!("shard {index}/{count} is there twice: {}", found.join(", "))),
        }
    }
    let mut sum = first.clone();
    for (_, report) in others {
        sum.totals.merge(&report.totals);
        sum.seconds += report.seconds;
        sum.jobs = sum.jobs.max(report.jobs);
        sum.is_complete &= report.is_complete;
        sum.ended_early = sum.ended_early.or(report.ended_early);
    }
    sum.binary = program.map(|(_, digest)| digest);
    sum.shard = None;
    sum.command = std::env::args().collect();
    sum.name_marks();
    Ok(sum)
}

/// Whether two shards are of one command; if not, of which each is.
fn fits(first: &Report, report: &Report) -> Result<(), (String, String)> {
    let commit = |report: &Report| format!("of commit {}", report.commit);
    let left = |report: &Report| {
        let names = report.only.as_ref().map_or_else(|| "everything".into(), |it| it.join(","));
        format!("a run of {names}")
    };
    let of = |report: &Report| {
        let Range { from, to } = report.range.unwrap_or(Range { from: 0, to: 0 });
        format!("of {from}..{to} in {} shards", report.shard.map_or(0, |shard| shard.of))
    };
    for words in [&commit as &dyn Fn(&Report) -> String, &left, &of] {
        let both = (words(first), words(report));
        if both.0 != both.1 {
            return Err(both);
        }
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::cli::CLEAN;
    use crate::cli::report::{Block, Early, FORMAT, Shard, Totals};
    use crate::world::{Options, run};
    use std::time::Duration;

    /// The report of a shard of the seeds 0 to 100.
    pub(crate) fn report(index: u64, of: u64) -> Report {
        let range = Range { from: 0, to: 100 };
        let mut totals = Totals { seeds: 50, hash: index, ..Totals::default() };
        let first = range.shard(Shard { index, of }).from;
        totals.blocks.insert(first, Block { seeds: 50, seconds: 1.0 });
        let mut report = Report {
            format: FORMAT,
            commit: "c0ffee".into(),
            binary: None,
            command: vec!["tidegate-sim".into(), "run".into()],
            range: Some(range),
            shard: Some(Shard { index, of }),
            only: None,
            is_complete: true,
            ended_early: None,
            jobs: 1,
            seconds: 2.0,
            totals,
            marks: Default::default(),
        };
        report.name_marks();
        report
    }

    fn merge_of(reports: Vec<Report>) -> Result<Report, String> {
        let named = reports.into_iter().enumerate();
        merged(&named.map(|(n, report)| (format!("{n}.json").into(), report)).collect::<Vec<_>>())
    }

    #[test]
    fn shards_that_do_not_fit_are_refused_by_name() {
        let whole = merge_of(vec![report(2, 2), report(1, 2)]).expect("both shards");
        assert_eq!((whole.totals.seeds, whole.totals.hash, whole.shard), (100, 3, None));
        assert_eq!(merge_of(vec![report(1, 2)]), Err("shard 2/2 is missing".into()));
        let twice = merge_of(vec![report(1, 2), report(1, 2), report(2, 2)]);
        assert_eq!(twice, Err("shard 1/2 is there twice: 0.json, 1.json".into()));
        let mut other = report(2, 2);
        other.commit = "dead".into();
        let error = merge_of(vec![report(1, 2), other]).expect_err("another commit");
        assert_eq!(error, "0.json is of commit c0ffee, 1.json of commit dead");
        let error = merge_of(vec![report(1, 2), report(2, 3)]).expect_err("another split");
        assert!(error.contains("0..100 in 2 shards") && error.contains("in 3 shards"), "{error}");
        let narrow = |index: u64, names: &[&str]| {
            let names = names.iter().map(ToString::to_string).collect();
            Report { only: Some(names), ..report(index, 2) }
        };
        let error = merge_of(vec![report(1, 2), narrow(2, &["clog"])]).expect_err("another swarm");
        assert_eq!(error, "0.json is a run of everything, 1.json a run of clog");
        let error = merge_of(vec![narrow(1, &["clog"]), narrow(2, &["clog", "reload"])]);
        assert_eq!(error, Err("0.json is a run of clog, 1.json a run of clog,reload".into()));
        let sum = merge_of(vec![narrow(1, &["clog"]), narrow(2, &["clog"])]).expect("both shards");
        assert_eq!(sum.only, Some(vec!["clog".to_string()]));
        let mut whole = report(1, 1);
        whole.shard = None;
        assert!(merge_of(vec![whole]).is_err(), "no shard");
    }

    // One commit may be built twice, and outside a repository nobody knows what was.
    #[test]
    fn shards_of_two_builds_are_refused() {
        let of =
            |index: u64, digest: &str| Report { binary: Some(digest.into()), ..report(index, 3) };
        let old = || report(2, 3);
        let same = merge_of(vec![old(), of(1, "8-aa"), of(3, "8-aa")]).expect("one build");
        assert_eq!(same.binary.as_deref(), Some("8-aa"), "and an older report");
        let error = merge_of(vec![of(1, "8-aa"), old(), of(3, "8-bb")]).expect_err("two builds");
        let both = error.contains("0.json and 2.json") && error.contains("8-aa, and 8-bb");
        assert!(both && error.contains("two builds"), "{error}");
        let unknown = |index| Report { commit: "unknown".into(), ..report(index, 2) };
        let error = merge_of(vec![unknown(1), unknown(2)]).expect_err("nobody knows");
        assert!(error.contains("unknown commit"), "{error}");
    }

    #[test]
    fn the_sum_of_the_shards_is_the_whole() {
        let range = Range { from: 3, to: 21 };
        let totals = |range: Range| {
            let mut totals = Totals::default();
            for seed in range.from..range.to {
                totals.add(&run(seed, Options::default()), range.from, Duration::ZERO);
            }
            totals
        };
        let whole = totals(range);
        let mut sum = Totals::default();
        for index in [4, 1, 3, 2] {
            sum.merge(&totals(range.shard(Shard { index, of: 4 })));
        }
        sum.blocks = whole.blocks.clone();
        assert_eq!(sum, whole);
    }

    // What a file says is no reason to panic.
    #[test]
    fn sums_end_at_the_largest_number() {
        let all = u64::MAX;
        let mut sum = report(1, 2).totals;
        let mut other = Totals { seeds: all, virtual_nanos: all, ..report(2, 2).totals };
        other.completed_by_seed.insert(3, all);
        other.blocks.insert(0, Block { seeds: all, seconds: 1.0 });
        (other.marks[0].seeds, other.marks[0].visits) = (all, all);
        sum.merge(&other);
        sum.merge(&other);
        assert_eq!((sum.seeds, sum.marks[0].seeds, sum.median_completed()), (all, all, 3));
        let report = Report { totals: sum, ..report(1, 2) };
        report.print(&mut Vec::new()).expect("written");
    }

    // Nobody adds up what no sweep says, whoever wrote it.
    #[test]
    fn reports_that_make_no_sense_are_refused() {
        let path = std::env::temp_dir().join(format!("senseless-{}.json", std::process::id()));
        let refused = |report: Report, why: &str| {
            std::fs::write(&path, report.json()).expect("a file");
            let error = Report::read(&path).expect_err(why);
            assert!(error.contains(why), "{error}");
        };
        let named = |index, of| Report { shard: Some(Shard { index, of }), ..report(1, 2) };
        refused(named(3, 2), "no shard 3/2");
        refused(named(0, 2), "no shard 0/2");
        refused(named(0, 0), "no shard 0/0");
        let range = |from, to| Report { range: Some(Range { from, to }), ..report(1, 2) };
        refused(range(5, 5), "no seed lies in 5..5");
        refused(range(9, 3), "no seed lies in 9..3");
        refused(Report { marks: Default::default(), ..report(1, 2) }, "no marks");
        let of = |seeds| {
            let whole = report(1, 2);
            Report { totals: Totals { seeds, ..whole.totals.clone() }, ..whole }
        };
        refused(of(49), "complete, with 49 seeds of 50");
        refused(of(51), "51 seeds of 50");
        refused(Report { is_complete: false, ..of(u64::MAX) }, "seeds of 50");
        let early = Report { is_complete: false, ..of(49) };
        std::fs::write(&path, early.json()).expect("a file");
        assert_eq!(Report::read(&path), Ok(early));
        std::fs::remove_file(&path).expect("the file is there");
    }

    // What is kept of earlier campaigns can be read, whatever was added since; but marks may go.
    #[test]
    fn reports_of_earlier_campaigns_are_read() {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/campaigns");
        let all = std::fs::read_dir(dir).expect("the directory");
        let all = all.map(|entry| entry.expect("an entry").path());
        let mut count = 0;
        for path in all.filter(|path| path.extension().is_some_and(|it| it == "json")) {
            count += 1;
            match Report::read(&path).and_then(|report| report.whole()) {
                Ok(()) => {}
                Err(error) => assert!(error.contains("knows no mark"), "{error}"),
            }
        }
        assert!(count > 0, "{dir}");
    }

    // Whoever gives up says so: shards and their sum.
    #[test]
    fn seeds_that_were_not_run_are_told_of() {
        let printed = |report: &Report| {
            let mut text = Vec::new();
            report.print(&mut text).expect("written");
            String::from_utf8(text).expect("text")
        };
        assert!(!printed(&report(1, 2)).contains("not run"));
        let early = Report { is_complete: false, ..report(1, 2) };
        let early = Report { totals: Totals { seeds: 3, ..early.totals.clone() }, ..early };
        assert!(printed(&early).ends_with("gave up after 0 failing seeds: 47 of 50 not run\n"));
        let hung = Report { ended_early: Some(Early::Hung), ..early.clone() };
        let sum = merge_of(vec![report(2, 2), hung]).expect("both shards");
        assert!(printed(&sum).ends_with("ended by a run that hangs: 47 of 100 not run\n"));
        assert_eq!((sum.verdict(0), report(1, 2).verdict(0)), (BROKEN, CLEAN));
        let stopped = Report { ended_early: Some(Early::Interrupted), ..early.clone() };
        assert_eq!((stopped.verdict(0), stopped.verdict(1)), (INTERRUPTED, BROKEN));
        let budget = Report { range: None, shard: None, ..early };
        assert!(printed(&budget).ends_with("gave up after 0 failing seeds\n"));
    }

    #[test]
    fn a_report_is_written_and_read() {
        let mut whole = Report { is_complete: false, ..report(1, 2) };
        whole.totals.seeds = 3;
        whole.totals.add(&run(5, Options::default()), 0, Duration::from_millis(3));
        whole.name_marks();
        let path = std::env::temp_dir().join(format!("report-{}.json", std::process::id()));
        std::fs::write(&path, whole.json()).expect("a file");
        let read = Report::read(&path);
        std::fs::remove_file(&path).expect("the file is there");
        assert_eq!(read, Ok(whole));
    }
}
