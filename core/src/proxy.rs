//! [`Proxy`], the only type a driver holds.

use crate::config::{Config, ConfigError, Settings};
use crate::effect::Effect;
use crate::event::{Event, Timer};
use crate::id::SocketId;
use crate::input::{Readiness, SocketError};
use crate::time::Time;
use std::net::SocketAddr;

/// The whole proxy of one worker: a pure function of its inputs.
pub struct Proxy {}

#[expect(clippy::todo, unused_variables, missing_docs)]
impl Proxy {
    pub fn new(
        settings: Settings,
        seed: [u8; 32],
        config: Config,
    ) -> Result<Proxy, Vec<ConfigError>> {
        todo!()
    }
    /// The wall clock in milliseconds since the Unix epoch; for dates only. Once a turn.
    pub fn set_wall_clock(&mut self, unix_millis: i64) {
        todo!()
    }
    /// Replaces the configuration whole or not at all (RUN-1).
    pub fn apply(&mut self, config: Config) -> Result<(), Vec<ConfigError>> {
        todo!()
    }
    /// Begins a graceful stop (RUN-2); `Event::Stopped` tells its end.
    pub fn stop(&mut self) {
        todo!()
    }
    pub fn is_stopped(&self) -> bool {
        todo!()
    }
    /// Readiness of a socket, by the bits of its id. A stale id is counted and ignored.
    pub fn ready(&mut self, id: SocketId, readiness: Readiness) {
        todo!()
    }
    pub fn next_socket_id(&self) -> SocketId {
        todo!()
    }
    pub fn accepted(&mut self, listener: SocketId, peer: Option<SocketAddr>) -> SocketId {
        todo!()
    }
    pub fn connected(&mut self, id: SocketId) {
        todo!()
    }
    pub fn received(&mut self, id: SocketId, n: usize) {
        todo!()
    }
    pub fn sent(&mut self, id: SocketId, n: usize) {
        todo!()
    }
    pub fn failed(&mut self, id: SocketId, error: SocketError) {
        todo!()
    }
    /// Fires every timer that is due. `now` becomes the core's time.
    pub fn expire(&mut self, now: Time) {
        todo!()
    }
    pub fn poll_effect(&mut self) -> Option<Effect> {
        todo!()
    }
    pub fn poll_event(&mut self) -> Option<Event> {
        todo!()
    }
    /// When to call `expire` next, and why.
    pub fn next_deadline(&mut self) -> Option<(Time, Timer)> {
        todo!()
    }
    /// Whether every count is at rest: nothing live but listeners.
    pub fn check_invariants(&self) -> Result<(), String> {
        todo!()
    }
}
