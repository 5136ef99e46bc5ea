//! Sessions: one for each live client connection, and the exchange it is carrying.
//!
//! `LIFECYCLE.md` tells the whole story; [`state`] is the table. A session owns its exchange, an
//! exchange owns its two pipes; tokens, buffers, timers and counts are released in `teardown.rs`
//! and nowhere else (LOOP-2).

mod answer;
mod back;
pub(crate) mod dial;
mod exchange;
pub(crate) mod front;
mod open;
mod plan;
mod queue;
mod relay;
mod settle;
pub mod state;
mod teardown;
mod timers;
mod tunnel;

pub(crate) use exchange::{Exchange, Facts, ResponsePhase};
pub(crate) use open::Opening;
pub(crate) use settle::Moved;
pub(crate) use timers::Timers;

use crate::deadline::DeadlineId;
use crate::id::{Id, SocketId};
use crate::listen::ListenId;
use crate::reach::Trail;
use crate::rng::Child;
use crate::time::Time;
use state::{Move, State};
use std::net::{IpAddr, SocketAddr};

/// Names a session.
pub type SessionId = Id<Session>;

/// One live client connection. Small, because an idle one is nothing but this (SES-5).
pub struct Session {
    pub(crate) front: SocketId,
    pub(crate) listener: ListenId,
    /// Serial number within the worker.
    pub(crate) serial: u64,
    /// The session's own randomness.
    pub(crate) child: Child,
    /// The client's address, by the PROXY header if there was one.
    pub(crate) peer: Option<SocketAddr>,
    /// The address that the client connected to, where it is known.
    pub(crate) local: Option<SocketAddr>,
    /// TLVs of the client's PROXY header, for the server's.
    pub(crate) tlvs: Option<Box<[u8]>>,
    pub(crate) carries: Carries,
    pub(crate) state: State,
    /// The moves it made, kept in simulations.
    pub(crate) trail: Trail,
    /// The settings of the steps before service, until they are done.
    pub(crate) opening: Option<Opening>,
    /// Present from `Head` and `Ready` on (and while a session in a state before tries to read).
    pub(crate) exchange: Option<Box<Exchange>>,
    /// Requests begun.
    pub(crate) requests: u32,
    pub(crate) created: Time,
    /// When the steps before service were done.
    pub(crate) serving_since: Time,
    pub(crate) deadline: DeadlineId,
    pub(crate) timers: Timers,
    /// Whether it stands in the line for buffers, and what it was promised there.
    pub(crate) buffers: BufferWait,
    /// Neighbours in the list of idle sessions, longest idle first (ACC-10).
    pub(crate) idle_prev: Option<SessionId>,
    pub(crate) idle_next: Option<SessionId>,
    /// Whether it is in that list.
    pub(crate) is_idle_listed: bool,
    /// Bytes that a lingering session still discards (RES-8).
    pub(crate) linger_left: u32,
    /// The address that it is counted for (ACC-9).
    pub(crate) counted: Option<IpAddr>,
    /// Its client has more sessions than it may: to be told so (ACC-9).
    pub(crate) over_limit: bool,
    /// An illegal move was tried: to be closed.
    pub(crate) broken: bool,
}

/// What a session is there for.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub(crate) enum Carries {
    /// Requests.
    #[default]
    Http,
    /// Bytes.
    Tcp,
}

/// A session's standing with the buffer pool (SES-5).
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub(crate) enum BufferWait {
    /// Neither waits nor holds a promise outside its exchange.
    #[default]
    None,
    /// Stands in line.
    Waiting,
    /// Was promised its buffers, and has not come to read yet.
    Promised,
}

impl Session {
    /// Moves along the table. An illegal move is a bug of ours: a panic in tests and simulations;
    /// in production the session is closed and counted, and the others live on (RUN-5).
    pub(crate) fn go(&mut self, by: Move) {
        match self.state.after(by) {
            Some(next) => {
                self.trail.note(self.state, by);
                self.state = next;
            }
            None if cfg!(debug_assertions) => {
                panic!("session in {:?} cannot move by {by:?}", self.state)
            }
            None => self.broken = true,
        }
    }

    /// The exchange of a session that has one.
    pub(crate) fn x(&mut self) -> &mut Exchange {
        self.exchange.as_deref_mut().expect("an exchange outside Idle")
    }
}
