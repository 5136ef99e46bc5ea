//! A configuration made ready for the workers: everything slow was done elsewhere (RUN-5).

use super::log::Names;
use super::refusal::Refusal;
use crate::config::{Loaded, LogConfig};
use crate::diagnostic::Diagnostic;
use std::sync::Arc;
use tidegate_core::config::{Compiled, Settings};
use tidegate_core::flight::wire::Stored;

/// What all workers share of one configuration. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) compiled: Compiled,
    pub(crate) names: Arc<Names>,
    /// As a flight recording carries it, if flights are recorded.
    pub(crate) flown: Option<Arc<[u8]>>,
}

impl Shared {
    /// Whether nobody else holds it any more.
    pub(crate) fn is_last(&self) -> bool {
        Arc::strong_count(&self.names) == 1 && self.compiled.is_last()
    }
}

/// A configuration that workers can start with, or change to.
pub(crate) struct Prepared {
    pub(crate) workers: usize,
    /// As [`Loaded::workers_of_process`].
    pub(crate) workers_of_process: usize,
    pub(crate) settings: Settings,
    pub(crate) log: LogConfig,
    pub(crate) warnings: Vec<Diagnostic>,
    pub(crate) shared: Shared,
}

impl Prepared {
    /// Compiles what was loaded; `records`: for workers that record their flights. May take long:
    /// no worker's work.
    pub(crate) fn new(loaded: Loaded, records: bool) -> Result<Prepared, Refusal> {
        let Loaded { workers, workers_of_process, settings, config, log, warnings, .. } = loaded;
        let names = Arc::new(Names::of(&config));
        let flown = records.then(|| Stored::bytes_of(&config).into());
        // Loading has asked the core already: what it finds now is a fault of ours.
        let compiled = Compiled::new(config, &settings).map_err(|errors| {
            let why = format!("loading has accepted what cannot be compiled: {errors:?}");
            Refusal::machine(why, "tidegate check")
        })?;
        let shared = Shared { compiled, names, flown };
        Ok(Prepared { workers, workers_of_process, settings, log, warnings, shared })
    }
}
