//! `tidegate serve`.

use super::output::{err, next, out, refuse};
use super::{ServeArgs, USAGE};
use crate::config::Source;
use crate::serve::Recorder;
use std::io::IsTerminal;
use std::process::ExitCode;

/// Serves until stopped, or prints the configuration that would be served.
pub(super) fn run(args: ServeArgs) -> ExitCode {
    if args.record.0.is_none() && args.record_dir.is_some() {
        err("error: --record-dir with --record off: nothing is recorded\n");
        next("tidegate serve --help");
        return ExitCode::from(USAGE);
    }
    if args.print_config {
        return print_config(&source(args));
    }
    let mut recorder = Recorder { bytes: args.record.0, ..Recorder::default() };
    if let Some(dir) = &args.record_dir {
        recorder.dir.clone_from(dir);
        if let Err(error) = recorder.probe() {
            let dir = dir.display();
            err(&format!("error: --record-dir: no recording could be written to {dir}: {error}\n"));
            next("tidegate serve --help");
            return ExitCode::FAILURE;
        }
    }
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
