//! From a failure to its understanding: a case is written, replayed in another process, explained,
//! shrunk, drawn and captured. The failure is one that needs no broken product: a limit of events.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output};
use tidegate_sim::choice::{Change, Source, What};
use tidegate_sim::cli::{Case, Origin};
use tidegate_sim::oracle::metamorphic::Variant;
use tidegate_sim::world::{Options, run};

/// Events after which the runs of these tests count as endless.
const LIMIT: u64 = 400;

/// A directory of its own for one test, gone with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let dir = std::env::temp_dir().join(format!("tidegate-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory");
        Scratch(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn sim(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate-sim"));
        command.args(args).current_dir(&self.0).output().expect("the command runs")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A case that fails by its limit of events, in the file `name`.
fn endless(scratch: &Scratch, name: &str) -> Case {
    endless_of(scratch, name, None)
}

/// The same of a pair, if `variant` says of which; it is the first world that breaks.
fn endless_of(scratch: &Scratch, name: &str, variant: Option<Variant>) -> Case {
    let outcome = run(5, Options { events_max: Some(LIMIT), variant, ..Options::default() });
    let mut case = Case::of(&outcome, Origin::Seed(5), &[]).expect("it does not end");
    case.limit = LIMIT;
    std::fs::write(scratch.path(name), case.to_string()).expect("a file");
    case
}

// LOOP-5: a run that does not end leaves a case, which fails alike in another process.
#[test]
fn a_run_without_an_end_replays_from_its_case() {
    let scratch = Scratch::new("replay");
    let case = endless(&scratch, "case.sim");
    let output = scratch.sim(&["replay", "case.sim"]);
    let out = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{out}");
    assert!(out.contains(&format!("hash {:016x}", case.hash)) && out.contains("LOOP-5"), "{out}");
    assert!(!out.contains("another build"), "{out}");
    assert!(case.scenario.contains("clients"), "{}", case.scenario);
}

// Whoever stops before the end is told so, and where the case would have broken its rule; whoever
// would stop behind it is told what broke.
#[test]
fn a_replay_that_is_stopped_says_so() {
    let scratch = Scratch::new("until");
    endless(&scratch, "case.sim");
    let output = scratch.sim(&["replay", "case.sim", "--until", "100"]);
    let out = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{out}");
    let words = "stopped after event 100 as asked; the case breaks progress LOOP-5 in event 399\n";
    assert!(out.ends_with(words), "{out}");
    let output = scratch.sim(&["replay", "case.sim", "--until", "399", "--trace"]);
    let out = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{out}");
    assert!(out.contains("as the case says:") && !out.contains("stopped"), "{out}");
    let last = out.lines().rfind(|line| line.contains("us "));
    assert!(last.is_some_and(|line| line.trim_start().starts_with("399 ")), "{out}");
}

// A replay says how it goes with the case: that another build wrote it, that another rule is
// broken, or none any more, or that the case is not what was written.
#[test]
fn a_replay_is_held_against_its_case() {
    let scratch = Scratch::new("held");
    let case = endless(&scratch, "case.sim");
    let replayed = |case: &Case| {
        std::fs::write(scratch.path("case.sim"), case.to_string()).expect("a file");
        let output = scratch.sim(&["replay", "case.sim"]);
        (output.status.code(), text(&output.stdout))
    };
    let (code, out) = replayed(&case);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("as the case says:\nprogress LOOP-5"), "{out}");
    assert!(!out.contains("commit") && !out.contains("edited"), "{out}");
    let elsewhere = Case { commit: "0123456".into(), hash: 7, ..case.clone() };
    let (code, out) = replayed(&elsewhere);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("the case is of commit 0123456, this is "), "{out}");
    assert!(out.contains("as the case says:") && !out.contains("edited"), "{out}");
    let (code, out) = replayed(&Case { hash: 7, ..case.clone() });
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("hash 0000000000000007, and two runs here are the same"), "{out}");
    assert!(out.contains("the case was edited"), "{out}");
    let other = Case { group: "answers".into(), rule: "RES-7".into(), ..elsewhere };
    let (code, out) = replayed(&other);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("another rule than the case's answers RES-7:\nprogress"), "{out}");
    let (code, out) = replayed(&Case { limit: 3_000_000, ..other.clone() });
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("clean: the case's answers RES-7 is not broken any more"), "{out}");
    // A limit that cuts the run off is no bug of the product.
    let (code, out) = replayed(&Case { message: "request 3".into(), ..other });
    assert_eq!(code, Some(2), "{out}");
    assert!(out.contains("`limit 400` ends this run before it breaks answers RES-7"), "{out}");
    assert!(!out.contains("LOOP-5"), "{out}");
    for command in ["explain", "shrink"] {
        let output = scratch.sim(&[command, "case.sim"]);
        assert_eq!(output.status.code(), Some(2), "{command}: {}", text(&output.stdout));
        assert!(text(&output.stderr).contains("`limit 400` ends this run"), "{command}");
    }
}

