//! What tests of the command share.

use std::path::PathBuf;
use std::process::{Command, Output};

/// Runs the command with `args`, where its cases may lie.
pub(crate) fn sim(args: &[&str]) -> Output {
    let binary = env!("CARGO_BIN_EXE_tidegate-sim");
    // A failing run writes its cases where it stands.
    Command::new(binary)
        .args(args)
        .current_dir(std::env::temp_dir())
        .output()
        .expect("the command runs")
}

/// What was printed.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A path that no other test has.
pub(crate) fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("{}-{name}", std::process::id()))
}

/// Reads a report, and removes its file.
pub(crate) fn read(path: &PathBuf) -> serde_json::Value {
    let text = std::fs::read_to_string(path).expect("the report");
    std::fs::remove_file(path).expect("the file is there");
    serde_json::from_str(&text).expect("JSON")
}
