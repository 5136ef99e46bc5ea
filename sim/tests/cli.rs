//! The command: exit codes, and what it prints and writes.

use std::path::PathBuf;
use std::process::{Command, Output};

fn sim(args: &[&str]) -> Output {
    let binary = env!("CARGO_BIN_EXE_tidegate-sim");
    // A failing run writes its cases where it stands.
    Command::new(binary)
        .args(args)
        .current_dir(std::env::temp_dir())
        .output()
        .expect("the command runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("{}-{name}", std::process::id()))
}

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
    let totals = std::fs::read_to_string(&json).expect("the totals");
    std::fs::remove_file(&json).expect("the file is there");
    assert!(totals.contains("\"seeds\":24") && totals.contains("\"failures\":[]"), "{totals}");
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
}

#[test]
fn what_makes_no_sense_exits_with_2() {
    for args in [
        &["run", "--seeds", "9..3"][..],
        &["run", "--seeds", "1..3", "--budget", "5s"],
        &["run", "--jobs", "0"],
        &["replay"],
        &["replay", "no-such-file.sim"],
        &["shout"],
    ] {
        let output = sim(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(!output.stderr.is_empty(), "{args:?}");
    }
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
    let fired = |name: &str| totals.contains(name);
    assert!(fired("fault: slow-head fired") && fired("operation: reload applied"), "{totals}");
    assert!(!fired("fault: clog fired") && !fired("operation: balance applied"), "{totals}");
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
