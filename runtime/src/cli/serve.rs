//! `tidegate serve`.

use super::ServeArgs;
use super::output::{err, out, refuse};
use crate::config::Source;
use crate::serve::Recorder;
use std::io::IsTerminal;
use std::process::ExitCode;

/// Serves until stopped, or prints the configuration that would be served.
pub(super) fn run(args: ServeArgs) -> ExitCode {
    if args.print_config {
        return print_config(&source(args));
    }
    let recorder = Recorder { bytes: args.record.0, dir: args.record_dir.clone() };
    match crate::serve::run(source(args), &recorder) {
        Ok(code) => ExitCode::from(code),
        Err(refusal) => {
            err(&refusal.text(std::io::stderr().is_terminal()));
            ExitCode::FAILURE
        }
    }
}

/// Only what could be served is printed, so that a mistake looks as `check` shows it.
fn print_config(source: &Source) -> ExitCode {
    match source.load().and_then(|_| source.text()) {
        Ok(text) => out(&text),
        Err(diagnostics) => refuse(&diagnostics),
    }
}

fn source(args: ServeArgs) -> Source {
    match args.from {
        _ if args.demo => Source::Demo,
        Some(from) => Source::quick(&from, &args.to),
        None => Source::File(args.file.config),
    }
}
