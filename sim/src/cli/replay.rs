//! `tidegate-sim replay`.

use super::run::describe;
use super::{BROKEN, CLEAN, Case, ReplayArgs, USAGE};
use crate::world::{self, Options};
use std::io::{BufWriter, Write};
use std::path::Path;

/// Replays a seed or a case and prints what came out; the exit code.
pub(crate) fn replay(args: &ReplayArgs) -> u8 {
    let (seed, case) = match args.what.parse::<u64>() {
        Ok(seed) => (seed, None),
        Err(_) => match Case::read(Path::new(&args.what)) {
            Ok(case) => (case.seed, Some(case)),
            Err(error) => {
                let _ = writeln!(std::io::stderr(), "error: {error}");
                return USAGE;
            }
        },
    };
    let mut options = Options { until: args.until, ..super::options() };
    options.draws = case.as_ref().map(Case::draws).filter(|draws| !draws.is_empty());
    if args.trace {
        let mut out = BufWriter::new(std::io::stdout());
        options.sink = Some(Box::new(move |line| {
            // Whoever closes the pipe has read enough.
            let _ = writeln!(out, "{line}");
        }));
    }
    let outcome = world::run(seed, options);
    let mut out = std::io::stdout().lock();
    let _ = writeln!(
        out,
        "seed {seed}: {} events, {} of {} requests completed, hash {:016x}",
        outcome.events, outcome.completed, outcome.requests, outcome.hash
    );
    if let Some(case) = &case
        && args.until.is_none()
        && format!("{:016x}", outcome.hash) != case.hash
    {
        let _ = writeln!(out, "the case was written by another build: hash {}", case.hash);
    }
    match &outcome.violation {
        Some(violation) => {
            let _ = write!(out, "{}", describe(violation));
            BROKEN
        }
        None => CLEAN,
    }
}
