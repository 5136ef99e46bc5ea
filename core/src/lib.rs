//! The whole behaviour of the Tidegate reverse proxy, as one deterministic, sans-IO state machine.
//!
//! [`Proxy`] is the proxy of one worker: a pure function from its inputs (time, randomness,
//! readiness, bytes, configurations) to its outputs (orders to the driver, and facts). It opens no
//! socket, reads no clock, starts no thread. Production drives it with mio, tests drive the very
//! same code with a simulated network.
//!
//! ```text
//!  time, randomness ──▶ ┌──────────────────────── Proxy ────────────────────────┐
//!  readiness, bytes ──▶ │ accept queue · sessions · http1 · routes · backends   │ ──▶ effects
//!  configurations   ──▶ │ deadlines · buffers   (drive: interest ∧ readiness)   │ ──▶ events
//!                       └────────────────────────────────────────────────────────┘
//! ```
//!
//! # Driving it
//!
//! 1. Implement [`drive::Kernel`]: non-blocking accept, connect, read, write, close.
//! 2. Make a [`Proxy`] of [`config::Settings`], 32 bytes of seed and a [`config::Config`].
//! 3. Wait for readiness, no longer than [`Proxy::next_deadline`] allows.
//! 4. Tell the time by [`Proxy::advance`], and pass each readiness event to [`Proxy::ready`].
//! 5. Call [`drive::turn`] with the time of this turn; if it returns true, do not wait next time.
//! 6. Drain [`Proxy::poll_event`] into logs and metrics.
//!
//! # What holds
//!
//! - *Time is an argument* ([`time::Time`]), and so is the wall clock, which only dates use.
//! - *Randomness is an argument* ([`rng`]): one seed, a stream for each purpose, a child for each
//!   session. The same seed and the same inputs give the same outputs, byte for byte.
//! - *Inputs cannot fail.* What goes wrong becomes an answer, an event or a close.
//! - *Outputs are drained in order*; draining late is legal: the id of a closed socket is not used
//!   again before its [`effect::Effect::Close`] was taken.
//! - *Bytes do not move twice.* Buffers are pooled, fixed, and owned by the core ([`buffer`]),
//!   which lends them for reads and writes; a body leaves from the buffer it was read into.
//! - *Interest is state, readiness is remembered*, and whenever both meet, a step is queued.
//! - *Ids carry a generation* ([`id`]): a late event never reaches a slot's next tenant.
//! - *Everything is bounded*: each queue, buffer, loop and retry has a limit with a name.
//!
//! # Where things are
//!
//! | module | what lives there |
//! |---|---|
//! | [`proxy`] | [`Proxy`]: inputs, loans, outputs |
//! | [`drive`] | [`drive::Kernel`], and the turn that every driver shares |
//! | [`input`], [`effect`], [`event`] | the three vocabularies |
//! | [`accept`] | the accept queue |
//! | [`session`] | sessions and exchanges; `LIFECYCLE.md` has the transition table |
//! | [`http1`] | heads, framing, rewriting, answers: pure functions |
//! | [`tls`], [`proxy_protocol`] | TLS as a layer below a session; the PROXY header |
//! | [`backend`] | balancing, passive health, stickiness, the idle pool |
//! | [`route`], [`config`] | the compiled routes; the configuration as data, and its validation |
//! | [`flight`] | the flight recorder, and what plays its recordings back |
//! | [`buffer`], [`deadline`], [`id`], [`time`], [`rng`], [`stats`] | what their names say |
//! | [`reach`] | what simulations count of the decisions that were made |
#![forbid(unsafe_code)]
pub mod accept;
mod admission;
pub mod backend;
pub mod buffer;
pub mod buggify;
pub mod config;
pub mod deadline;
pub mod drive;
pub mod effect;
pub mod event;
mod expire;
pub mod flight;
pub mod http1;
pub mod id;
pub mod input;
mod invariants;
pub mod listen;
mod names;
mod plaintext;
pub mod proxy;
pub mod proxy_protocol;
pub mod reach;
mod reconfigure;
pub mod rng;
pub mod route;
pub mod session;
mod sockets;
pub mod stats;
pub mod time;
pub mod tls;
mod transfer;
mod transport;
mod version;

pub use proxy::Proxy;
