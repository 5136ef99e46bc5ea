//! Why a configuration is not served, with the command to type next: at the start on standard
//! error, at a reload in the log.

use crate::diagnostic::{Diagnostic, refusal};
use std::fmt::Display;

/// Why a configuration is not served.
#[derive(Debug)]
pub enum Refusal {
    /// It has mistakes; warnings are among them.
    Mistakes(Vec<Diagnostic>),
    /// The machine does not give what it asks for.
    Machine {
        /// What is not given, one sentence each.
        errors: Vec<String>,
        /// The command that tells more about the first, or helps.
        next: String,
    },
}

impl Refusal {
    /// The machine does not give one thing.
    pub(crate) fn machine(error: impl Display, next: impl Into<String>) -> Refusal {
        Refusal::Machine { errors: vec![error.to_string()], next: next.into() }
    }

    /// No thread can be started.
    pub(crate) fn thread(error: std::io::Error) -> Refusal {
        Refusal::machine(format_args!("no thread can be started: {error}"), "ulimit -u")
    }

    /// Every reason as `check` shows it, ending in a line with the command to type next;
    /// `colour` only for a terminal.
    pub fn text(&self, colour: bool) -> String {
        match self {
            Refusal::Mistakes(diagnostics) => refusal(diagnostics, colour),
            Refusal::Machine { errors, next } => {
                let errors = errors.iter().map(|error| format!("error: {error}\n"));
                format!("{}next: {next}\n", errors.collect::<String>())
            }
        }
    }
}
