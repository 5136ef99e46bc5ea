//! The flight recorder, as whoever starts the server meets it.

use crate::client::get_once;
use crate::proxy::{Proxy, Setup, wait_until};
use rustix::process::Signal;
use std::fs;
use std::path::Path;

/// A proxy that was started with `options`, and has answered a request.
fn answering(options: &'static [&'static str]) -> Proxy {
    let setup = Setup::new("[[route]]\nanswer = { status = 200 }\n");
    let proxy = Setup { options, ..setup }.start();
    assert!(get_once(proxy.port, "/").is_ok());
    proxy.records(1);
    proxy
}

/// The names of the files in `dir` that the test did not expect.
fn strange_files(dir: &Path) -> Vec<String> {
    let known = ["tidegate.toml", "access.log", "stderr"];
    let files = fs::read_dir(dir).expect("a directory");
    let names = files.map(|file| file.expect("a file").file_name().into_string().expect("text"));
    names.filter(|name| !known.contains(&name.as_str())).collect()
}

/// Asks for a recording, and waits until one is in `dir`, whole.
fn ask(proxy: &Proxy, dir: &Path) {
    proxy.signal(Signal::QUIT);
    wait_until("a recording is written", || {
        dir.is_dir() && strange_files(dir).iter().any(|name| name.ends_with(".rec"))
    });
}

// Without an option flights are recorded, nothing is written while nobody asks, and who asks finds
// the recording in the current directory; the proxy goes on.
#[test]
fn flights_are_recorded_in_memory_until_somebody_asks() {
    let proxy = answering(&[]);
    let dir = proxy.dir.path("");
    assert_eq!(strange_files(&dir), Vec::<String>::new());
    ask(&proxy, &dir);
    assert_eq!(strange_files(&dir).len(), 1, "one worker, one file");
    let said = proxy.stderr();
    assert!(said.contains("flight recording written because of SIGQUIT"), "{said}");
    assert!(get_once(proxy.port, "/").is_ok());
}

// A named directory exists from the start on, empty, and recordings go there.
#[test]
fn recordings_go_into_the_directory_that_was_named() {
    let proxy = answering(&["--record-dir", "flights"]);
    let dir = proxy.dir.path("flights");
    assert_eq!(strange_files(&dir), Vec::<String>::new());
    ask(&proxy, &dir);
    assert_eq!(strange_files(&proxy.dir.path("")), ["flights"]);
}

// `--record off` is off: who asks is told why there is no recording.
#[test]
fn nothing_is_recorded_when_that_is_off() {
    let proxy = answering(&["--record", "off"]);
    proxy.signal(Signal::QUIT);
    wait_until("it says why not", || proxy.stderr().contains("started with --record off"));
    assert_eq!(strange_files(&proxy.dir.path("")), Vec::<String>::new());
    assert!(get_once(proxy.port, "/").is_ok());
}

// The ring takes memory as it fills, not when it is made; a huge page of it may be the first part.
#[test]
fn an_idle_proxy_uses_no_memory_for_its_ring() {
    let anonymous = |proxy: &Proxy| -> u64 {
        let line = proxy.status_line("RssAnon");
        line.trim_end_matches(" kB").parse().expect("a number of KiB")
    };
    let (off, on) = (answering(&["--record", "off"]), answering(&["--record", "1GiB"]));
    let (off, on) = (anonymous(&off), anonymous(&on));
    assert!(on < off + 16 * 1024, "{on} KiB with a ring of 1 GiB, {off} KiB without");
}
