//! Sessions with servers that can be resumed (TLS-4).

use rustls::NamedGroup;
use rustls::client::{
    ClientSessionMemoryCache, ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use rustls::pki_types::ServerName;
use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Stores at most; with more workers than this some share one.
const STORES: usize = 64;
/// Servers, by name, whose sessions a store keeps.
const SERVERS: usize = 256;

/// One store for each worker: workers share nothing on the request path (RUN-4), so that its lock
/// is always free. A store is made by the first handshake of its worker.
#[derive(Debug)]
pub(super) struct Sessions([OnceLock<ClientSessionMemoryCache>; STORES]);

static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Which store this thread takes; numbers are given out as threads come.
    static STORE: Cell<Option<usize>> = const { Cell::new(None) };
}

impl Default for Sessions {
    fn default() -> Sessions {
        Sessions([const { OnceLock::new() }; STORES])
    }
}

impl Sessions {
    fn mine(&self) -> &ClientSessionMemoryCache {
        let number = STORE.get().unwrap_or_else(|| {
            let number = NEXT.fetch_add(1, Ordering::Relaxed) % STORES;
            STORE.set(Some(number));
            number
        });
        self.0[number].get_or_init(|| ClientSessionMemoryCache::new(SERVERS))
    }
}

impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, server: ServerName<'static>, group: NamedGroup) {
        self.mine().set_kx_hint(server, group);
    }

    fn kx_hint(&self, server: &ServerName<'_>) -> Option<NamedGroup> {
        self.mine().kx_hint(server)
    }

    fn set_tls12_session(&self, server: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.mine().set_tls12_session(server, value);
    }

    fn tls12_session(&self, server: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.mine().tls12_session(server)
    }

    fn remove_tls12_session(&self, server: &ServerName<'static>) {
        self.mine().remove_tls12_session(server);
    }

    fn insert_tls13_ticket(&self, server: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.mine().insert_tls13_ticket(server, value);
    }

    fn take_tls13_ticket(&self, server: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.mine().take_tls13_ticket(server)
    }
}
