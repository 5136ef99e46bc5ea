//! Playing one session back: a fresh proxy is given its steps, and takes its decisions from the
//! recording; what it gives out must roll into the same hash.

use super::case::{Case, Chain, Raw};
use super::entry::{BACK, Cause, FLAG, Tag};
use super::hooks::slot;
use super::script::{Content, Script, name_of};
use super::wire::Stored;
use super::{AMPLE, Flaw, Flight, Mode};
use crate::accept::Waiting;
use crate::config::{Compiled, Settings, TlsClient, TlsServer};
use crate::effect::Close;
use crate::event::Timer;
use crate::expire::SWEPT;
use crate::id::SocketId;
use crate::input::{Readiness, SocketError};
use crate::listen::Listen;
use crate::proxy::{Proxy, SLICES_MAX};
use crate::session::{BufferWait, Moved, SessionId};
use crate::sockets::{Ops, Owner};
use crate::time::Time;
use crate::tls::Tls;
use std::collections::BTreeMap;

/// Where a replay left its recording.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// Number of the entry in the session's chain.
    pub entry: usize,
    /// The worker's time there.
    pub at: Time,
    /// What was recorded, and what came instead.
    pub what: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "entry {} at {} ns: {}", self.entry, self.at.0, self.what)
    }
}

/// TLS settings in place of the recorded ones, which cannot be written.
#[derive(Clone, Default)]
pub struct StandIns {
    /// For listeners.
    pub server: Option<TlsServer>,
    /// For clusters.
    pub client: Option<TlsClient>,
}

/// Compiles the configurations of `case` once, and plays its sessions.
pub struct Player<'a> {
    case: &'a Case,
    compiled: BTreeMap<u64, Compiled>,
}

/// What a session came to in a replay.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Played {
    /// Steps carried out.
    pub steps: usize,
    /// The rolling hash at its end: the recorded one.
    pub hash: u64,
}

impl<'a> Player<'a> {
    /// A player for the sessions of `case`.
    ///
    /// # Errors
    /// Which configuration is refused, and why: the case was damaged, or is of another version.
    pub fn new(case: &'a Case, stand_ins: &StandIns) -> Result<Player<'a>, String> {
        let mut compiled = BTreeMap::new();
        for (&serial, stored) in &case.configs {
            let config = stored.with_tls(stand_ins);
            let made = Compiled::new(config, &case.settings).map_err(|errors| {
                let problem = &errors[0].problem;
                format!("configuration {serial} of the recording is refused: {problem:?}")
            })?;
            compiled.insert(serial, made);
        }
        Ok(Player { case, compiled })
    }

    /// Plays `chain` back.
    ///
    /// # Errors
    /// Where the replay and the recording part, or why there is none.
    pub fn play(&self, chain: &Chain) -> Result<Played, Difference> {
        let start = Time::ZERO;
        let fail = |what: String| Difference { entry: 0, at: start, what };
        if let Some(flaw) = chain.flaw {
            return Err(fail(format!("it cannot be played back: {}", flaw.name())));
        }
        let mut replay = Replay::begin(self, chain)
            .ok_or_else(|| fail(format!("it cannot be played back: {}", Flaw::Malformed.name())))?;
        replay.run()
    }
}

impl Stored {
    /// The configuration, with `stand_ins` where it speaks TLS.
    fn with_tls(&self, stand_ins: &StandIns) -> crate::config::Config {
        let mut config = self.config.clone();
        let identity = |mark: u64| {
            let mut identity = [0; 32];
            identity[..8].copy_from_slice(&mark.to_le_bytes());
            identity
        };
        for &(index, mark) in &self.secure_listeners {
            if let Some(listener) = config.listeners.get_mut(usize::from(index)) {
                let tls = stand_ins.server.clone();
                listener.tls = tls.map(|tls| TlsServer { identity: identity(mark), ..tls });
            }
        }
        for &(index, mark) in &self.secure_clusters {
            if let Some(cluster) = config.clusters.get_mut(usize::from(index)) {
                let tls = stand_ins.client.clone();
                cluster.tls = tls.map(|tls| TlsClient { identity: identity(mark), ..tls });
            }
        }
        config
    }
}

/// One session on its way.
struct Replay<'a> {
    player: &'a Player<'a>,
    /// Entries that are not content.
    entries: Vec<&'a (Time, Raw)>,
    proxy: Proxy,
    id: SessionId,
    steps: usize,
}

