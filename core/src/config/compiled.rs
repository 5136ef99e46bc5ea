//! A configuration that was found valid, and compiled: made on any thread, applied on a worker's.

use super::validate::validate_with;
use super::{Config, ConfigError, Settings};
use crate::route::{Expressions, Router};
use std::sync::Arc;

/// A valid configuration and its compiled routes. Compiling 100,000 routes takes some 200 ms,
/// which a worker that serves traffic does not have (RUN-5): make it elsewhere.
///
/// Cheap to clone: workers share the configuration and its routes, which never change.
#[derive(Clone)]
pub struct Compiled {
    pub(crate) config: Arc<Config>,
    pub(crate) router: Arc<Router>,
}

impl Compiled {
    /// Validates and compiles `config` for workers with `settings`.
    ///
    /// # Errors
    /// Every reason why the configuration is refused.
    pub fn new(config: Config, settings: &Settings) -> Result<Compiled, Vec<ConfigError>> {
        Compiled::with(config, settings, Expressions::default())
    }

    /// Like [`new`](Compiled::new), with expressions that were compiled before.
    pub(crate) fn with(
        config: Config,
        settings: &Settings,
        mut expressions: Expressions,
    ) -> Result<Compiled, Vec<ConfigError>> {
        let errors = validate_with(&config, settings, &mut expressions);
        if !errors.is_empty() {
            return Err(errors);
        }
        let router = Router::with(&config, &mut expressions)?;
        Ok(Compiled { config: Arc::new(config), router: Arc::new(router) })
    }

    /// Whether this is the last clone, and no proxy uses it any more. Dropping the last one of
    /// 100,000 routes takes its time, which is no worker's either.
    pub fn is_last(&self) -> bool {
        Arc::strong_count(&self.config) == 1 && Arc::strong_count(&self.router) == 1
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }
}
