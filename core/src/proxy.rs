//! [`Proxy`], the only type a driver holds.

use crate::accept::AcceptQueue;
use crate::backend::balance::ServerLoad;
use crate::backend::{Back, BackId, ServerState};
use crate::buffer::Pool;
use crate::buggify::Buggify;
use crate::config::{Compiled, Config, ConfigError, Settings};
use crate::deadline::Deadlines;
use crate::effect::{Close, Effect};
use crate::event::{Event, Timer};
use crate::flight::{Flight, Tag};
use crate::id::{Slots, SocketId};
use crate::input::{Readiness, SocketError};
use crate::listen::Listen;
use crate::reach::Reach;
use crate::rng::{Purpose, Seeds, Stream};
use crate::session::{Exchange, Moved, Session, SessionId, dial::Fault};
use crate::sockets::{Ops, Owner, Sockets};
use crate::stats::{Counters, Gauges};
use crate::time::Time;
use crate::tls::Tls;
use crate::version::{Version, VersionId};
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

/// Slices of space or output that one read or write covers at most.
pub const SLICES_MAX: usize = crate::buffer::CHAIN_MAX + 1;
/// Where a session that discards reads into.
const DISCARD_BYTES: usize = 16 * 1024;

/// Whom a deadline wakes.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Wakes {
    /// A session: the earliest of its timers.
    Session(SessionId),
    /// An idle connection to a server.
    Back(BackId),
}

/// The whole proxy of one worker: a pure function of its inputs.
///
/// Four kinds of methods:
///
/// - *inputs* tell what happened: [`advance`](Proxy::advance), [`ready`](Proxy::ready),
///   [`accepted`](Proxy::accepted), [`received`](Proxy::received), [`failed`](Proxy::failed),
///   [`blocked`](Proxy::blocked), [`expire`](Proxy::expire),
///   [`stop`](Proxy::stop), [`set_wall_clock`](Proxy::set_wall_clock). They cannot fail. Only
///   [`apply`](Proxy::apply) returns a `Result`: a configuration is refused whole;
/// - *loans* lend the core's own bytes: [`recv_space`](Proxy::recv_space) and
///   [`transmit`](Proxy::transmit);
/// - *outputs* are drained: [`poll_effect`](Proxy::poll_effect) in order, and
///   [`poll_event`](Proxy::poll_event);
/// - *questions* change nothing that shows: [`next_deadline`](Proxy::next_deadline),
///   [`counters`](Proxy::counters), [`gauges`](Proxy::gauges),
///   [`check_invariants`](Proxy::check_invariants).
///
/// A driver that implements [`crate::drive::Kernel`] calls [`crate::drive::turn`], which puts
/// them in order, and needs no more than `ready`, `next_deadline`, `poll_event` and `apply`.
pub struct Proxy {
    pub(crate) settings: Settings,
    pub(crate) now: Time,
    pub(crate) wall_millis: i64,
    pub(crate) sockets: Sockets,
    pub(crate) listens: Slots<Listen>,
    pub(crate) queue: AcceptQueue,
    pub(crate) sessions: Slots<Session>,
    pub(crate) backs: Slots<Back>,
    pub(crate) servers: Slots<ServerState>,
    pub(crate) versions: Slots<Version>,
    pub(crate) current: VersionId,
    pub(crate) version_serial: u64,
    pub(crate) session_serial: u64,
    pub(crate) pool: Pool,
    /// Sessions that wait for buffers, longest first (SES-5).
    pub(crate) waiters: VecDeque<SessionId>,
    /// They are being served: who ends meanwhile does not begin anew.
    pub(crate) serving_waiters: bool,
    /// Idle sessions, longest idle first (ACC-10).
    pub(crate) idle_first: Option<SessionId>,
    pub(crate) idle_last: Option<SessionId>,
    /// Exchanges between two sessions: their room is kept.
    #[expect(clippy::vec_box, reason = "an exchange is moved as a pointer, never copied")]
    pub(crate) spare: Vec<Box<Exchange>>,
    pub(crate) deadlines: Deadlines<Wakes>,
    pub(crate) effects: VecDeque<Effect>,
    pub(crate) events: VecDeque<Event>,
    pub(crate) counters: Counters,
    pub(crate) reach: Reach,
    /// A session ended, or the queue grew: the queue is to be looked at in this turn (ACC-7).
    pub(crate) vacancy: bool,
    pub(crate) accept_resumes: Option<Time>,
    pub(crate) zombie_check: Time,
    pub(crate) stopping: bool,
    pub(crate) stop_began: Time,
    /// Serial number of the last session that was live when the stop began.
    pub(crate) stopped_at_serial: u64,
    pub(crate) stop_told: bool,
    pub(crate) drain_cut: usize,
    pub(crate) children: Stream,
    pub(crate) request_ids: Stream,
    pub(crate) backoff: Stream,
    /// Scratch space, reused so that a request allocates nothing.
    pub(crate) loads: Vec<ServerLoad>,
    pub(crate) head_scratch: Vec<u8>,
    pub(crate) answer_scratch: Vec<u8>,
    pub(crate) path_scratch: Vec<u8>,
    pub(crate) discard: Box<[u8]>,
    /// Where sockets with TLS read into; a buffer's bytes behind a PROXY header fit, too.
    pub(crate) cipher: Box<[u8]>,
    /// Sessions that wait for a connection to a limited server, by cluster, longest first (BACK-9).
    pub(crate) queues: BTreeMap<Box<str>, VecDeque<SessionId>>,
    /// A limited server has room again: the queues are to be looked at in this turn.
    pub(crate) relieved: bool,
    /// When a back-off ends that may bring relief, while somebody waits.
    pub(crate) relief_due: Time,
    /// Live sessions of each client address, of listeners that limit them (ACC-9).
    pub(crate) per_address: BTreeMap<IpAddr, u32>,
    /// The flight recorder, if it is on.
    pub(crate) flight: Option<Box<Flight>>,
    /// Decides where rare ways are taken; nothing, but in simulations.
    pub(crate) buggify: Buggify,
}

