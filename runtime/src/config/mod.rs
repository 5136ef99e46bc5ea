//! From a file to the core's plain data, or to every reason why not.
//!
//! [`load`] reads TOML, decodes it key by key (so that all mistakes show in one run), resolves
//! server names, reads secrets and answer files, and asks the core whether the result means
//! anything. What comes back is ready to be divided over workers and applied.

mod decode;
mod keys;
mod meaning;
mod outside;
mod print;
mod reference;
mod rehearse;
mod samples;
mod share;
mod source;
mod spans;
#[cfg(test)]
mod tests;
pub(crate) mod value;

pub use keys::{Fallback, Key, keys};
pub use print::print;
pub use reference::reference;
pub use rehearse::{Rehearsed, StandIns, load_to_rehearse};
pub use samples::{DEMO_PORTS, demo_config, quick_config};
pub use share::{divide, server_limit, workers_started};
pub use source::Source;

use crate::diagnostic::{Diagnostic, Severity, SourceText};
use crate::tls::Memory;
use outside::{Outside, Real};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tidegate_core::config::{Config, Settings};

/// The file that commands read when `-c` is absent.
pub const DEFAULT_FILE: &str = "tidegate.toml";
/// Bytes of a configuration file at most.
pub const FILE_BYTES_MAX: u64 = 16 << 20;

/// Where access records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Nowhere: the core makes none.
    Off,
    /// A file, appended to and created when absent.
    File(PathBuf),
}

/// How an access record is written.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// One line of words.
    Text,
}

/// From which severity on the process tells about itself, on standard error.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Only what failed.
    Error,
    /// And what deserves a look.
    Warn,
    /// And what an operator did or a server went through.
    Info,
    /// And what helps to find a bug.
    Debug,
}

/// The `[log]` table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Where access records go.
    pub access: Sink,
    /// How they are written.
    pub format: LogFormat,
    /// What the process tells about itself.
    pub level: Level,
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig { access: Sink::Stdout, format: LogFormat::Json, level: Level::Info }
    }
}

/// Where values came from that [`print()`] must not or cannot show themselves.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Origins {
    /// `sticky_secret` as written, with the file's path made absolute.
    pub sticky_secret: Option<String>,
    /// The file of each answer, by the path of its key.
    pub answers: BTreeMap<String, PathBuf>,
    /// The line of each route's header, from 1.
    pub route_lines: Vec<usize>,
    /// The files of each listener's TLS settings, by its name.
    pub listener_tls: BTreeMap<String, ServerTlsOrigin>,
    /// The files of each cluster's TLS settings, by its name.
    pub cluster_tls: BTreeMap<String, ClientTlsOrigin>,
    /// Names that servers' certificates are checked for: what each server's address was resolved
    /// from, if it was a name, by the cluster's name.
    pub server_names: BTreeMap<String, Vec<Option<String>>>,
}

/// What a listener's TLS settings were made of.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ServerTlsOrigin {
    /// Files of chains and keys.
    pub certificates: Vec<(PathBuf, PathBuf)>,
    /// TLS 1.3 alone is spoken.
    pub from_13: bool,
    /// File of the authorities whose clients are let in.
    pub client_ca: Option<PathBuf>,
}

/// What a cluster's TLS settings were made of.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ClientTlsOrigin {
    /// File of the authorities that are trusted instead of the system's.
    pub ca: Option<PathBuf>,
    /// The name that all its servers have.
    pub sni: Option<String>,
    /// Files of the chain and the key that are shown to servers.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// A configuration that can be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Worker threads to start: as asked for, at most what the limits feed, those of servers
    /// included (ACC-11).
    pub workers: usize,
    /// Worker threads that would start but for limits of servers, which a reload may change.
    pub workers_of_process: usize,
    /// Limits of the whole process; see [`divide`].
    pub settings: Settings,
    /// What the core applies.
    pub config: Config,
    /// Logs.
    pub log: LogConfig,
    /// What deserves a look, though it works.
    pub warnings: Vec<Diagnostic>,
    /// Where secrets and answers came from.
    pub origins: Origins,
}

/// Reads the configuration file at `path`, and the files that it names. TLS settings that
/// `memory` knows are not made anew.
///
/// # Errors
///
/// Every mistake in it, in file order; warnings are among them.
pub fn load(path: &Path, memory: &Memory) -> Result<Loaded, Vec<Diagnostic>> {
    let (name, text) = source::read_file(path)?;
    let base = path.parent().unwrap_or(Path::new(""));
    read(&name, &text, base, &Real, memory)
}

/// Reads a configuration from `text`; `name` is what diagnostics call it. Relative paths in it
/// start at the working directory.
///
/// # Errors
///
/// As [`load`].
pub fn from_str(name: &str, text: &str, memory: &Memory) -> Result<Loaded, Vec<Diagnostic>> {
    read(name, text, Path::new(""), &Real, memory)
}

fn read(
    name: &str,
    text: &str,
    base: &Path,
    outside: &dyn Outside,
    memory: &Memory,
) -> Result<Loaded, Vec<Diagnostic>> {
    let source = SourceText { name: name.into(), text: text.into() };
    let mut outcome = decode::decode(&source, base, outside, memory);
    if !outcome.broken_syntax {
        spans::add_errors_of_meaning(&mut outcome, &source);
    }
    let mut found = outcome.diagnostics;
    found.sort_by_key(|diagnostic| {
        (diagnostic.span.as_ref().map_or(0, |span| span.start), diagnostic.code)
    });
    if found.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
        return Err(found);
    }
    Ok(Loaded { warnings: found, ..outcome.loaded })
}
