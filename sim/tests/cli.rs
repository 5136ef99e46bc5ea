//! The command: exit codes, and what it prints and writes.

use std::path::PathBuf;

mod command;

use command::{read, scratch, sim, text};

#[test]
fn a_clean_run_exits_with_0_and_tells_what_it_did() {
    let json = scratch("totals.json");
    let path = json.to_str().expect("a path");
    let output = sim(&["run", "--seeds", "0..24", "--jobs", "2", "--json", path]);
    let out = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{out}");
    for word in ["seeds", "events", "completed", "run twice", "mark", "status: 2xx"] {
        assert!(out.contains(word), "{word}: {out}");
    }
    let report = read(&json);
    assert_eq!(report["totals"]["seeds"], 24);
    assert_eq!(report["totals"]["failures"].as_array().map(Vec::len), Some(0));
    // Nobody may have been served where a stop came in the middle of chaos, and there alone.
    let seeds = |mark: &str| report["marks"][mark]["seeds"].as_u64().expect("a mark");
    let (served, stopped) = (seeds("status: 2xx"), seeds("phase: stopped in the middle of chaos"));
    assert!(served <= 24 && served + stopped >= 24, "{served} and {stopped}");
}

// Where cases go is made before the seeds run; where it cannot be, nothing runs.
#[test]
fn a_directory_for_cases_is_made_or_refused_first() {
    let dir = scratch("cases");
    let inner = dir.join("of/today");
    let run = |cases: &PathBuf| {
        sim(&["run", "--seeds", "0..1", "--cases", cases.to_str().expect("a path")])
    };
    assert_eq!(run(&inner).status.code(), Some(0));
    assert!(inner.is_dir());
    let file = dir.join("file");
    std::fs::write(&file, "").expect("a file");
    let output = run(&file);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--cases"), "{}", text(&output.stderr));
    std::fs::remove_dir_all(&dir).expect("the directory is there");
}