#[test]
fn what_is_no_case_is_refused_with_its_line() {
    let scratch = Scratch::new("malformed");
    let good = endless(&scratch, "case.sim").to_string();
    std::fs::write(scratch.path("bad.sim"), good.replace("event ", "evening ")).expect("a file");
    for command in ["replay", "shrink", "explain"] {
        let output = scratch.sim(&[command, "bad.sim"]);
        assert_eq!(output.status.code(), Some(2), "{command}");
        let error = text(&output.stderr);
        assert!(error.contains("bad.sim: line 9: `event`"), "{command}: {error}");
    }
    // Cut within a line that cannot be read then, and behind one.
    let at = good.find("message").expect("a message") + 12;
    for (name, end) in [("within.sim", at), ("behind.sim", good.len() - 4)] {
        std::fs::write(scratch.path(name), &good[..end]).expect("a file");
        let output = scratch.sim(&["replay", name]);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.ends_with("it was cut short\n"), "{error}");
    }
    std::fs::write(scratch.path("binary.sim"), [0xff; 40]).expect("a file");
    let output = scratch.sim(&["explain", "binary.sim"]);
    assert!(text(&output.stderr).contains("binary.sim: no case: it is no text"), "{output:?}");
}

#[test]
fn an_explanation_has_rule_message_and_causes() {
    let scratch = Scratch::new("explain");
    endless(&scratch, "case.sim");
    let output = scratch.sim(&["explain", "case.sim"]);
    let out = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{out}");
    for word in ["LOOP-5", "The rule", "What was seen", "The ledger", "What led to it", "event "] {
        assert!(out.contains(word), "{word}: {out}");
    }
    let clean = scratch.sim(&["explain", "5"]);
    assert_eq!(clean.status.code(), Some(0));
}

// The small case breaks the same rule, in another process too, and is no larger.
#[test]
fn a_shrunk_case_breaks_the_same_rule_elsewhere() {
    let scratch = Scratch::new("shrink");
    endless(&scratch, "case.sim");
    let args = ["shrink", "case.sim", "-o", "small.sim", "--attempts", "200", "--jobs", "2"];
    let output = scratch.sim(&args);
    let out = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{out} {}", text(&output.stderr));
    for word in ["before: ", "after: ", "attempts in", "#[test]", "Case::assert_clean"] {
        assert!(out.contains(word), "{word}: {out}");
    }
    let small = Case::read(&scratch.path("small.sim")).expect("a case");
    assert_eq!((small.group.as_str(), small.rule.as_str()), ("progress", "LOOP-5"));
    assert!(!small.changes.is_empty());
    assert_eq!(scratch.sim(&["replay", "small.sim"]).status.code(), Some(1));
    let clean = scratch.sim(&["shrink", "5"]);
    assert_eq!(clean.status.code(), Some(0), "{}", text(&clean.stderr));
}

