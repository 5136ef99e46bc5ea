//! The real binary: what it prints, where, and its exit codes.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "tests hold ports with plain std sockets and wait for processes"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const SITE: &str = "\
[listener.web]
bind = \"127.0.0.1:8080\"

[listener.admin]
bind = [\"127.0.0.1:8081\", \"unix:/run/tidegate-test\"]

[cluster.app]
servers = [\"127.0.0.1:9001\", \"127.0.0.1:9002\"]

[[route]]
host = \"a.example\"
to = \"app\"

[[route]]
host = \"*.example\"
path = \"/x\"
redirect = { scheme = \"https\" }

[[route]]
host = \"a.example\"
path = \"/x\"
methods = [\"POST\"]
answer = { status = 410 }

[[route]]
listener = \"admin\"
host = \"a.example\"
path = \"/x\"
answer = { status = 404 }
";

/// A directory of the test called `name`, with `text` as its tidegate.toml.
fn directory(name: &str, text: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("tidegate.toml"), text).unwrap();
    directory
}

fn tidegate(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.current_dir(directory).args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

#[test]
fn a_good_file_is_summed_up() {
    let directory = directory("good", &format!("workers = 2\n{SITE}"));
    let output = tidegate(&directory, &["check"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let summary =
        "tidegate.toml: good: 2 listeners, 1 cluster with 2 servers, 4 routes, 2 workers\n";
    assert_eq!(stdout(&output), summary);
    assert_eq!(stderr(&output), "");
}

#[test]
fn every_error_is_shown_with_its_place_and_the_next_command() {
    let bad = SITE.replace("to = \"app\"", "to = \"ap\"").replace("127.0.0.1:8080", ":8080");
    let output = tidegate(&directory("bad", &bad), &["check"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stdout(&output), "");
    let expected = "\
error[TG010]: \":8080\" is not an address to listen on
 --> tidegate.toml:2:8
  |
2 | bind = \":8080\"
  |        ^^^^^^^ add an address: \"0.0.0.0:8080\" or \"127.0.0.1:8080\"

error[TG003]: route sends to cluster \"ap\", which is not defined
  --> tidegate.toml:12:6
   |
12 | to = \"ap\"
   |      ^^^^ did you mean \"app\"?

tidegate.toml: 2 errors
next: tidegate explain TG010
";
    assert_eq!(stderr(&output), expected);
}

#[test]
fn machines_read_an_array() {
    let directory = directory("json", &SITE.replace("to = \"app\"", "to = \"ap\""));
    let output = tidegate(&directory, &["check", "--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found.as_array().unwrap().len(), 1);
    assert_eq!(found[0]["code"], "TG003");
    assert_eq!(found[0]["severity"], "error");
    assert_eq!(found[0]["file"], "tidegate.toml");
    assert_eq!((&found[0]["line"], &found[0]["column"]), (&12.into(), &6.into()));
    assert_eq!(found[0]["hint"], "did you mean \"app\"?");
    assert_eq!(found[0]["next"], "tidegate explain TG003");
    std::fs::write(directory.join("good.toml"), SITE).unwrap();
    let output = tidegate(&directory, &["check", "-c", "good.toml", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(stdout(&output), "[]\n");
}

#[test]
fn warnings_do_not_refuse() {
    let directory = directory("warning", &format!("workers = 4\nmax_connections = 2\n{SITE}"));
    let output = tidegate(&directory, &["check"]);
    // ACC-11
    assert_eq!(output.status.code(), Some(0));
    assert!(stderr(&output).starts_with("warning[TG016]: only 2 of 4 workers start"));
    assert!(stdout(&output).ends_with(", 2 workers\n"));
}

#[test]
fn what_print_shows_is_a_configuration() {
    let directory = directory("print", SITE);
    let printed = tidegate(&directory, &["check", "--print"]);
    assert_eq!(printed.status.code(), Some(0));
    assert!(stdout(&printed).contains("keep_alive = \"1m\""));
    std::fs::write(directory.join("printed.toml"), stdout(&printed)).unwrap();
    let again = tidegate(&directory, &["check", "--print", "-c", "printed.toml"]);
    assert_eq!(stdout(&again), stdout(&printed));
}

#[test]
fn relative_paths_start_at_the_file() {
    let directory = directory("relative", SITE);
    std::fs::create_dir_all(directory.join("site")).unwrap();
    std::fs::write(directory.join("site/503.html"), "<p>later</p>").unwrap();
    let text = SITE.replace("[cluster.app]", "[cluster.app]\nanswers = { 503 = \"503.html\" }");
    std::fs::write(directory.join("site/tidegate.toml"), text).unwrap();
    let output = tidegate(&directory, &["check", "-c", "site/tidegate.toml", "--print"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let file = directory.join("site/503.html");
    assert!(stdout(&output).contains(&format!("503 = \"{}\"", file.display())));
}

#[test]
fn a_missing_file_says_what_to_do() {
    let directory = directory("missing", "");
    std::fs::remove_file(directory.join("tidegate.toml")).unwrap();
    for command in [&["check"][..], &["route", "GET", "http://a/"]] {
        let output = tidegate(&directory, command);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).starts_with("error[TG014]: cannot read tidegate.toml"));
        assert!(stderr(&output).ends_with("next: tidegate explain TG014\n"));
    }
}

#[test]
fn a_route_is_explained() {
    // ROUTE-2
    let directory = directory("route", SITE);
    let output = tidegate(&directory, &["route", "GET", "http://A.example:8080/x/y?z"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let expected = "\
listener web (127.0.0.1:8080)
  takes route 1 (line 10), host a.example
    to cluster app with 2 servers
  not route 2 (line 14), host *.example, path /x
    matches, but route 1 has a more specific host
  not route 3 (line 19), host a.example, path /x, methods POST
    for other methods
  not route 4 (line 25), listener admin, host a.example, path /x
    bound to another listener
";
    assert_eq!(stdout(&output), expected);

    let output = tidegate(&directory, &["route", "POST", "http://a.example:8081/x"]);
    assert!(
        stdout(&output).starts_with("listener admin (127.0.0.1:8081, unix:/run/tidegate-test)\n")
    );
    assert!(stdout(&output).contains("takes route 3 (line 19)"));
    assert!(stdout(&output).contains("to answer 410\n"));
    assert!(stdout(&output).contains("matches, but route 3 has methods of its own"));
}

#[test]
fn a_port_that_nobody_binds_asks_all_listeners() {
    let output = tidegate(&directory("port", SITE), &["route", "GET", "https://b.example/x"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).starts_with("no listener is bound to port 443: asking all\n"));
    assert_eq!(stdout(&output).matches("to redirect 302: https://HOST/PATH\n").count(), 2);
}

#[test]
fn no_route_is_a_no() {
    // ROUTE-4
    let output = tidegate(&directory("none", SITE), &["route", "GET", "http://b.test:8080/"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("  no route: 404\n"));
    assert_eq!(stderr(&output), "next: tidegate check --print -c tidegate.toml\n");
}

#[test]
fn what_would_be_served_is_printed() {
    let directory = directory("serve", SITE);
    let file = tidegate(&directory, &["serve", "--print-config"]);
    assert_eq!(file.status.code(), Some(0), "{}", stderr(&file));
    assert_eq!(stdout(&file), SITE);
    let quick = ["serve", "--from", "127.0.0.1:8080", "--to", "127.0.0.1:9001", "[::1]:9002"];
    for arguments in [&["serve", "--demo"][..], &quick] {
        let output = tidegate(&directory, &[arguments, &["--print-config"]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        std::fs::write(directory.join("made.toml"), &output.stdout).unwrap();
        let check = tidegate(&directory, &["check", "-c", "made.toml"]);
        assert_eq!(check.status.code(), Some(0), "{}", stderr(&check));
    }
}

#[test]
fn what_cannot_be_served_is_refused() {
    let directory = directory("unserved", &SITE.replace("to = \"app\"", "to = \"ap\""));
    for more in [&["--print-config"][..], &[]] {
        let output = tidegate(&directory, &[&["serve"], more].concat());
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("error[TG003]"), "{}", stderr(&output));
        assert!(stderr(&output).contains("next: tidegate explain TG003"));
    }
    let quick = ["serve", "--from", ":8080", "--to", "a b", "--print-config"];
    let output = tidegate(&directory, &quick);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output).matches("error[TG010]").count(), 2);
}

/// An address that nobody else uses, short enough for a socket's path.
fn address(name: &str) -> String {
    let name = format!("tidegate-cli-{}-{name}", std::process::id());
    format!("unix:{}", std::env::temp_dir().join(name).display())
}

/// What `serve` says of `text` when it cannot begin.
fn refused(name: &str, text: &str, limit: &str) -> String {
    let directory = directory(name, text);
    let script = format!("{limit} exec \"$0\" serve");
    let mut command = Command::new("sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_tidegate")]).current_dir(&directory);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stdout(&output), "");
    stderr(&output).to_owned()
}

#[test]
fn a_start_that_fails_ends_with_the_next_command() {
    let route = "[[route]]\nanswer = { status = 204 }\n";
    let site = |bind: &str| format!("max_connections = 10\n[listener.web]\nbind = {bind}\n{route}");
    // RUN-6: nobody's port is shared in silence; every address that is taken is named.
    let [one, two] = [0; 2].map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let [one, two] = [&one, &two].map(|holder| holder.local_addr().unwrap());
    let said = refused("taken", &site(&format!("[\"{one}\", \"{two}\"]")), "");
    let expected = format!(
        "error: listener \"web\" cannot bind {one}: the address is in use\n\
         error: listener \"web\" cannot bind {two}: the address is in use\n\
         next: ss -ltnp 'sport = :{}'\n",
        one.port()
    );
    assert_eq!(said, expected);

    let text = format!(
        "{}[log]\naccess = \"/nonexistent/log\"\n",
        site(&format!("\"{}\"", address("nolog")))
    );
    let said = refused("nolog", &text, "");
    assert!(said.starts_with("error: the access log /nonexistent/log cannot be opened: No such"));
    assert!(
        said.ends_with("next: ls -ld $(dirname /nonexistent/log) /nonexistent/log\n"),
        "{said}"
    );
}

#[test]
fn too_few_descriptors_are_raised_or_refused() {
    // RUN-6: who may raise the hard limit does; who may not is told what to type.
    let may = |limit: &str| Command::new("sh").args(["-c", limit]).output().unwrap();
    let address = address("files");
    let text = &format!(
        "max_connections = 1000\n[listener.web]\nbind = \"{address}\"\n\
         [[route]]\nanswer = {{ status = 204 }}\n"
    );
    if may("ulimit -n 500 && ulimit -Hn 501").status.success() {
        let directory = directory("raised", text);
        let script = "ulimit -n 500; exec \"$0\" serve";
        let mut command = Command::new("sh");
        command.args(["-c", script, env!("CARGO_BIN_EXE_tidegate")]).current_dir(directory);
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let path = format!("/proc/{}/limits", child.id());
        let end = Instant::now() + Duration::from_secs(10);
        let raised = || {
            let limits = std::fs::read_to_string(&path).unwrap_or_default();
            let line = limits.lines().find(|line| line.starts_with("Max open files"));
            line.is_some_and(|line| line.split_whitespace().nth(3) == Some("2064"))
        };
        while !raised() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        let good = raised();
        child.kill().unwrap();
        child.wait().unwrap();
        let _ = std::fs::remove_file(&address["unix:".len()..]);
        assert!(good, "not raised to 2064");
    } else {
        let said = refused("few", text, "ulimit -n 500;");
        assert!(said.starts_with("error: max_connections = 1000 needs 2064 open files"), "{said}");
        assert!(said.ends_with("next: ulimit -n 2064\n"), "{said}");
    }
}

#[test]
fn diagnostics_are_explained() {
    let directory = directory("explain", "");
    let output = tidegate(&directory, &["explain", "tg003"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).starts_with("TG003: A route leads to a cluster"));
    let output = tidegate(&directory, &["explain", "TG999"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).ends_with("next: tidegate explain TG001\n"));
}

#[test]
fn the_manual_and_completions_know_the_commands() {
    let directory = directory("man", "");
    let man = tidegate(&directory, &["man"]);
    assert_eq!(man.status.code(), Some(0));
    assert!(stdout(&man).contains(".TH tidegate 1"));
    for shell in ["bash", "zsh", "fish"] {
        let output = tidegate(&directory, &["completions", shell]);
        assert_eq!(output.status.code(), Some(0));
        for command in ["serve", "check", "route", "explain"] {
            assert!(stdout(&output).contains(command), "{shell}");
        }
    }
}

#[test]
fn misuse_is_refused_with_the_next_command() {
    let directory = directory("usage", SITE);
    let misuses: &[&[&str]] = &[
        &[],
        &["frobnicate"],
        // Commands of later versions are unknown, not pretended.
        &["reload"],
        &["status"],
        &["upgrade"],
        &["check", "--frobnicate"],
        &["check", "--format", "xml"],
        &["route", "GET"],
        &["serve", "--demo", "-c", "x.toml"],
        &["serve", "--demo", "--from", "127.0.0.1:1", "--to", "127.0.0.1:2"],
        &["serve", "--from", "127.0.0.1:1"],
        &["serve", "--to", "127.0.0.1:1"],
        &["serve", "--record", "off", "--record-dir", "x"],
        &["serve", "--print-config", "--record-dir", "x"],
        &["serve", "--print-config", "--record", "16MiB"],
        &["serve", "--record", "16"],
        &["serve", "--record", "1023KiB"],
        &["serve", "--record", "1025MiB"],
        &["route", "GET", "a.example"],
        &["explain"],
    ];
    for arguments in misuses {
        let output = tidegate(&directory, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let last = stderr(&output).lines().last().unwrap_or_default();
        assert!(last.starts_with("next: tidegate "), "{arguments:?}: {last}");
    }
    for arguments in [&["--help"][..], &["--version"], &["check", "--help"]] {
        let output = tidegate(&directory, arguments);
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(stderr(&output), "");
    }
}

// Where no recording can be written, that is said before anything is served.
#[test]
fn a_directory_that_takes_no_recordings_is_refused_at_start() {
    let directory = directory("no-recordings", SITE);
    let serve = ["serve", "--record-dir", "tidegate.toml/below"];
    let output = tidegate(&directory, &serve);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(said.starts_with("error: --record-dir: no recording could be written"), "{said}");
    assert!(said.ends_with("next: tidegate serve --help\n"), "{said}");
}
