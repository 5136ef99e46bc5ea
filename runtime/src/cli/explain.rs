//! `tidegate explain`.

use super::USAGE;
use super::output::{err, next, out};
use crate::diagnostic::Code;
use std::process::ExitCode;

/// Prints the long text of `code`.
pub(super) fn run(code: &str) -> ExitCode {
    let Some(code) = Code::parse(code) else {
        let last = Code::ALL.last().map_or("", |code| code.number());
        err(&format!("error: no diagnostic is called \"{code}\"; they are TG001 to {last}\n"));
        next("tidegate explain TG001");
        return ExitCode::from(USAGE);
    };
    out(&format!("{}: {}", code.number(), code.explanation()))
}
