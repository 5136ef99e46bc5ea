//! No build of the proxy has the points at which simulations take rare ways (the feature `sim` of
//! the core): neither their names nor their code.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds the binary as `cargo build -p tidegate` does, and says where it is. What a test of the
/// whole workspace has built may have the features of all members.
fn build() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let built = Command::new(env!("CARGO"))
        .args(["build", "-p", "tidegate", "--bin", "tidegate", "--message-format=json"])
        .arg("--manifest-path")
        .arg(manifest)
        .output()
        .expect("cargo runs");
    let log = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{log}");
    let messages = String::from_utf8_lossy(&built.stdout).into_owned();
    let executable = messages.lines().rev().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message.get("executable")?.as_str()?))
    });
    executable.expect("a binary was built")
}

#[test]
fn the_binary_takes_no_rare_ways() {
    let bytes = std::fs::read(build()).expect("the binary");
    // Names of the core's own show that strings and symbols are where they are looked for.
    let has = |name: &[u8]| bytes.windows(name.len()).any(|window| window == name);
    assert!(has(b"tidegate_core"), "the binary shows the core's symbols");
    assert!(!has(b"tidegate-buggify"), "the binary names points of a simulation");
    assert!(!has(b"buggify6points"), "the binary has code of points of a simulation");
}
