//! `tidegate-sim golden`: hashes of a few seeds, kept in the tree, so that nobody changes what
//! all seeds mean without knowing.

use super::{BROKEN, CLEAN, GoldenArgs, panics, usage};
use std::fmt::Write as _;
use std::io::Write;

/// Seeds whose hashes are kept.
const SEEDS: u64 = 200;
/// What an intended change, of the world or of these crates, asks for.
const RENEW: &str = "cargo run --profile sim -p tidegate-sim -- golden --renew sim/golden.txt";
/// The crates whose versions decide what a seed does.
const CRATES: [&str; 3] = ["rustls", "rand_chacha", "httparse"];
const LOCK: &str = include_str!("../../../Cargo.lock");

/// Compares, or writes the file anew; the exit code.
pub(crate) fn golden(args: &GoldenArgs) -> u8 {
    let now = text();
    let path = args.file.display();
    if args.renew {
        return match std::fs::write(&args.file, &now) {
            Ok(()) => CLEAN,
            Err(error) => usage(&format!("{path}: {error}")),
        };
    }
    let kept = match std::fs::read_to_string(&args.file) {
        Ok(kept) => kept,
        Err(error) => return usage(&format!("{path}: {error}")),
    };
    let report = compared(&kept, &now);
    let renew = format!("If that is what was meant: {RENEW}");
    let mut out = std::io::stdout().lock();
    match report {
        None => {
            let _ = writeln!(out, "{SEEDS} seeds have the hashes of {path}");
            CLEAN
        }
        Some(report) => {
            let _ = writeln!(out, "{report}{renew}");
            BROKEN
        }
    }
}

/// What differs, in words.
fn compared(kept: &str, now: &str) -> Option<String> {
    let kept = kept.lines().filter(|line| !line.starts_with('#'));
    let now = now.lines().filter(|line| !line.starts_with('#'));
    let differing: Vec<(&str, &str)> =
        kept.clone().zip(now.clone()).filter(|(a, b)| a != b).collect();
    let (before, after) = (kept.count(), now.count());
    if differing.is_empty() && before == after {
        return None;
    }
    let mut report = String::new();
    // Writing to a string cannot fail.
    if before != after {
        let _ = writeln!(report, "{before} lines are kept, there should be {after}");
    }
    let _ = writeln!(report, "{} lines differ, the first of them:", differing.len());
    for (kept, now) in differing.into_iter().take(5) {
        let _ = writeln!(report, "  kept  {kept}\n  found {now}");
    }
    Some(report)
}

fn text() -> String {
    let mut text = format!(
        "# What a seed does, as a hash; and the crates that have a say in it.\n# Renewed by: {RENEW}\n"
    );
    for name in CRATES {
        let _ = writeln!(text, "{name} {}", version(name).unwrap_or("unknown"));
    }
    for seed in 0..SEEDS {
        let outcome = panics::run(seed, super::options());
        let _ = match &outcome.violation {
            None => writeln!(text, "{seed} {:016x} {}", outcome.hash, outcome.events),
            Some(broken) => writeln!(text, "{seed} breaks {}", broken.breach.rule),
        };
    }
    text
}

/// The version of a crate in the lock file.
fn version(name: &str) -> Option<&'static str> {
    let package = format!("name = \"{name}\"\nversion = \"");
    let at = LOCK.find(&package)? + package.len();
    LOCK[at..].split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_told() {
        assert_eq!(compared("# a\n0 aa 1\n", "# b\n0 aa 1\n"), None);
        let report = compared("0 aa 1\n1 bb 2\n", "0 aa 1\n1 bc 2\n").expect("a difference");
        assert!(report.contains("kept  1 bb 2\n  found 1 bc 2"), "{report}");
        assert!(compared("0 aa 1\n", "0 aa 1\n1 bb 2\n").is_some());
        assert!(CRATES.iter().all(|name| version(name).is_some()));
    }
}