impl<'a> Replay<'a> {
    /// A proxy in the state in which the session began.
    fn begin(player: &'a Player<'a>, chain: &'a Chain) -> Option<Replay<'a>> {
        let start = chain.start.as_ref()?;
        let (content, entries): (Vec<_>, Vec<_>) =
            chain.entries.iter().partition(|(_, raw)| raw.tag.is_content());
        let mut known = [Content::default(), Content::default()];
        let mut told = [0_u64; 2];
        for (_, raw) in content {
            let side = usize::from(raw.flags & BACK != 0);
            let at = told[side].checked_add(raw.a)?;
            told[side] = at.checked_add(raw.bytes.len() as u64)?;
            known[side].know(at, &raw.bytes);
        }
        let script = entries.iter().map(|(_, raw)| (raw.tag, raw.a, raw.b));
        let script = Script::new(script.collect(), known);
        let first = player.compiled.get(&start.opened)?;
        // One session needs little of what a worker has.
        let settings = Settings {
            max_connections: 2,
            accept_queue_capacity: 1,
            buffers_max: AMPLE,
            ..player.case.settings.clone()
        };
        let mut proxy = Proxy::with_compiled(settings, [0; 32], first.clone());
        proxy.renumber(start.opened);
        let at = entries.first()?.0;
        proxy.session_serial = start.serial.checked_sub(1)?;
        let name = &first.config().listeners.get(usize::from(start.listener))?.name;
        let is_it = |it: &Listen| it.name == *name && it.at == start.at;
        let listener = proxy.listens.iter().find_map(|(id, it)| is_it(it).then_some(id))?;
        if !start.is_listed {
            proxy.unlist(listener);
        }
        // What a listener opened by stays as it was at the stop, whatever is installed later.
        if let Some(began) = start.stopping {
            proxy.advance(Time(began));
            proxy.stop();
        }
        if start.current != start.opened {
            proxy.version_serial = start.current.checked_sub(1)?;
            proxy.install(player.compiled.get(&start.current)?.clone());
        }
        proxy.advance(at);
        proxy.flight = Some(Box::new(Flight::in_mode(Mode::Replay(script))));
        let socket = proxy.sockets.insert(Owner::Queued, true, None);
        let (read_closed, error) = (start.read_closed, start.reset);
        proxy.sockets.note(socket, Readiness { read_closed, error, ..Readiness::default() });
        proxy.listens[listener].users += 1;
        let id = proxy.sessions.next_id();
        let (peer, local) = (start.peer, start.local);
        proxy.create_session(Waiting { socket, listener, peer, local, since: at });
        Some(Replay { player, entries, proxy, id, steps: 0 })
    }

    fn run(&mut self) -> Result<Played, Difference> {
        loop {
            self.drain();
            let script = self.script();
            let (at, wrong) = (script.next, script.wrong.take());
            let time = self.entries.get(at.min(self.entries.len() - 1)).map_or(Time::ZERO, |e| e.0);
            let differs = |what: String| Difference { entry: at, at: time, what };
            if let Some(what) = wrong {
                return Err(differs(what));
            }
            let Some(&(time, raw)) = self.entries.get(at) else {
                let hash = self.hash();
                return Ok(Played { steps: self.steps, hash });
            };
            self.script().used_up();
            self.steps += 1;
            self.proxy.advance(*time);
            self.step(raw, at).map_err(differs)?;
        }
    }

    fn script(&mut self) -> &mut Script {
        match &mut self.proxy.flight.as_deref_mut().expect("it was put there").mode {
            Mode::Replay(script) => script,
            Mode::Record(_) => unreachable!("a replay does not record"),
        }
    }

    /// The rolling hash so far. Its slot is the first of its own proxy.
    fn hash(&self) -> u64 {
        let flight = self.proxy.flight.as_deref().expect("it was put there");
        flight.hash_of(slot(self.id))
    }

    /// Orders and facts are part of the hash already.
    fn drain(&mut self) {
        while self.proxy.poll_effect().is_some() {}
        while self.proxy.poll_event().is_some() {}
    }

    fn socket(&self, flags: u8) -> Option<SocketId> {
        let session = self.proxy.sessions.get(self.id)?;
        if flags & BACK == 0 {
            return Some(session.front);
        }
        let back = session.exchange.as_deref()?.back?;
        Some(self.proxy.backs[back].socket)
    }

    /// Carries one recorded step out.
    fn step(&mut self, raw: &Raw, at: usize) -> Result<(), String> {
        if self.proxy.sessions.get(self.id).is_none() && raw.tag.has_slot() {
            return Err(format!("the session has ended; recorded is \"{}\"", raw.tag.name()));
        }
        if !matches!(raw.tag, Tag::Scarce | Tag::Sealed) {
            self.arrange(at);
        }
        match raw.tag {
            Tag::Stopped => self.proxy.stop(),
            Tag::Installed => self.install(raw.a)?,
            // They tell of the step behind them.
            Tag::Scarce | Tag::Sealed => {}
            Tag::Fired => self.fire(raw)?,
            Tag::Granted => self.grant()?,
            Tag::Woken => self.wake(),
            Tag::Ended if raw.a == Cause::Evicted as u64 => {
                self.proxy.note_end(self.id, Cause::Evicted);
                self.proxy.close_session(self.id, Close::Normal);
            }
            Tag::Ended => {
                self.proxy.note_end(self.id, Cause::Swept);
                self.proxy.end_session(self.id, SWEPT);
            }
            Tag::Alive => {
                let hash = self.hash();
                if hash != raw.a {
                    return Err(format!("at the end: hash {hash:016x}, recorded {:016x}", raw.a));
                }
            }
            Tag::Decided | Tag::Logged | Tag::Closed => {
                let what = name_of(raw.tag, raw.a);
                return Err(format!("recorded is {what}; the replay does not come to it"));
            }
            _ => self.socket_step(raw, at)?,
        }
        Ok(())
    }

    /// Puts the pool into the state that the recording tells, or into one where nobody lacks any.
    fn arrange(&mut self, at: usize) {
        let before = at.checked_sub(1).map(|before| &self.entries[before].1);
        match before.filter(|raw| raw.tag == Tag::Scarce) {
            Some(raw) => {
                self.proxy.pool.arrange(raw.a.min(AMPLE as u64) as usize, raw.flags & FLAG != 0);
            }
            None => self.proxy.pool.arrange(AMPLE, false),
        }
    }

    fn install(&mut self, serial: u64) -> Result<(), String> {
        let compiled = self.player.compiled.get(&serial);
        let compiled = compiled.ok_or("its configuration was not kept")?.clone();
        self.proxy.version_serial = serial.saturating_sub(1);
        self.proxy.install(compiled);
        Ok(())
    }

    fn fire(&mut self, raw: &Raw) -> Result<(), String> {
        let timers = &self.proxy.sessions[self.id].timers;
        let (next, due, now) = (timers.next(), timers.earliest(), self.proxy.now);
        if next != Timer::ALL.get(raw.a as usize).copied() || due > now {
            let recorded = Timer::ALL.get(raw.a as usize).map_or("none", |timer| timer.name());
            let next = next.map_or("none", |timer| timer.name());
            return Err(format!("timer {recorded} fired; the replay has {next}, due at {}", due.0));
        }
        self.proxy.fire(self.id);
        Ok(())
    }

    fn grant(&mut self) -> Result<(), String> {
        if self.proxy.sessions[self.id].buffers != BufferWait::Waiting {
            return Err("it was granted buffers; the replay does not wait for any".into());
        }
        self.proxy.pool.arrange(AMPLE, false);
        self.proxy.serve_waiters();
        Ok(())
    }

    fn wake(&mut self) {
        self.proxy.note_plain(self.id, Tag::Woken);
        let choice = self.proxy.choose_server(self.id);
        self.proxy.leave_line(self.id, choice);
    }

    fn socket_step(&mut self, raw: &Raw, at: usize) -> Result<(), String> {
        let Some(id) = self.socket(raw.flags) else {
            return Err(format!(
                "recorded is \"{}\"; the replay has no such connection",
                raw.tag.name()
            ));
        };
        let flagged = raw.flags & FLAG != 0;
        let error = SocketError::ALL.get(raw.a as usize).copied().unwrap_or(SocketError::Other);
        match raw.tag {
            Tag::Ready => self.proxy.ready(id, Readiness::of_bits(raw.a)),
            Tag::Lent => return self.lend(id, raw, at),
            Tag::Read => self.proxy.received(id, raw.a as usize),
            Tag::NoRoom => {
                self.proxy.note_socket(id, Tag::NoRoom, 0, false);
                self.proxy.settle_owner(id, Moved::Nobody);
            }
            Tag::Blocked if !flagged => self.proxy.blocked(id, false),
            Tag::Failed if !flagged => self.proxy.failed(id, error, false),
            Tag::Blocked => return self.transmit(id, at, Err(SocketError::WouldBlock), false),
            Tag::Failed => return self.transmit(id, at, Err(error), false),
            Tag::Sent => return self.transmit(id, at, Ok(raw.a as usize), flagged),
            Tag::Delivered => return self.deliver(id),
            Tag::Resumed => self.proxy.resume_input(id),
            tag => return Err(format!("\"{}\" is no step of a session", tag.name())),
        }
        Ok(())
    }

    /// Lends space for the read that comes next, and fills it.
    fn lend(&mut self, id: SocketId, raw: &Raw, at: usize) -> Result<(), String> {
        let socket = self.proxy.sockets.get(id).ok_or("the socket is gone")?;
        if !socket.wants(Ops::READ) || !socket.is_ready(Ops::READ) {
            return Err("a read was recorded; the replay owes none".into());
        }
        let mut later = self.entries[at + 1..].iter().map(|(_, raw)| raw);
        let passed = [Tag::Decided, Tag::Scarce, Tag::Installed, Tag::Stopped];
        let ends = [Tag::Read, Tag::Blocked, Tag::Failed, Tag::NoRoom];
        let is_its = |it: &&Raw| ends.contains(&it.tag) && (it.flags ^ raw.flags) & BACK == 0;
        let next = later.find(|raw| !passed.contains(&raw.tag)).filter(is_its);
        // Space that is lent twice at a time is more than anybody reckons with.
        let next = next.ok_or("space was lent, and nothing came of it")?;
        let next = Some(next).filter(|raw| raw.tag == Tag::Read);
        let (n, is_tls) = next.map_or((0, false), |raw| (raw.a, raw.flags & FLAG != 0));
        let mut content = std::mem::take(&mut self.script().content);
        let mut space: [&mut [u8]; SLICES_MAX] = std::array::from_fn(|_| &mut [][..]);
        let count = self.proxy.recv_space(id, &mut space);
        let offered: u64 = space[..count].iter().map(|slice| slice.len() as u64).sum();
        if n > offered {
            return Err(format!("{n} bytes were read; the replay has room for {offered}"));
        }
        if !is_tls {
            content[usize::from(raw.flags & BACK != 0)].fill(&mut space[..count], n as usize);
        }
        self.script().content = content;
        if 0 < n && n < offered {
            self.proxy.sockets.short_read(id);
        }
        Ok(())
    }

    /// TLS has input of which no edge tells.
    fn deliver(&mut self, id: SocketId) -> Result<(), String> {
        let socket = self.proxy.sockets.get(id).ok_or("the socket is gone")?;
        let has_input = socket.tls().is_some_and(Tls::has_input);
        if !socket.wants(Ops::READ) || !has_input {
            return Err("plaintext was handed on; the replay owes none".into());
        }
        self.proxy.deliver(id);
        Ok(())
    }

    /// Tells TLS, if `id` has any, what the write at `at` comes to: `wrote` bytes are taken, and
    /// more is left of those that were offered, if `partial`.
    fn play_write(
        &mut self,
        id: SocketId,
        at: usize,
        wrote: usize,
        partial: bool,
    ) -> Result<(), String> {
        let socket = self.proxy.sockets.get_mut(id).ok_or("the socket is gone")?;
        let transport = socket.transport.as_deref_mut().filter(|it| it.tls.is_some());
        let Some(transport) = transport else { return Ok(()) };
        let before = self.entries[..at].iter().rev().map(|(_, raw)| raw);
        let mut told = before.take_while(|raw| matches!(raw.tag, Tag::Scarce | Tag::Sealed));
        let sealed = told.find(|raw| raw.tag == Tag::Sealed);
        let unsealed = sealed.map_or(0, |raw| raw.a as usize);
        transport.play_write(wrote, partial, unsealed)
    }

    /// Sends what is to be sent, with the outcome that was recorded.
    fn transmit(
        &mut self,
        id: SocketId,
        at: usize,
        outcome: Result<usize, SocketError>,
        partial: bool,
    ) -> Result<(), String> {
        self.play_write(id, at, outcome.unwrap_or(0), partial || outcome.is_err())?;
        let mut offered = None;
        self.proxy.transmit(id, |slices| {
            let all: usize = slices.iter().map(|slice| slice.len()).sum();
            offered = Some(all);
            outcome.map(|n| n.min(all))
        });
        match (offered, outcome) {
            (None, _) => Err("a write was recorded; the replay has nothing to send".into()),
            (Some(all), Ok(n)) if n > all || partial != (n < all) => {
                Err(format!("{n} bytes were written, partial: {partial}; the replay has {all}"))
            }
            _ => Ok(()),
        }
    }
}
