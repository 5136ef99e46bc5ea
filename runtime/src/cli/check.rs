//! `tidegate check`.

use super::output::{counted, out, refuse, show};
use super::{CheckArgs, Format};
use crate::config::{Loaded, load, print};
use crate::diagnostic::to_json;
use crate::tls::Memory;
use std::process::ExitCode;

/// Checks the file and says what is wrong, or what it amounts to.
pub(super) fn run(args: &CheckArgs) -> ExitCode {
    let path = &args.file.config;
    match (load(path, &Memory::default()), args.format) {
        (Err(diagnostics), Format::Json) => {
            out(&to_json(&diagnostics));
            ExitCode::FAILURE
        }
        (Err(diagnostics), Format::Human) => refuse(&diagnostics),
        (Ok(loaded), Format::Json) if !args.print => out(&to_json(&loaded.warnings)),
        (Ok(loaded), _) => {
            show(&loaded.warnings);
            if args.print {
                return out(&print(&loaded));
            }
            out(&format!("{}: {}\n", path.display(), summary(&loaded)))
        }
    }
}

fn summary(loaded: &Loaded) -> String {
    let config = &loaded.config;
    let servers = config.clusters.iter().map(|cluster| cluster.servers.len()).sum();
    format!(
        "good: {}, {} with {}, {}, {}",
        counted(config.listeners.len(), "listener"),
        counted(config.clusters.len(), "cluster"),
        counted(servers, "server"),
        counted(config.routes.len(), "route"),
        counted(loaded.workers, "worker"),
    )
}
