//! `tidegate-sim run --config`: the command, on the examples and on files that are written here.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

fn run(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate-sim"));
    command.arg("run").args(args).output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A file of this test's own, which is gone when it is dropped.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str) -> Temporary {
        Temporary(std::env::temp_dir().join(format!("tidegate-{}-{name}", std::process::id())))
    }

    fn holding(name: &str, text: &str) -> Temporary {
        let file = Temporary::new(name);
        std::fs::write(&file.0, text).expect("a file");
        file
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("a path that is text")
    }

    fn read(&self) -> String {
        std::fs::read_to_string(&self.0).expect("the file was written")
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn every_example_rehearses() {
    let mut files: Vec<PathBuf> = std::fs::read_dir(examples())
        .expect("examples")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .collect();
    files.sort();
    assert!(files.len() >= 8, "{files:?}");
    for file in files {
        let file = file.to_str().expect("a path that is text");
        let json = Temporary::new("example.json");
        let args = ["--config", file, "--duration", "5s", "--post", "10", "--json", json.path()];
        let output = run(&args);
        assert_eq!(output.status.code(), Some(0), "{file}: {}", text(&output.stderr));
        let shown = text(&output.stdout);
        assert!(shown.contains("succeeded         100 %"), "{file}: {shown}");
        assert!(!shown.contains("note:"), "{file}: a route was not asked for: {shown}");
        let report: serde_json::Value = serde_json::from_str(&json.read()).expect("JSON");
        assert!(report["users"]["requests"].as_u64() > Some(400), "{file}: {}", report["users"]);
        assert_eq!(report["defects"], serde_json::json!([]), "{file}");
    }
}

#[test]
fn two_processes_write_the_same_bytes() {
    let file = examples().join("https.toml");
    let file = file.to_str().expect("a path that is text");
    let once = |n: u32| {
        let (json, html) =
            (Temporary::new(&format!("{n}.json")), Temporary::new(&format!("{n}.html")));
        let mut args = vec!["--config", file, "--duration", "10s", "--seed", "7", "--rate"];
        args.extend(["200/s", "--outage", "127.0.0.1:9001:2s..4s"]);
        args.extend(["--slow", "app/*:2x@6s..8s", "--json", json.path(), "--html", html.path()]);
        let output = run(&args);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        (text(&output.stdout), json.read(), html.read())
    };
    let (one, two) = (once(1), once(2));
    assert_eq!(one, two);
    assert!(one.0.contains("127.0.0.1:9001 is down") && one.2.starts_with("<!doctype html>"));
}

// A redirect needs no server: it succeeds in between, and says nothing of those who were served by
// nobody all the time.
#[test]
fn the_longest_outage_is_that_of_the_route_that_fared_worst() {
    let file = examples().join("https.toml");
    let file = file.to_str().expect("a path that is text");
    let (json, html) = (Temporary::new("worst.json"), Temporary::new("worst.html"));
    let args = ["--config", file, "--duration", "5s", "--outage", "app/*:.."];
    let output = run(&[&args[..], &["--json", json.path(), "--html", html.path()]].concat());
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report: serde_json::Value = serde_json::from_str(&json.read()).expect("JSON");
    let longest = &report["longest_outage"];
    let length = |of: &serde_json::Value| of["to_us"].as_u64().zip(of["from_us"].as_u64());
    let length = |of| length(of).map_or(0, |(to, from)| to - from);
    assert!(length(longest) > 4_500_000, "{longest}");
    assert!(length(&report["users"]["outage"]) < 1_000_000, "{}", report["users"]["outage"]);
    let route = longest["route"].as_str().expect("a route");
    assert!(route.contains("app"), "{route}");
    let line = shown.lines().find(|line| line.contains("longest outage    ")).expect("a line");
    assert!(line.contains("    4.") || line.contains("    5s"), "{line}");
    assert!(line.ends_with(&format!("failed) of {route}")), "{line}");
    assert!(html.read().contains(&format!("failed of {route}</p>")));
}

#[test]
fn a_bad_file_is_refused_as_the_proxy_refuses_it() {
    let file = Temporary::holding(
        "bad.toml",
        "[listener.web]\nbind = \"127.0.0.1:8080\"\n[cluster.app]\nservers = [\"127.0.0.1:9001\"]\n\
        [[route]]\nto = \"ap\"\n",
    );
    let output = run(&["--config", file.path()]);
    let shown = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{shown}");
    assert!(shown.contains("error[TG003]") && shown.contains("did you mean \"app\"?"), "{shown}");
    assert!(shown.contains("next: tidegate explain TG003"), "{shown}");
}

#[test]
fn what_does_not_exist_is_refused_with_what_does() {
    let file = examples().join("sticky.toml");
    let file = file.to_str().expect("a path that is text");
    for (args, words) in [
        (["--outage", "q:1s..2s"], "no server is called \"q\"; there are a (shop), b (shop)"),
        (["--outage", "b:2s..1s"], "ends before it begins"),
        (["--outage", "b:60s..90s"], "\"b is down\" from 60s to 90s would never begin"),
        (["--slow", "b:2x@70s.."], "from 70s to the end would never begin"),
        (["--reload", "no/next.toml@3s"], "error: cannot read no/next.toml: "),
        (["--slow", "b:5"], "is not like b1:5x"),
        (["--reload", "next.toml"], "is not like next.toml@30s"),
        (["--listener", "wbe"], "no listener is called \"wbe\"; there are web"),
        (["--rate", "fast"], "is no rate like 500/s"),
        (["--path", "api"], "is no path"),
        (["--clients", "0"], "0 is not in"),
    ] {
        let output = run(&[&["--config", file][..], &args[..]].concat());
        let shown = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {shown}");
        assert!(shown.contains(words), "{args:?}: {shown}");
    }
    for (one, two, words) in [
        (["--outage", "b:1s..9s"], ["--freeze", "b:8s..12s"], "\"b stands still\" from 8s to 12s"),
        (["--slow", "b:2x"], ["--slow", "shop/*:3x@5s..6s"], "overlap: one fault of a server"),
    ] {
        let output = run(&[&["--config", file][..], &one[..], &two[..]].concat());
        let shown = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{shown}");
        assert!(shown.contains(words), "{shown}");
    }
    // A file that is not there is told without the options of another program.
    let output = run(&["--config", "no/such.toml"]);
    let shown = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{shown}");
    assert!(shown.starts_with("error: cannot read no/such.toml: "), "{shown}");
    assert!(!shown.contains("tidegate serve") && shown.lines().count() == 1, "{shown}");
    let next = format!("{file}@60s");
    let output = run(&["--config", file, "--reload", &next]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("would take over at 60s, and requests come for 60s"));
    let output = run(&["--outage", "b:1s..2s"]);
    assert_eq!(output.status.code(), Some(2), "an option of rehearsals needs a configuration");
}

// TLS-1, TLS-4, PP-1, ROUTE-5
#[test]
fn tls_on_both_sides_with_proxy_headers_and_client_certificates() {
    let file = Temporary::holding(
        "layers.toml",
        "max_connections = 500\n\
        [listener.web]\nbind = \"0.0.0.0:443\"\nproxy_protocol = \"expect\"\n\
        proxy_protocol_from = [\"10.1.0.0/16\"]\n\
        tls = [{ cert = \"no/a.pem\", key = \"no/a.key\", client_ca = \"no/c.pem\", \
        min_version = \"1.3\" }]\n\
        [listener.raw]\nbind = \"unix:/run/raw.sock\"\nprotocol = \"tcp\"\nto = \"raw\"\n\
        [cluster.app]\nservers = [{ addr = \"app.internal:8443\", id = \"a\" }]\n\
        tls = { ca = \"no/ca.pem\" }\nproxy_protocol = \"v2\"\n\
        [cluster.raw]\nservers = [\"db.internal:5432\"]\nproxy_protocol = \"v1\"\n\
        [[route]]\nhost = \"*.example.com\"\nto = \"app\"\n",
    );
    let output = run(&["--config", file.path(), "--duration", "5s", "--outage", "a:1s..2s"]);
    let (shown, warned) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{warned}");
    assert!(shown.contains("*.example.com → app") && shown.contains("tcp raw → raw"), "{shown}");
    assert!(shown.contains("db.internal:5432 (raw)") && shown.contains("a (app)"), "{shown}");
    assert!(shown.contains("0 failed\n"), "no handshake failed: {shown}");
    assert!(shown.contains("503: "), "the only server was down: {shown}");
    assert!(warned.contains("a stand-in is used"), "{warned}");
}

// One after another, and to the end of the rehearsal, faults are as they were named; an end that
// never comes is not silently cut.
#[test]
fn a_fault_that_is_cut_short_is_a_warning() {
    let file = examples().join("sticky.toml");
    let file = file.to_str().expect("a path that is text");
    let args = ["--config", file, "--duration", "3s", "--outage", "b:1s..2s", "--slow"];
    for (slow, warns) in [("b:2x@2s..", false), ("b:2x@2s..3s", false), ("b:2x@2s..4s", true)] {
        let output = run(&[&args[..], &[slow]].concat());
        let shown = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{shown}");
        let warning = "warning: \"b takes 2 times as long\" from 2s to 4s outlasts the requests";
        assert_eq!(shown.contains(warning), warns, "{slow}: {shown}");
    }
}

#[test]
fn one_path_of_one_host() {
    let file = examples().join("routes.toml");
    let file = file.to_str().expect("a path that is text");
    let args = ["--config", file, "--duration", "5s", "--host", "www.example.com", "--path"];
    let output = run(&[&args[..], &["/api/users?x=1"]].concat());
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(shown.contains("127.0.0.1:9002 (api)") && shown.contains("100.0%"), "{shown}");
    let output =
        run(&[&args[..5], &["other.example", "--path", "/", "--listener", "public"]].concat());
    assert_eq!(output.status.code(), Some(2));
    let shown = text(&output.stderr);
    assert!(shown.contains("no route for other.example"), "{shown}");
}
