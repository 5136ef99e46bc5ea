//! Standard output and standard error, for commands that say something and end.

use crate::diagnostic::{Diagnostic, refusal, render};
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

/// Writes `text` to standard output. A reader that has gone away (`| head`) is no failure.
pub(super) fn out(text: &str) -> ExitCode {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            err(&format!("error: cannot write: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

/// Writes `text` to standard error. Where even that fails, nobody is left to be told.
pub(super) fn err(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Ends a failure with the next command to type.
pub(super) fn next(command: &str) {
    err(&format!("next: {command}\n"));
}

/// Shows `diagnostics` to a person on standard error, in colour on a terminal.
pub(super) fn show(diagnostics: &[Diagnostic]) {
    let colour = std::io::stderr().is_terminal();
    for diagnostic in diagnostics {
        err(&render(diagnostic, colour));
        err("\n");
    }
}

/// Shows why a configuration is refused, and what to type next.
pub(super) fn refuse(diagnostics: &[Diagnostic]) -> ExitCode {
    err(&refusal(diagnostics, std::io::stderr().is_terminal()));
    ExitCode::FAILURE
}

/// `1 error`, `2 errors`.
pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