// A pair whose first world breaks is explained, traced, drawn, captured and shrunk like any run.
#[test]
fn a_pair_whose_first_world_breaks_can_be_understood() {
    let scratch = Scratch::new("pair");
    let case = endless_of(&scratch, "case.sim", Some(Variant::Copy));
    let files = ["--html", "page.html", "--pcap", "c.pcapng", "--trace"];
    let output = scratch.sim(&[&["replay", "case.sim"][..], &files].concat());
    let out = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{out}");
    assert!(out.contains("proxy: listen") && out.contains(&format!("{:016x}", case.hash)), "{out}");
    let page = std::fs::read_to_string(scratch.path("page.html")).expect("a page");
    assert!(page.contains("LOOP-5"));
    assert!(std::fs::metadata(scratch.path("c.pcapng")).expect("a capture").len() > 10_000);
    let output = scratch.sim(&["explain", "case.sim"]);
    let out = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{out}");
    assert!(out.contains("breaks LOOP-5") && out.contains("What led to it"), "{out}");
    let output = scratch.sim(&["shrink", "case.sim", "-o", "small.sim", "--attempts", "40"]);
    let out = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{out} {}", text(&output.stderr));
    let small = Case::read(&scratch.path("small.sim")).expect("a case");
    assert_eq!((small.variant, small.changes.is_empty()), (Some(Variant::Copy), false));
}

// A case of two runs that differed is replayed as that, with the changes that it holds, and compares
// what it is about; no single run of it breaks a rule.
#[test]
fn a_case_of_two_runs_compares_them_and_nothing_else() {
    let scratch = Scratch::new("twins");
    let changes = tidegate_sim::swarm::only(&["clog"]).expect("a fault");
    let source = Source::Changed(changes.iter().collect());
    let hash = run(5, Options { source, ..Options::default() }).hash;
    assert_ne!(hash, run(5, Options::default()).hash);
    let whole = endless(&scratch, "case.sim");
    let rules = [("SAME-SEED", "two runs"), ("BOTH-CIPHERS", "the runs with either cipher")];
    for (rule, name) in rules {
        let (group, rule) = ("determinism".into(), rule.into());
        let changes = changes.clone();
        let case = Case { group, rule, limit: 3_000_000, hash, changes, ..whole.clone() };
        std::fs::write(scratch.path("twins.sim"), case.to_string()).expect("a file");
        let output = scratch.sim(&["replay", "twins.sim"]);
        let out = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{out}");
        assert!(out.contains(&format!("hash {hash:016x}")), "{out}");
        assert!(out.contains(&format!("{name} in this process are the same")), "{out}");
        for command in ["explain", "shrink"] {
            let output = scratch.sim(&[command, "twins.sim"]);
            assert_eq!(output.status.code(), Some(2), "{command}");
            assert!(text(&output.stderr).contains("replay compares them"), "{command}");
        }
    }
}

