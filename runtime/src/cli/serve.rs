//! `tidegate serve`.

use super::ServeArgs;
use super::output::{out, refuse};
use crate::config::Source;
use std::process::ExitCode;

/// Serves until stopped, or prints the configuration that would be served.
pub(super) fn run(args: ServeArgs) -> ExitCode {
    let print_config = args.print_config;
    let source = source(args);
    // Asked before anything is started, so that a mistake looks as `check` shows it.
    if let Err(diagnostics) = source.load() {
        return refuse(&diagnostics);
    }
    if !print_config {
        return crate::serve::run(source);
    }
    match source.text() {
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
