//! What a worker tells the logs of its proxy's events.

use super::{Turn, Worker};
use crate::config::Level;
use crate::serve::log::Topic;
use std::fmt::Display;
use tidegate_core::Proxy;
use tidegate_core::event::Event;

impl<F: Turn> Worker<F> {
    /// Connections that were closed without a session have no access record: says how many.
    pub(super) fn tell_shed(&mut self, proxy: &Proxy) {
        let counters = proxy.counters();
        let shed = (counters.queue_overflow, counters.queue_aged);
        // A proxy that was made anew after a panic counts from nothing.
        if shed.0 > self.shed.0 || shed.1 > self.shed.1 {
            let text = format_args!(
                "worker {}: so far {} connections were closed unserved because the accept queue \
                 was full, and {} because they waited longer than accept_queue.max_wait; raise \
                 max_connections or accept_queue.capacity",
                self.index, shed.0, shed.1
            );
            self.log.say(Level::Warn, Topic::Shed, text);
        }
        self.shed = shed;
    }

    pub(super) fn tell(&mut self, event: &Event) {
        let worker = self.index;
        match event {
            Event::Access(record) => {
                let names = self.versions.get(record.version);
                let start = self.clock.unix_millis(record.start);
                let encoder = &mut self.encoder;
                self.records.record(|line| encoder.access(line, record, names, start));
            }
            Event::ServerDown { cluster, addr, backoff } => {
                let text = format_args!(
                    "worker {worker}: {cluster}/{addr} is down, left alone for {backoff:?}"
                );
                self.log.say(Level::Warn, Topic::ServerDown, text);
            }
            Event::ServerUp { cluster, addr } => {
                let text = format_args!("worker {worker}: {cluster}/{addr} is up again");
                self.log.say(Level::Info, Topic::ServerUp, text);
            }
            Event::AcceptPaused => {
                let text = format_args!(
                    "worker {worker}: short of descriptors or memory, accepting pauses; \
                     see the limit with `prlimit --nofile --pid {}`",
                    std::process::id()
                );
                self.log.say(Level::Warn, Topic::AcceptPaused, text);
            }
            Event::HandshakeFailed { session, listener, client, failure } => {
                let client: &dyn Display = match client {
                    Some(client) => client,
                    None => &"unix",
                };
                let text = format_args!(
                    "worker {worker}: session {session} of {client} on {listener}: TLS came to \
                     nothing: {}",
                    failure.name()
                );
                self.log.say(Level::Info, Topic::Handshake, text);
            }
            Event::Zombie { session, state } => {
                let text = format_args!(
                    "worker {worker}: session {session} was forgotten in state {state} and is \
                     closed; this is a bug of ours"
                );
                self.log.say(Level::Error, Topic::Zombie, text);
            }
            Event::Broken { session, what } => {
                let text = format_args!(
                    "worker {worker}: session {session} is broken ({what}) and is closed; this \
                     is a bug of ours"
                );
                self.log.say(Level::Error, Topic::Broken, text);
            }
            // The loop looks for it itself.
            Event::Stopped { .. } => {}
        }
    }
}