#[test]
fn merged_shards_are_the_unsharded_run() {
    let whole = scratch("whole.json");
    sim(&["run", "--seeds", "5..45", "--json", whole.to_str().expect("a path")]);
    let shards: Vec<PathBuf> = (1..=3).map(|n| scratch(&format!("shard-{n}.json"))).collect();
    for (n, path) in (1..).zip(&shards) {
        let (shard, path) = (format!("{n}/3"), path.to_str().expect("a path"));
        let output = sim(&["run", "--seeds", "5..45", "--shard", &shard, "--json", path]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
        outside_of_a_repository(path);
    }
    let (sum, junit) = (scratch("sum.json"), scratch("sum.xml"));
    let paths: Vec<&str> = shards.iter().map(|path| path.to_str().expect("a path")).collect();
    let more =
        ["--json", sum.to_str().expect("a path"), "--junit", junit.to_str().expect("a path")];
    let output = sim(&[&["merge"][..], &paths, &more].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let (mut whole, mut sum) = (read(&whole), read(&sum));
    for report in [&mut whole, &mut sum] {
        report["totals"]["blocks"].take();
        for key in ["command", "commit", "seconds"] {
            report[key].take();
        }
    }
    assert_eq!(whole, sum);
    let xml = std::fs::read_to_string(&junit).expect("the XML");
    std::fs::remove_file(&junit).expect("the file is there");
    assert_eq!(xml.matches("<testcase classname=\"seeds\"").count(), 3, "{xml}");
    // One of them is missing, then one is there twice.
    let output = sim(&["merge", paths[0], paths[2]]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stderr), "error: shard 2/3 is missing\n");
    let output = sim(&["merge", paths[0], paths[1], paths[2], paths[1]]);
    assert!(text(&output.stderr).contains("shard 2/3 is there twice"));
    for path in shards {
        std::fs::remove_file(path).expect("the file is there");
    }
}

/// Names a commit in the report where the tests run without git, or else `merge` refuses it.
fn outside_of_a_repository(path: &str) {
    let report = std::fs::read_to_string(path).expect("the report");
    let named = report.replace("\"commit\": \"unknown\"", "\"commit\": \"c0ffee\"");
    std::fs::write(path, named).expect("the report");
}

// Quotas are those of the whole swarm: what a run of a part of it reached says nothing about them.
#[test]
fn quotas_come_from_whole_runs() {
    let json = scratch("quotas.json");
    let path = json.to_str().expect("a path");
    sim(&["run", "--seeds", "0..24", "--json", path]);
    let mut report = read(&json);
    let refused = |report: &serde_json::Value, why: &str| {
        std::fs::write(&json, report.to_string()).expect("a file");
        let output = sim(&["quotas", path]);
        assert_eq!(output.status.code(), Some(2), "{why}");
        assert!(text(&output.stderr).contains(why), "{}", text(&output.stderr));
    };
    refused(&report, "need 10000 seeds, and these are 24");
    report["shard"] = serde_json::json!({ "index": 1, "of": 1 });
    refused(&report, "not of 1/1");
    report["shard"].take();
    // As if it had been long enough.
    report["range"]["to"] = 10_000.into();
    report["totals"]["seeds"] = 10_000.into();
    std::fs::write(&json, report.to_string()).expect("a file");
    let output = sim(&["quotas", path]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    report["is_complete"] = false.into();
    refused(&report, "gave up");
    sim(&["run", "--seeds", "0..24", "--only", "reload,clog", "--json", path]);
    refused(&read(&json), "not of clog,reload");
    std::fs::remove_file(&json).expect("the file is there");
}

// A judged run passes when enough seeds reach each mark and fails when not: with one fault alone
// nobody changes the configuration, and the marks of that are named as missed.
#[test]
fn missed_quotas_fail_a_run_that_is_judged() {
    let sound = sim(&["run", "--seeds", "0..400", "--marks", "judge"]);
    assert_eq!(sound.status.code(), Some(0), "{}", text(&sound.stdout));
    assert!(text(&sound.stdout).contains("\n      missed                0\n"));
    let few = sim(&["run", "--seeds", "0..20"]);
    assert!(text(&few.stdout).contains("(not judged in this run)"));
    let narrow = ["run", "--seeds", "0..300", "--only", "clog"];
    let missed = sim(&[&narrow[..], &["--marks", "judge"]].concat());
    let out = text(&missed.stdout);
    assert_eq!(missed.status.code(), Some(1), "{out}");
    let is_missed = |line: &str| line.starts_with("control: applied ") && line.ends_with("MISSED");
    assert!(out.lines().any(is_missed), "{out}");
    assert!(!out.contains("\n      missed                0\n"), "{out}");
    let shown = sim(&[&narrow[..], &["--marks", "show"]].concat());
    assert_eq!(shown.status.code(), Some(0), "{}", text(&shown.stdout));
}

#[test]
fn golden_hashes_are_compared_and_renewed() {
    let path = scratch("golden.txt");
    let file = path.to_str().expect("a path");
    assert_eq!(sim(&["golden", file, "--renew"]).status.code(), Some(0));
    let kept = std::fs::read_to_string(&path).expect("the hashes");
    assert!(kept.contains("\nrustls 0.") && kept.contains("\n199 "), "{kept}");
    let other = kept.replace("\n7 ", "\n7 0");
    std::fs::write(&path, other).expect("written");
    let output = sim(&["golden", file]);
    std::fs::remove_file(&path).expect("the file is there");
    assert_eq!(output.status.code(), Some(1));
    let out = text(&output.stdout);
    assert!(out.contains("1 lines differ") && out.contains("--renew"), "{out}");
}

#[test]
fn the_number_of_jobs_changes_nothing() {
    let hash = |jobs: &str| {
        let output = sim(&["run", "--seeds", "0..30", "--jobs", jobs]);
        let out = text(&output.stdout);
        let line = out.lines().find(|line| line.starts_with("hash of all"));
        line.expect("a hash").to_string()
    };
    assert_eq!(hash("1"), hash("3"));
}

#[test]
fn a_replay_says_the_same_twice_and_traces() {
    let one = sim(&["replay", "5"]);
    assert_eq!(one.status.code(), Some(0));
    assert_eq!(text(&one.stdout), text(&sim(&["replay", "5"]).stdout));
    let traced = text(&sim(&["replay", "5", "--trace", "--until", "50"]).stdout);
    assert!(traced.contains("proxy: listen") && traced.contains("wire: Syn"), "{traced}");
    assert!(traced.ends_with("\nstopped after event 50 as asked\n"), "{traced}");
    // Each line is behind the number of its event, and these do not fall.
    let number = |line: &str| line.split_whitespace().next()?.parse::<u64>().ok();
    let told = traced.lines().filter(|line| line.contains("us "));
    let numbers: Vec<u64> = told.filter_map(number).collect();
    assert!(numbers.is_sorted() && numbers.len() > 20, "{numbers:?}");
    assert!(numbers.last().is_some_and(|last| (20..=50).contains(last)), "{numbers:?}");
}

#[test]
fn what_makes_no_sense_exits_with_2() {
    for args in [
        &["run", "--seeds", "9..3"][..],
        &["run", "--seeds", "1..3", "--budget", "5s"],
        &["run", "--jobs", "0"],
        &["run", "--seeds", "0..9", "--shard", "4/3"],
        &["run", "--seeds", "0..9", "--shard", "1/0"],
        &["run", "--seeds", "0..4", "--shard", "1/10"],
        &["run", "--from", "18446744073709551615", "--budget", "1s"],
        &["run", "--budget", "5s", "--shard", "1/3"],
        &["run", "--from", "5"],
        &["run", "--seeds", "0..9", "--shard", "1/3", "--marks", "judge"],
        &["merge"],
        &["merge", "no-such-file.json"],
        &["golden", "no-such-file.txt"],
        &["replay"],
        &["replay", "no-such-file.sim"],
        &["shout"],
    ] {
        let output = sim(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(!output.stderr.is_empty(), "{args:?}");
    }
}

// Whoever mistypes is told what was expected, and not what a library thought of it.
#[test]
fn mistakes_are_told_in_words() {
    let last = "is no seed: the last one is 18446744073709551615";
    let units = "is no span of time like 250ms, 10s or 1m (us, ms, s, m, h)";
    for (args, words) in [
        (&["replay", "99999999999999999999"][..], last),
        (&["shrink", "99999999999999999999"], last),
        (&["explain", ""], "neither a seed nor the file of a case"),
        (&["replay", ""], "neither a seed nor the file of a case"),
        (&["run", "--budget", "1h30m"], units),
        (&["run", "--budget", ""], units),
        (&["shrink", "5", "--budget", "5 s"], units),
        (&["run", "--seeds", "0..1", "--only", "clog,,reload"], ": an empty name"),
    ] {
        let output = sim(args);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        assert!(error.contains(words), "{args:?}: {error}");
    }
    let short = sim(&["run", "--budget", "20ms"]);
    assert_eq!(short.status.code(), Some(0), "{}", text(&short.stderr));
}

// Nothing is parsed and ignored: a sweep refuses every option of a rehearsal, and the other way
// round, with the configuration that it is for and without.
#[test]
fn options_of_sweeps_and_of_rehearsals_exclude_each_other() {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
    let config = format!("{examples}/sticky.toml");
    let page = scratch("unwritten.html");
    let page = page.to_str().expect("a path");
    let sweep: [&[&str]; 11] = [
        &["--seeds", "0..2"],
        &["--budget", "1s"],
        &["--from", "5"],
        &["--jobs", "1"],
        &["--junit", "unwritten.xml"],
        &["--shard", "1/2"],
        &["--marks", "show"],
        &["--only", "clog"],
        &["--failures", "1"],
        &["--cases", "."],
        &["--hung-after", "60"],
    ];
    let rehearsal: [&[&str]; 22] = [
        &["--config", &config],
        &["--outage", "a:1s..2s"],
        &["--freeze", "a:1s..2s"],
        &["--slow", "a:2x"],
        &["--reload", "next.toml@3s"],
        &["--rate", "5/s"],
        &["--duration", "1s"],
        &["--seed", "7"],
        &["--clients", "1"],
        &["--new-connections"],
        &["--patience", "1s"],
        &["--service", "1ms"],
        &["--concurrency", "1"],
        &["--client-rtt", "1ms"],
        &["--server-rtt", "1ms"],
        &["--post", "1"],
        &["--post-bytes", "1"],
        &["--body-bytes", "1"],
        &["--host", "a.example"],
        &["--path", "/a"],
        &["--listener", "a"],
        &["--html", page],
    ];
    let refused = |args: &[&[&str]]| {
        let args = [&[&["run"][..]], args].concat().concat();
        let output = sim(&args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", text(&output.stdout));
        assert!(!output.stderr.is_empty(), "{args:?}");
    };
    for option in sweep {
        refused(&[option, &["--config", &config]]);
        refused(&[&["--config", &config, "--rate", "5/s"], option]);
    }
    for option in rehearsal {
        refused(&[option, &["--seeds", "0..2"]]);
        refused(&[&["--budget", "1s"], option]);
    }
    for option in &rehearsal[1..] {
        refused(&[option]);
    }
    assert!(!std::path::Path::new(page).exists());
    // What stands in a rehearsal by default is no option that somebody gave.
    let json = scratch("rehearsed.json");
    let of = json.to_str().expect("a path");
    let args = ["run", "--config", &config, "--duration", "1s", "--seed", "7", "--json", of];
    let output = sim(&args);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(read(&json)["users"]["requests"].as_u64() > Some(0));
}

/// `--only` leaves what it names, in every seed; what it does not know is a usage error that helps.
#[test]
fn only_restricts_the_swarm_and_knows_its_names() {
    let json = scratch("only.json");
    let path = json.to_str().expect("a path of text");
    let done = sim(&["run", "--seeds", "0..12", "--only", "slow-head,reload", "--json", path]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stdout));
    let totals = std::fs::read_to_string(&json).expect("the totals");
    let _ = std::fs::remove_file(&json);
    let totals: serde_json::Value = serde_json::from_str(&totals).expect("JSON");
    let fired = |name: &str| totals["marks"][name]["seeds"].as_u64() > Some(0);
    assert!(fired("fault: slow-head") && fired("operation: reload"), "{totals}");
    assert!(!fired("fault: clog") && !fired("operation: balance"), "{totals}");
    for (wrong, hint) in [("slow-haed", "did you mean `slow-head`"), ("weather", "swizzle-clog")] {
        let refused = sim(&["run", "--seeds", "0..1", "--only", wrong]);
        assert_eq!(refused.status.code(), Some(2));
        assert!(text(&refused.stderr).contains(hint), "{}", text(&refused.stderr));
    }
}

/// The simulator has the points of the core at which rare ways are taken; that the proxy has none
/// of them is shown where the proxy is (`runtime/tests/buggify.rs`).
#[test]
fn the_simulator_has_the_points_of_the_core() {
    let bytes = std::fs::read(env!("CARGO_BIN_EXE_tidegate-sim")).expect("the command");
    let name = b"tidegate-buggify: early yield";
    assert!(bytes.windows(name.len()).any(|window| window == name));
}
