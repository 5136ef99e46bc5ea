//! The core's reasons to refuse a configuration, in words.

use super::Loaded;
use super::decode::nearest;
use crate::diagnostic::{Code, Diagnostic, SourceText};
use std::ops::Range;
use tidegate_core::config::{ConfigError, Problem};

/// What `error`, found at `span`, says to the author of the file.
pub(super) fn diagnostic(
    error: &ConfigError,
    span: Range<usize>,
    loaded: &Loaded,
    source: &SourceText,
) -> Diagnostic {
    let (code, message, hint) = match &error.problem {
        Problem::UnknownCluster { name } => {
            let clusters = loaded.config.clusters.iter().map(|cluster| &*cluster.name);
            let hint = match nearest(name, clusters) {
                Some(known) => format!("did you mean \"{known}\"?"),
                None => format!("add a table [cluster.{name}]"),
            };
            let message = format!("route sends to cluster \"{name}\", which is not defined");
            (Code::UnknownCluster, message, hint)
        }
    };
    Diagnostic::error(code, source, Some(span), message).hint(hint)
}