// A recording of production is replayed, and no option is ignored that only a world can follow; a
// number is a seed, be there a file of that name or not.
#[test]
fn a_recording_takes_no_options_of_worlds() {
    let scratch = Scratch::new("recording");
    let changes = [Change::new("swarm/buggify", What::All, 0)];
    let source = Source::Changed(changes.iter().collect());
    let outcome = run(5, Options { flight: Some(1 << 24), source, ..Options::default() });
    let bytes = outcome.flight.expect("a recording");
    std::fs::write(scratch.path("w.rec"), &bytes).expect("a file");
    std::fs::write(scratch.path("5"), &bytes).expect("a file");
    let output = scratch.sim(&["replay", "w.rec"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("sessions replayed"));
    for option in [
        &["--trace"][..],
        &["--until", "5"],
        &["--variant", "copy"],
        &["--html", "page.html"],
        &["--pcap", "c.pcapng"],
        &["--record", "again.rec"],
    ] {
        let output = scratch.sim(&[&["replay", "w.rec"], option].concat());
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{option:?}: {error}");
        assert!(error.contains(option[0]) && error.contains("lift w.rec --session"), "{error}");
    }
    for name in ["page.html", "c.pcapng", "again.rec"] {
        assert!(!scratch.path(name).exists(), "{name}");
    }
    // A world is recorded while it is replayed, and what was recorded is lifted.
    let output = scratch.sim(&["replay", "5", "--record", "again.rec"]);
    assert!(text(&output.stdout).contains("seed 5: "), "{}", text(&output.stderr));
    let output = scratch.sim(&["lift", "again.rec"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("seed 5"), "{}", text(&output.stdout));
    // A file without an end is no recording after a few bytes, and no case either.
    let output = scratch.sim(&["replay", "/dev/zero"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stdout));
    // Larger than any recording, and refused for that.
    let size = ((2_u64 << 30) + 1).to_string();
    let grown = Command::new("truncate").args(["-s", &size]).arg(scratch.path("w.rec")).status();
    assert!(grown.expect("truncate is installed").success(), "a file with a hole");
    let output = scratch.sim(&["replay", "w.rec"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("bytes, and no recording has more than"), "{output:?}");
}

// What is read is not written over, nor one output by another; and whoever only looks at a
// recording finds no new file beside it.
#[test]
fn no_file_is_written_over() {
    let scratch = Scratch::new("outputs");
    let changes = [Change::new("swarm/buggify", What::All, 0)];
    let source = Source::Changed(changes.iter().collect());
    let outcome = run(5, Options { flight: Some(1 << 24), source, ..Options::default() });
    let bytes = outcome.flight.expect("a recording");
    std::fs::write(scratch.path("own.case"), &bytes).expect("a file");
    std::fs::write(scratch.path("w.rec"), &bytes).expect("a file");
    let case = endless(&scratch, "5.small.case.sim").to_string();
    for (args, words) in [
        (&["lift", "own.case"][..], "-o own.case: that is what is lifted"),
        (&["lift", "w.rec", "-o", "./w.rec"], "-o ./w.rec: that is what is lifted"),
        (&["replay", "5", "--html", "x", "--pcap", "x"], "--pcap x: that is --html"),
        (&["replay", "5", "--pcap", "x", "--record", "x"], "--record x: that is --pcap"),
        (&["replay", "5.small.case.sim", "--html", "5.small.case.sim"], "that is the case"),
        (&["shrink", "5.small.case.sim"], "-o 5.small.case.sim: that is the case"),
        (&["shrink", "5.small.case.sim", "-o", "x", "--json", "x"], "--json x: that is -o"),
    ] {
        let output = scratch.sim(args);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        assert!(error.contains(words), "{args:?}: {error}");
    }
    let read = |name: &str| std::fs::read(scratch.path(name)).expect("a file");
    assert!(read("own.case") == bytes && read("w.rec") == bytes);
    assert_eq!(read("5.small.case.sim"), case.as_bytes());
    let listed = text(&scratch.sim(&["lift", "w.rec", "--list"]).stdout);
    let first = listed.lines().find(|line| line.ends_with(" replayable")).expect("a session");
    let session = first.split_whitespace().nth(1).expect("its number");
    let traced = scratch.sim(&["lift", "w.rec", "--session", session, "--trace"]);
    assert_eq!(traced.status.code(), Some(0), "{}", text(&traced.stderr));
    // It is a recording, and none of a world's failures.
    for command in ["shrink", "explain"] {
        let output = scratch.sim(&[command, "own.case"]);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains("own.case: a flight recording: use `lift` or `replay`"), "{error}");
    }
    let mut files: Vec<_> = std::fs::read_dir(&scratch.0).expect("a directory").collect();
    assert_eq!(files.len(), 3, "{files:?}");
    let lifted = scratch.sim(&["lift", "w.rec", "--session", session, "--trace", "-o", "one.case"]);
    assert!(text(&lifted.stdout).ends_with("replay one.case\n"), "{}", text(&lifted.stdout));
    files = std::fs::read_dir(&scratch.0).expect("a directory").collect();
    assert_eq!(files.len(), 4, "{files:?}");
}

/// A program's command, if it is installed.
fn program(name: &str) -> Option<Command> {
    let is_there = Command::new(name).arg("--version").output().is_ok();
    if !is_there {
        let _ = writeln!(std::io::stderr(), "skipped: {name} is not installed");
    }
    is_there.then(|| Command::new(name))
}

// Wireshark takes the capture for one of a network: no bad checksum, no segment missing.
#[test]
fn tshark_finds_nothing_wrong_with_a_capture() {
    let scratch = Scratch::new("pcap");
    assert_eq!(scratch.sim(&["replay", "5", "--pcap", "c.pcapng"]).status.code(), Some(0));
    if program("tshark").is_none() {
        return;
    }
    let ask = |filter: &str| {
        let mut command = Command::new("tshark");
        command.args(["-r", "c.pcapng", "-o", "tcp.check_checksum:TRUE"]);
        command.args(["-o", "ip.check_checksum:TRUE", "-Y", filter]).current_dir(&scratch.0);
        text(&command.output().expect("tshark runs").stdout).lines().count()
    };
    let wrong = "tcp.checksum.status == 0 or ip.checksum.status == 0 or tcp.analysis.lost_segment \
                 or tcp.analysis.retransmission or tcp.analysis.out_of_order \
                 or tcp.analysis.ack_lost_segment";
    assert_eq!(ask(wrong), 0);
    assert!(ask("http.request") > 20 && ask("http.response") > 20);
    assert!(ask("frame.comment contains \"event\"") > 100);
}

/// Watches for errors, clicks where the violation is drawn, and says in the title what came of it.
const LOOK: &str = "<script>setTimeout(() => {
  const at = timeline.at(timeline.violation), canvas = document.getElementById('canvas');
  const box = canvas.getBoundingClientRect(), details = document.getElementById('details');
  document.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape' }));
  const before = details.dataset.event;
  for (const kind of ['pointerdown', 'pointerup']) canvas.dispatchEvent(new PointerEvent(kind,
    { clientX: box.left + at.x, clientY: box.top + at.y, pointerId: 1, bubbles: true }));
  const clicked = details.dataset.event, words = details.textContent;
  for (const key of ['c', 'ArrowLeft', 'ArrowUp', 'w', 's', 'f', 'r', 'l', 't', 'v', 'Escape', '?'])
    document.dispatchEvent(new KeyboardEvent('keydown', { key }));
  document.title = ['looked', errors.length ? errors.join() : 'no error', 'before:' + before,
    'clicked:' + clicked, words.includes('Caused by'), words.includes('Broken here')].join(' | ');
}, 500);</script>";
const WATCH: &str =
    "<script>var errors = []; onerror = (message) => { errors.push(message); };</script>";

