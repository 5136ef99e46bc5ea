//! Sweeps that do not come to a good end: what they leave, and what they say.

use std::path::PathBuf;
use std::process::{Command, Stdio};

mod command;

use command::{read, scratch, sim, text};

// LOOP-5: a run that hangs is told of like any that breaks a rule: printed, as a case, in the report.
#[test]
fn a_run_that_hangs_is_told_of() {
    let (cases, json) = (scratch("hung"), scratch("hung.json"));
    let dir = cases.to_str().expect("a path");
    // Without any patience, whatever runs at the first tick of the clock hangs.
    let args = ["run", "--seeds", "0..1000000", "--hung-after", "0", "--cases", dir, "--json"];
    let output = sim(&[&args[..], &[json.to_str().expect("a path")]].concat());
    let out = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{out}");
    let report = read(&json);
    assert_eq!(report["is_complete"], false);
    assert_eq!(report["ended_early"], "hung");
    let failure = &report["totals"]["failures"][0];
    assert_eq!((&failure["group"], &failure["rule"]), (&"progress".into(), &"LOOP-5".into()));
    let seed = failure["seed"].as_u64().expect("a seed");
    assert!(out.contains("progress LOOP-5: a run that has not ended after 0 s hangs"), "{out}");
    assert!(out.contains(&format!("\n  tidegate-sim replay {seed}")), "{out}");
    let left = std::fs::read_dir(&cases).expect("the directory");
    let left: Vec<PathBuf> = left.map(|entry| entry.expect("an entry").path()).collect();
    assert_eq!(left, [cases.join(format!("{seed}.case.sim"))]);
    let replay = sim(&["replay", left[0].to_str().expect("a path")]);
    assert_eq!(replay.status.code(), Some(0), "{}", text(&replay.stderr));
    std::fs::remove_dir_all(&cases).expect("the directory is there");
}

// The last seed there is is the last one that is run, by however many threads.
#[test]
fn the_largest_seed_is_run() {
    let (last, end) = (u64::MAX - 1, u64::MAX);
    let seeds = format!("{last}..{end}");
    let output = sim(&["run", "--seeds", &seeds, "--jobs", "3"]);
    let out = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{out}{}", text(&output.stderr));
    assert!(out.starts_with("seeds                       1 "), "{out}");
}

/// Waits for what is to come soon.
fn until(is_so: impl Fn() -> bool) {
    let pause = std::time::Duration::from_millis(20);
    for _ in 0..3000 {
        if is_so() {
            return;
        }
        #[expect(clippy::disallowed_methods, reason = "another process has to go on")]
        std::thread::sleep(pause);
    }
    panic!("it does not come");
}

// A command that dies without a word leaves the name of the seed that it ran, and no report of an
// earlier one.
#[test]
fn what_dies_leaves_the_name_of_its_seed() {
    let (cases, json) = (scratch("dead"), scratch("dead.json"));
    let (dir, path) = (cases.to_str().expect("a path"), json.to_str().expect("a path"));
    std::fs::write(&json, "{}").expect("a file");
    let mut child = Command::new(env!("CARGO_BIN_EXE_tidegate-sim"))
        .args(["run", "--seeds", "0..100000000", "--cases", dir, "--json", path])
        .stdout(Stdio::null())
        .spawn()
        .expect("the command runs");
    let note = cases.join(format!("running-{}-0", child.id()));
    let line = || std::fs::read_to_string(&note).unwrap_or_default();
    until(|| line().ends_with('\n'));
    child.kill().and_then(|()| child.wait()).expect("it is dead");
    let line = line();
    let seed = line.strip_prefix("tidegate-sim replay ").and_then(|rest| rest.split(' ').next());
    assert!(seed.is_some_and(|seed| seed.parse::<u64>().is_ok()), "{line}");
    assert!(!json.exists());
    std::fs::remove_dir_all(&cases).expect("the directory is there");
}