impl Proxy {
    /// A proxy with `config`, whose listeners are the first effects. The same seed and the same
    /// inputs give the same outputs.
    ///
    /// # Errors
    /// Every reason why the configuration or the settings are refused.
    pub fn new(
        settings: Settings,
        seed: [u8; 32],
        config: Config,
    ) -> Result<Proxy, Vec<ConfigError>> {
        let compiled = Compiled::new(config, &settings)?;
        Ok(Proxy::with_compiled(settings, seed, compiled))
    }

    /// Like [`Proxy::new`], with a configuration that was compiled elsewhere.
    pub fn with_compiled(settings: Settings, seed: [u8; 32], compiled: Compiled) -> Proxy {
        let seeds = Seeds::new(seed);
        let sessions_max = settings.max_connections;
        let mut versions = Slots::with_capacity(2);
        let empty = Version::empty();
        let current = versions.insert(empty);
        let mut proxy = Proxy {
            now: Time::ZERO,
            wall_millis: 0,
            sockets: Sockets::with_capacity(sessions_max + settings.accept_queue_capacity),
            listens: Slots::with_capacity(4),
            queue: AcceptQueue::new(settings.accept_queue_capacity, settings.accept_queue_max_wait),
            sessions: Slots::with_capacity(sessions_max),
            backs: Slots::with_capacity(64),
            servers: Slots::with_capacity(16),
            versions,
            current,
            version_serial: 0,
            session_serial: 0,
            pool: Pool::new(settings.buffer_bytes, settings.buffers_max),
            waiters: VecDeque::new(),
            serving_waiters: false,
            idle_first: None,
            idle_last: None,
            spare: Vec::with_capacity(64),
            deadlines: Deadlines::with_capacity(sessions_max),
            effects: VecDeque::with_capacity(64),
            events: VecDeque::with_capacity(64),
            counters: Counters::default(),
            reach: Reach::default(),
            vacancy: false,
            accept_resumes: None,
            zombie_check: Time::ZERO.deadline(settings.zombie_check_interval),
            stopping: false,
            stop_began: Time::ZERO,
            stopped_at_serial: 0,
            stop_told: false,
            drain_cut: 0,
            children: seeds.stream(Purpose::Sessions),
            request_ids: seeds.stream(Purpose::RequestIds),
            backoff: seeds.stream(Purpose::Backoff),
            loads: Vec::with_capacity(16),
            head_scratch: Vec::with_capacity(2 * settings.buffer_bytes),
            answer_scratch: Vec::with_capacity(settings.buffer_bytes),
            path_scratch: Vec::with_capacity(settings.buffer_bytes),
            discard: vec![0; DISCARD_BYTES].into_boxed_slice(),
            cipher: vec![0; crate::tls::RECV_BYTES.max(settings.buffer_bytes)].into_boxed_slice(),
            queues: BTreeMap::new(),
            relieved: false,
            relief_due: Time::NEVER,
            per_address: BTreeMap::new(),
            flight: None,
            buggify: Buggify::default(),
            settings,
        };
        proxy.install(compiled);
        proxy.counters.applied = 0;
        proxy
    }

