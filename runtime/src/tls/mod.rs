//! TLS settings made of certificates and keys (TLS-1, TLS-4), which the core is given ready-made.
//!
//! | module | what it does |
//! |---|---|
//! | `provider` | the cryptography, chosen when compiling |
//! | `material` | certificates and keys out of PEM, and what deserves a warning about them |
//! | `server`, `client` | settings of a listener, and of a cluster |
//! | `sessions` | sessions with servers that can be resumed, one store a worker |
//!
//! [`Memory`] is what outlives a reload: settings whose inputs did not change stay the very same,
//! and ticket keys stay, so that clients go on resuming.

mod client;
mod material;
mod provider;
mod server;
mod sessions;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use client::{ClientParts, Roots};
pub(crate) use material::{Bad, Identity, chain, key, names};
pub(crate) use server::{ServerParts, Versions};

use rustls::server::ProducesTickets;
use rustls::{ClientConfig, ServerConfig};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tidegate_core::config::{TlsClient, TlsServer};
use tidegate_core::tls::Certificates;

/// A SHA-256 hash of everything that settings were made of.
type Fingerprint = [u8; 32];

/// What TLS keeps from one version of the configuration to the next: whatever a version that is
/// still in use holds. One for a process; a command that serves nothing takes an empty one.
#[derive(Default)]
pub struct Memory {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    servers: BTreeMap<Fingerprint, (Weak<ServerConfig>, Weak<Certificates>)>,
    clients: BTreeMap<Fingerprint, Weak<ClientConfig>>,
    /// By the authorities whose clients are let in, if client certificates are demanded. A ticket
    /// stands for what was verified when it was issued, so that one issued where no certificate
    /// is demanded, or another authority's, must not be good here.
    tickets: BTreeMap<Option<Fingerprint>, Weak<dyn ProducesTickets>>,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

impl Memory {
    /// The settings that `parts` make: those made before of the same, if they are still in use.
    ///
    /// # Errors
    /// Why rustls takes them not, in words.
    pub(crate) fn server(&self, parts: &ServerParts) -> Result<TlsServer, String> {
        let identity = parts.fingerprint();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((config, certificates)) = kept.servers.get(&identity)
            && let (Some(config), Some(certificates)) = (config.upgrade(), certificates.upgrade())
        {
            return Ok(TlsServer { identity, config, certificates });
        }
        let tickets = kept.tickets(parts.client_authority())?;
        let (config, certificates) = server::build(parts, tickets)?;
        kept.servers.retain(|_, (config, _)| config.strong_count() > 0);
        let weak = (Arc::downgrade(&config), Arc::downgrade(&certificates));
        kept.servers.insert(identity, weak);
        Ok(TlsServer { identity, config, certificates })
    }

    /// As [`Memory::server`], of settings towards servers.
    ///
    /// # Errors
    /// Why rustls takes them not, in words.
    pub(crate) fn client(&self, parts: &ClientParts) -> Result<TlsClient, String> {
        let identity = parts.fingerprint();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = kept.clients.get(&identity).and_then(Weak::upgrade) {
            return Ok(TlsClient { identity, config });
        }
        let config = client::build(parts)?;
        kept.clients.retain(|_, config| config.strong_count() > 0);
        kept.clients.insert(identity, Arc::downgrade(&config));
        Ok(TlsClient { identity, config })
    }
}

impl Kept {
    /// The ticket keys of all listeners that demand certificates of this authority, or none.
    fn tickets(
        &mut self,
        authority: Option<Fingerprint>,
    ) -> Result<Arc<dyn ProducesTickets>, String> {
        if let Some(tickets) = self.tickets.get(&authority).and_then(Weak::upgrade) {
            return Ok(tickets);
        }
        let made = provider::tickets().map_err(|error| error.to_string())?;
        self.tickets.retain(|_, tickets| tickets.strong_count() > 0);
        self.tickets.insert(authority, Arc::downgrade(&made));
        Ok(made)
    }
}

/// Collects what a fingerprint is made of; every part is told apart from its neighbours.
struct Hasher(Sha256);

impl Hasher {
    fn new(kind: &str) -> Hasher {
        let mut hasher = Hasher(Sha256::new());
        hasher.add(kind.as_bytes());
        hasher
    }

    fn add(&mut self, part: &[u8]) {
        self.0.update((part.len() as u64).to_be_bytes());
        self.0.update(part);
    }

    fn add_all<'a>(&mut self, parts: impl ExactSizeIterator<Item = &'a [u8]>) {
        self.0.update((parts.len() as u64).to_be_bytes());
        parts.for_each(|part| self.add(part));
    }

    fn finish(self) -> Fingerprint {
        self.0.finalize().into()
    }
}
