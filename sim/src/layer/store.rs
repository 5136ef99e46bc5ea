//! A client's memory of TLS sessions that tells what was taken from it and put into it.

use rustls::NamedGroup;
use rustls::client::{
    ClientSessionMemoryCache, ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use rustls::pki_types::ServerName;
use std::sync::atomic::{AtomicU32, Ordering};

/// Sessions of one client configuration.
#[derive(Debug)]
pub struct Store {
    memory: ClientSessionMemoryCache,
    given_12: AtomicU32,
    given_13: AtomicU32,
    kept: AtomicU32,
}

impl Store {
    /// An empty one.
    pub fn new() -> Store {
        let [given_12, given_13, kept] = std::array::from_fn(|_| AtomicU32::new(0));
        Store { memory: ClientSessionMemoryCache::new(32), given_12, given_13, kept }
    }

    /// How often a session of TLS 1.2, and one of 1.3, was offered to a server so far.
    pub fn given(&self) -> [u32; 2] {
        [&self.given_12, &self.given_13].map(|count| count.load(Ordering::Relaxed))
    }

    /// How many sessions servers gave so far.
    pub fn kept(&self) -> u32 {
        self.kept.load(Ordering::Relaxed)
    }
}

impl Default for Store {
    fn default() -> Store {
        Store::new()
    }
}

impl ClientSessionStore for Store {
    fn set_kx_hint(&self, server_name: ServerName<'static>, group: NamedGroup) {
        self.memory.set_kx_hint(server_name, group);
    }

    fn kx_hint(&self, server_name: &ServerName<'_>) -> Option<NamedGroup> {
        self.memory.kx_hint(server_name)
    }

    fn set_tls12_session(&self, server_name: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.kept.fetch_add(1, Ordering::Relaxed);
        self.memory.set_tls12_session(server_name, value);
    }

    fn tls12_session(&self, server_name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        let session = self.memory.tls12_session(server_name);
        self.given_12.fetch_add(u32::from(session.is_some()), Ordering::Relaxed);
        session
    }

    fn remove_tls12_session(&self, server_name: &ServerName<'static>) {
        self.memory.remove_tls12_session(server_name);
    }

    fn insert_tls13_ticket(
        &self,
        server_name: ServerName<'static>,
        value: Tls13ClientSessionValue,
    ) {
        self.kept.fetch_add(1, Ordering::Relaxed);
        self.memory.insert_tls13_ticket(server_name, value);
    }

    fn take_tls13_ticket(
        &self,
        server_name: &ServerName<'static>,
    ) -> Option<Tls13ClientSessionValue> {
        let ticket = self.memory.take_tls13_ticket(server_name);
        self.given_13.fetch_add(u32::from(ticket.is_some()), Ordering::Relaxed);
        ticket
    }
}
