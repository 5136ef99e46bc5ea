//! Our own accounting, checked against itself: what each owner holds adds up to what each counter
//! says (LOOP-2, RUN-5). Costs a pass over everything; drivers call it in tests and simulations.

use crate::proxy::Proxy;
use crate::session::state::State;
use crate::session::{BufferWait, Exchange};
use crate::sockets::{Owner, Sockets};

macro_rules! require {
    ($condition:expr, $($message:tt)*) => {
        if !$condition {
            return Err(format!($($message)*));
        }
    };
}

impl Proxy {
    /// Checks every count and every link.
    ///
    /// # Errors
    /// What does not add up.
    pub fn check_invariants(&self) -> Result<(), String> {
        self.check_sockets()?;
        self.check_buffers()?;
        self.check_sessions()?;
        self.check_servers()?;
        self.check_listeners()
    }

    fn check_sockets(&self) -> Result<(), String> {
        let mut closing = 0;
        for (id, socket) in self.sockets.iter() {
            require!(!Sockets::is_forgotten(socket), "socket {id:?} is ready and not queued");
            match socket.owner {
                Owner::Front(session) => {
                    let session = self.sessions.get(session);
                    require!(session.is_some_and(|s| s.front == id), "{id:?}: no such session");
                }
                Owner::Back(back) => {
                    let back = self.backs.get(back);
                    require!(back.is_some_and(|b| b.socket == id), "{id:?}: no such connection");
                }
                Owner::Listener(listen) => {
                    let listen = self.listens.get(listen);
                    require!(
                        listen.is_some_and(|l| l.socket == Some(id)),
                        "{id:?}: no such listener"
                    );
                }
                Owner::Queued => {
                    require!(self.queue.iter().any(|w| w.socket == id), "{id:?} is not queued");
                }
                Owner::Closing => closing += 1,
            }
        }
        let listening = self.listens.iter().filter(|(_, l)| l.socket.is_some()).count();
        let owned = self.sessions.len() + self.backs.len() + self.queue.len() + listening + closing;
        require!(owned == self.sockets.len(), "{} sockets, {owned} owned", self.sockets.len());
        Ok(())
    }

    fn check_buffers(&self) -> Result<(), String> {
        let (mut held, mut promised) = (0, 0);
        for (_, session) in self.sessions.iter() {
            if session.buffers == BufferWait::Promised {
                promised += crate::buffer::PROMISE;
            }
            if let Some(x) = &session.exchange {
                held += x.request.held() + x.response.held();
                promised += x.promises;
            }
        }
        require!(held == self.pool.lent(), "{held} buffers held, {} lent", self.pool.lent());
        let counted = self.pool.promised();
        require!(promised == counted, "{promised} buffers promised, {counted} counted");
        require!(
            held + promised <= self.settings.buffers_max,
            "{held} + {promised} buffers of {}",
            self.settings.buffers_max
        );
        Ok(())
    }

    fn check_sessions(&self) -> Result<(), String> {
        require!(
            self.sessions.len() <= self.settings.max_connections,
            "{} sessions of {}",
            self.sessions.len(),
            self.settings.max_connections
        );
        let mut idle = 0;
        for (id, session) in self.sessions.iter() {
            let has_exchange = session.exchange.is_some();
            let may_have = !matches!(
                session.state,
                State::Open | State::Handshake | State::Idle | State::Linger
            );
            let may_lack = !may_have
                || matches!(session.state, State::ExpectProxy | State::Hello | State::Ready);
            require!(
                if has_exchange { may_have } else { may_lack },
                "{id:?} in {:?}: exchange {has_exchange}",
                session.state
            );
            let opens = session.opening.is_some();
            let must_open = matches!(
                session.state,
                State::ExpectProxy | State::Handshake | State::Hello | State::Ready
            );
            require!(opens == must_open, "{id:?} in {:?}: opening {opens}", session.state);
            let lines = self.queues.values().flatten().filter(|&&waiter| waiter == id).count();
            let waits = usize::from(session.state == State::Queue);
            require!(lines == waits, "{id:?} stands in {lines} lines of {waits}");
            idle += usize::from(session.is_idle_listed);
            let due = self.deadlines.get(session.deadline);
            require!(due == session.timers.earliest(), "{id:?}: its deadline is another one");
            if let Some(back) = session.exchange.as_ref().and_then(|x| x.back) {
                let back = self.backs.get(back);
                require!(
                    back.is_some_and(|b| b.session == id && !b.idle),
                    "{id:?}: its connection is not its own"
                );
            }
        }
        let (mut listed, mut next) = (0, self.idle_first);
        while let Some(id) = next {
            listed += 1;
            next = self.sessions[id].idle_next;
        }
        require!(idle == listed, "{idle} idle sessions, {listed} listed");
        require!(self.deadlines.is_sound(), "the deadlines are no heap");
        let deadlines = self.sessions.len() + self.backs.len();
        require!(
            deadlines == self.deadlines.len(),
            "{} deadlines, {deadlines} owners",
            self.deadlines.len()
        );
        Ok(())
    }

    fn check_servers(&self) -> Result<(), String> {
        for (id, server) in self.servers.iter() {
            let exchanges = self.sessions.iter().filter_map(|(_, s)| s.exchange.as_deref());
            let probes = |x: &&Exchange| x.attempt.is_some_and(|it| server.health.is_probed_by(it));
            let its: Vec<&Exchange> = exchanges.filter(|x| x.server == Some(id)).collect();
            let (active, probed) = (its.len(), usize::from(server.health.is_probed()));
            require!(active == server.active as usize, "server {id:?}: {active} in flight");
            let probes = its.into_iter().filter(probes).count();
            require!(probes == probed, "server {id:?} is probed by {probes}, not {probed}");
            let idle = self.backs.iter().filter(|(_, b)| b.server == id && b.idle).count();
            require!(idle == server.idle.len(), "server {id:?}: {idle} idle connections");
            let backs = self.backs.iter().filter(|(_, b)| b.server == id).count();
            require!(backs == server.open as usize, "server {id:?}: {} open", server.open);
            let views = self.versions.iter().flat_map(|(_, v)| &v.clusters);
            let views = views.flat_map(|view| &view.servers).filter(|&&s| s == id).count();
            require!(backs + views == server.users, "server {id:?}: {} users", server.users);
        }
        for (id, version) in self.versions.iter() {
            let exchanges = self.sessions.iter().filter_map(|(_, s)| s.exchange.as_ref());
            let viewers = exchanges.filter(|x| x.version == Some(id)).count();
            let openings = self.sessions.iter().filter_map(|(_, s)| s.opening);
            let viewers = viewers + openings.filter(|opening| opening.version == id).count();
            let listens = self.listens.iter().filter(|(_, listen)| listen.last.0 == id);
            let viewers = viewers + listens.count();
            let users = viewers + usize::from(id == self.current);
            require!(users == version.users, "version {id:?}: {users} users");
        }
        Ok(())
    }

    fn check_listeners(&self) -> Result<(), String> {
        let counted = self.sessions.iter().filter(|(_, s)| s.counted.is_some()).count();
        let per_address: u32 = self.per_address.values().sum();
        require!(counted == per_address as usize, "{counted} of {per_address} addresses counted");
        for (id, listen) in self.listens.iter() {
            let sessions = self.sessions.iter().filter(|(_, s)| s.listener == id).count();
            let waiting = self.queue.iter().filter(|w| w.listener == id).count();
            require!(sessions + waiting == listen.users, "listener {id:?}: {} users", listen.users);
        }
        Ok(())
    }
}