    /// Lends what decides where rare ways are taken; by default none is.
    #[cfg(feature = "sim")]
    pub fn buggify(&mut self) -> &mut Buggify {
        &mut self.buggify
    }

    /// The wall clock in milliseconds since the Unix epoch; for Date fields only, so that a jump
    /// of years changes nothing else. Once a turn, or less often.
    pub fn set_wall_clock(&mut self, unix_millis: i64) {
        self.wall_millis = unix_millis;
    }

    /// The core's time: the largest that a driver has passed.
    pub fn now(&self) -> Time {
        self.now
    }

    /// What the kernel said of a socket. A stale id is counted and ignored (LOOP-1).
    pub fn ready(&mut self, id: SocketId, readiness: Readiness) {
        let Some(socket) = self.sockets.get(id) else {
            self.counters.stale_ids += 1;
            return;
        };
        let owner = socket.owner;
        if owner == Owner::Closing {
            self.counters.stale_ids += 1;
            return;
        }
        self.note_socket(id, Tag::Ready, readiness.bits(), false);
        self.sockets.note(id, readiness);
        if let Owner::Front(session) = owner {
            if readiness.error {
                self.front_failed(session, SocketError::Reset);
            }
            if readiness.error || readiness.read_closed {
                self.settle(session, Moved::Nobody);
            }
        }
        if let Owner::Back(back) = owner
            && readiness.error
            && !self.backs[back].idle
        {
            self.back_broke_off(self.backs[back].session);
        } else if let Owner::Back(back) = owner
            && !self.backs[back].idle
            && self.speaks_unasked(self.backs[back].session)
        {
            self.settle(self.backs[back].session, Moved::Nobody);
        }
    }

    /// The `connect` timer of the session fired.
    pub(crate) fn connect_timed_out(&mut self, session: SessionId) {
        self.back_lost(session, Fault::TimedOut);
    }

    /// The next order to the driver.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        let effect = self.effects.pop_front()?;
        if let Effect::Close(id, _) = effect {
            self.sockets.remove(id);
        }
        Some(effect)
    }

    /// The next fact.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Tells the driver to close the socket; its id is stale once that order is taken. TLS says
    /// goodbye, unless the peer must not take what it has for complete (TLS-3), or TLS does not
    /// stand yet.
    pub(crate) fn close_socket(&mut self, id: SocketId, how: Close) {
        // Behind what the peer has not taken a goodbye is not worth saying: it would drag along
        // what nobody waits for any more, such as the rest of a request that was given up.
        let socket = self.sockets.get(id).filter(|socket| !socket.owes());
        let tls = socket.and_then(|socket| socket.tls());
        if how == Close::Normal && tls.is_some_and(Tls::is_secured) {
            self.say_last_words(id);
        }
        let socket = self.sockets.get_mut(id).expect("a socket is closed once");
        debug_assert_ne!(socket.owner, Owner::Closing);
        socket.owner = Owner::Closing;
        socket.transport = None;
        self.sockets.want(id, Ops::NONE);
        self.effects.push_back(Effect::Close(id, how));
    }

    /// What happened so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What is live now.
    pub fn gauges(&self) -> Gauges {
        Gauges {
            sessions: self.sessions.len(),
            queued: self.queue.len(),
            sockets: self.sockets.len(),
            listeners: self.listens.iter().filter(|(_, listen)| listen.socket.is_some()).count(),
            backend_connections: self.backs.len(),
            backend_idle: self.backs.iter().filter(|(_, back)| back.idle).count(),
            buffers_lent: self.pool.lent(),
            buffers_promised: self.pool.promised(),
            deadlines: self.deadlines.len(),
            requests_in_flight: self.servers.iter().map(|(_, s)| s.active as usize).sum(),
            backend_waiting: self.queues.values().map(VecDeque::len).sum(),
            versions: self.versions.len(),
        }
    }

    /// When to call [`expire`](Proxy::expire) next, and which timer is due then; `None` stands for
    /// a timer of the worker itself.
    pub fn next_deadline(&mut self) -> (Time, Option<Timer>) {
        let mut next = (self.zombie_check, None);
        if let Some((due, wakes)) = self.deadlines.earliest()
            && due < next.0
        {
            let timer = match wakes {
                Wakes::Session(session) => self.sessions[session].timers.next(),
                Wakes::Back(_) => Some(Timer::BackendKeepAlive),
            };
            next = (due, timer);
        }
        let relief = (self.relief_due < Time::NEVER).then_some(self.relief_due);
        let own = [self.queue.next_deadline(), self.accept_resumes, self.listeners_due(), relief];
        for due in own.into_iter().flatten() {
            if due < next.0 {
                next = (due, None);
            }
        }
        next
    }
}