/// What a page's title says after it was looked at.
fn look(mut command: Command, scratch: &Scratch, page: &str) -> String {
    let html = std::fs::read_to_string(scratch.path(page)).expect("a page");
    let html = html.replacen("<title>", &format!("{WATCH}<title>"), 1);
    let html = html.replacen("</body>", &format!("{LOOK}</body>"), 1);
    std::fs::write(scratch.path("look.html"), html).expect("a file");
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"]);
    command.args(["--no-first-run", "--disable-background-networking", "--disable-sync"]);
    command.args(["--disable-component-update", "--window-size=1500,950", "--dump-dom"]);
    command.arg(format!("--user-data-dir={}", scratch.path("chromium").display()));
    command.arg("--virtual-time-budget=5000");
    command.arg(format!("file://{}", scratch.path("look.html").display()));
    let dom = text(&command.output().expect("chromium runs").stdout);
    let title = dom.split("<title>").nth(1).and_then(|rest| rest.split("</title>").next());
    title.unwrap_or("no page").to_string()
}

// Of an event of very many facts the panel shows the first, those of the lane as well as others,
// and what is said several times in a row once.
#[test]
fn the_panel_of_a_crowded_event_stays_short() {
    let scratch = Scratch::new("panel");
    assert_eq!(scratch.sim(&["replay", "5", "--html", "page.html"]).status.code(), Some(0));
    let Some(mut node) = program("node") else { return };
    node.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/page.js")).arg("page.html");
    let output = node.current_dir(&scratch.0).output().expect("node runs");
    let out = text(&output.stdout);
    assert!(out.contains("ul: 60 rows, first again (5 times)\ndiv: and 41 more"), "{output:?}");
    assert!(out.contains("ul: 60 rows, first other 0\ndiv: and 40 more"), "{out}");
}

// In a real browser: no script error, and a click on the violation shows what it was and its cause.
#[test]
fn a_click_in_the_timeline_shows_the_event_and_its_cause() {
    let scratch = Scratch::new("html");
    let case = endless(&scratch, "case.sim");
    let output = scratch.sim(&["replay", "case.sim", "--html", "page.html"]);
    assert_eq!(output.status.code(), Some(1));
    let Some(chromium) = program("chromium") else { return };
    let title = look(chromium, &scratch, "page.html");
    let clicked = format!("before: | clicked:{} | true | true", case.event);
    assert_eq!(title, format!("looked | no error | {clicked}"));
}