// Files that cannot be written are refused before anything runs.
#[test]
fn files_that_cannot_be_written_are_refused_first() {
    let shard = scratch("one.json");
    let of = shard.to_str().expect("a path");
    sim(&["run", "--seeds", "0..2", "--shard", "1/1", "--json", of]);
    let nowhere = "/nonexistent/file";
    let new = scratch("both");
    let new = new.to_str().expect("a path");
    for args in [
        &["run", "--seeds", "0..1000000", "--json", nowhere][..],
        &["run", "--seeds", "0..1000000", "--junit", nowhere],
        &["run", "--seeds", "0..1000000", "--json", "/"],
        &["shrink", "5", "-o", nowhere],
        &["shrink", "5", "--json", nowhere],
        &["merge", of, "--json", nowhere],
        &["merge", of, "--junit", nowhere],
        &["merge", of, "--json", of],
        // Nor is one the other.
        &["run", "--seeds", "0..1000000", "--json", new, "--junit", new],
        &["merge", of, "--json", new, "--junit", new],
    ] {
        let output = sim(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", text(&output.stdout));
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{args:?}");
    }
    assert_eq!(read(&shard)["totals"]["seeds"], 2, "it was not replaced");
}

// What breaks is told of, whatever became of the files and of the one who reads.
#[test]
fn a_full_disk_or_a_closed_pipe_hides_no_failure() {
    let (cases, junit) = (scratch("full"), scratch("full.xml"));
    let (dir, xml) = (cases.to_str().expect("a path"), junit.to_str().expect("a path"));
    let args = ["run", "--seeds", "0..1000000", "--hung-after", "0", "--cases", dir];
    let output = sim(&[&args[..], &["--json", "/dev/full", "--junit", xml]].concat());
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("/dev/full"), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("failing seeds"), "{}", text(&output.stdout));
    std::fs::remove_file(&junit).expect("the XML");
    let clean = ["run", "--seeds", "0..2", "--json", "/dev/full"];
    assert_eq!(sim(&clean).status.code(), Some(2));
    for (args, code) in [(&args[..], 1), (&["run", "--seeds", "0..2"], 0)] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tidegate-sim"))
            .args(args)
            .args(["--junit", xml])
            .current_dir(std::env::temp_dir())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the command runs");
        drop(child.stdout.take());
        assert_eq!(child.wait().expect("it ends").code(), Some(code), "{args:?}");
        std::fs::remove_file(&junit).expect("the XML");
    }
    std::fs::remove_dir_all(&cases).expect("the directory is there");
}

// Whoever interrupts a sweep has what it found until then, and no zero.
#[test]
fn an_interrupted_sweep_writes_its_reports() {
    let (cases, json, junit) = (scratch("stop"), scratch("stop.json"), scratch("stop.xml"));
    for signal in ["INT", "TERM"] {
        let child = Command::new(env!("CARGO_BIN_EXE_tidegate-sim"))
            .args(["run", "--seeds", "0..100000000", "--cases", cases.to_str().expect("a path")])
            .args(["--json", json.to_str().expect("a path")])
            .args(["--junit", junit.to_str().expect("a path")])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the command runs");
        let note = cases.join(format!("running-{}-0", child.id()));
        until(|| std::fs::read_to_string(&note).is_ok_and(|line| line.ends_with('\n')));
        let kill = format!("kill -{signal} {}", child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().is_ok_and(|it| it.success()));
        let output = child.wait_with_output().expect("it ends");
        let out = text(&output.stdout);
        assert_eq!(output.status.code(), Some(130), "{out}");
        let report = read(&json);
        assert_eq!(
            (&report["is_complete"], &report["ended_early"]),
            (&false.into(), &"interrupted".into())
        );
        let left = 100_000_000 - report["totals"]["seeds"].as_u64().expect("a number");
        assert!(out.contains(&format!("\ninterrupted: {left} of 100000000 not run\n")), "{out}");
        let xml = std::fs::read_to_string(&junit).expect("the XML");
        std::fs::remove_file(&junit).expect("the file is there");
        assert!(xml.contains("<failure type=\"incomplete\" message=\"interrupted: "), "{xml}");
    }
    assert_eq!(std::fs::read_dir(&cases).map(Iterator::count).ok(), Some(0), "nothing is left");
    std::fs::remove_dir_all(&cases).expect("the directory is there");
}
