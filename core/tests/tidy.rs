//! The house rules that no lint knows: what `core` and `sim` may not name, how long things get,
//! which way dependencies point, and what a document may not promise.

use std::fs;
use std::path::{Path, PathBuf};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const LINE_CHARS_MAX: usize = 100;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").to_path_buf()
}

/// Every file below `dir` whose name ends in `.rs`, in a fixed order.
fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    let mut paths: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            sources(&path, found);
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}

fn all_sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    sources(&root(), &mut found);
    assert!(found.len() > 40, "the sources are found");
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn is_test(path: &Path) -> bool {
    let text = path.to_string_lossy();
    text.contains("/tests/") || text.ends_with("tests.rs")
}

fn fail(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// Strips a line comment; strings that hold `//` are rare enough to be read as comments.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

#[test]
fn files_and_lines_stay_short() {
    let mut complaints = Vec::new();
    for path in all_sources() {
        let text = read(&path);
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            complaints.push(format!("{}: {lines} lines", path.display()));
        }
        for (number, line) in text.lines().enumerate() {
            // rustfmt does not break strings; tests hold long ones.
            if line.chars().count() > LINE_CHARS_MAX && !is_test(&path) && !line.contains('"') {
                complaints.push(format!("{}:{}: too long", path.display(), number + 1));
            }
        }
    }
    fail(&complaints);
}

#[test]
fn functions_stay_short() {
    let mut complaints = Vec::new();
    for path in all_sources() {
        let text = read(&path);
        let mut open: Option<(usize, String, String)> = None;
        for (number, line) in text.lines().enumerate() {
            let indent = &line[..line.len() - line.trim_start().len()];
            let item = line.trim_start();
            let starts = ["fn ", "pub fn ", "pub(crate) fn ", "pub(super) fn ", "const fn "];
            if open.is_none() && starts.iter().any(|s| item.starts_with(s)) {
                open = Some((number, format!("{indent}}}"), item.to_owned()));
            }
            if let Some((start, end, name)) = &open
                && (line == end
                    || (number == *start && (item.ends_with('}') || item.ends_with(';'))))
            {
                let lines = number - start + 1;
                if lines > FUNCTION_LINES_MAX {
                    complaints.push(format!("{}:{}: {lines}: {name}", path.display(), start + 1));
                }
                open = None;
            }
        }
    }
    fail(&complaints);
}

/// rustls takes its randomness from statics: `tls/random.rs` hands a seed's stream over to the
/// call in a thread-local that is empty between calls. There is no other way, and no other place.
fn is_lender(path: &Path, name: &str) -> bool {
    name == "thread_local!" && path.ends_with("sim/src/tls/random.rs")
}

/// Contract 10: nothing hidden. What a driver must pass in cannot be had behind its back.
#[test]
fn core_and_sim_know_no_world() {
    let banned = [
        "Instant::now",
        "SystemTime",
        "thread::spawn",
        "thread_local!",
        "std::env",
        "std::fs",
        "std::io",
        "std::process",
        "TcpStream",
        "TcpListener",
        "UdpSocket",
        "RandomState",
        "HashMap",
        "HashSet",
        "println!",
        "eprintln!",
        "unsafe ",
        "static mut",
        "rand::rng",
    ];
    let mut found = Vec::new();
    sources(&root().join("core/src"), &mut found);
    sources(&root().join("sim/src"), &mut found);
    // The simulator's command line is a program of its own around the library.
    found.retain(|path| !path.starts_with(root().join("sim/src/bin")));
    found.retain(|path| !path.starts_with(root().join("sim/src/cli")));
    let mut complaints = Vec::new();
    for path in found {
        for (number, line) in read(&path).lines().enumerate() {
            for name in banned {
                // `write!` into a byte vector needs a trait, as do rustls' plaintext buffers; neither
                // does I/O.
                let formats = ["use std::io::Write as _;", "use std::io::Read as _;"];
                // rustls speaks these traits over slices: one file of the core knows them.
                let is_tls = name == "std::io" && path.ends_with("core/src/tls/connection.rs");
                let is_trait = formats.contains(&line.trim()) || is_tls;
                let is_excepted = is_trait || is_lender(&path, name);
                if code(line).contains(name) && !is_excepted {
                    complaints.push(format!("{}:{}: {name}", path.display(), number + 1));
                }
            }
        }
    }
    fail(&complaints);
}

/// `runtime -> core <- sim`, `sim's command line -> runtime`, `proptests -> sim`, `benches -> all`.
#[test]
fn dependencies_point_one_way() {
    let allowed: [(&str, &[&str]); 5] = [
        ("core", &[]),
        ("runtime", &["tidegate-core"]),
        ("sim", &["tidegate-core", "tidegate"]),
        ("proptests", &["tidegate-core", "tidegate-sim"]),
        ("benches", &["tidegate-core", "tidegate-sim", "tidegate", "tidegate-proptests"]),
    ];
    let mut complaints = Vec::new();
    for (member, may) in allowed {
        let manifest = read(&root().join(member).join("Cargo.toml"));
        let dependencies = manifest.split("dependencies]").skip(1);
        for line in dependencies.flat_map(str::lines) {
            let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
            if name.starts_with("tidegate") && !may.contains(&name) {
                complaints.push(format!("{member} depends on {name}"));
            }
        }
    }
    fail(&complaints);
}

/// Of the runtime, the simulator needs what reads an operator's file, and only where it may read
/// files: in its command line.
#[test]
fn the_simulators_library_knows_no_runtime() {
    let mut found = Vec::new();
    sources(&root().join("sim/src"), &mut found);
    found.retain(|path| !path.starts_with(root().join("sim/src/cli")));
    let mut complaints = Vec::new();
    for path in found {
        for (number, line) in read(&path).lines().enumerate() {
            if code(line).contains("tidegate::") {
                complaints.push(format!("{}:{}: the runtime", path.display(), number + 1));
            }
        }
    }
    fail(&complaints);
}

/// The project explains itself: nothing in it refers to what is outside the repository.
#[test]
fn nothing_refers_outside() {
    let mut complaints = Vec::new();
    // In parts, so that this file does not hold what it looks for.
    let outside = [["..", "/shared"].concat(), ["/", "work", "/"].concat()];
    let mut paths = all_sources();
    for name in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "TESTING.md", "CHANGELOG.md"] {
        paths.push(root().join(name));
    }
    for path in paths {
        let text = read(&path);
        for word in &outside {
            if text.contains(word) {
                complaints.push(format!("{}: {word}", path.display()));
            }
        }
    }
    fail(&complaints);
}
