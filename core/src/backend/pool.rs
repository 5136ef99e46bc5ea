//! The idle pool: connections that wait for another request (BACK-6, BACK-7), and their end.

use super::{BackId, ServerId};
use crate::buggify::Point;
use crate::effect::Close;
use crate::event::Timer;
use crate::proxy::{Proxy, Wakes};
use crate::reach::Decision;
use crate::session::SessionId;
use crate::sockets::Ops;
use crate::time::Time;
use std::time::Duration;

impl Proxy {
    /// Takes an idle connection of `server` for the session: its own one first, and another's
    /// only if `others` may be used.
    pub(crate) fn take_idle(
        &mut self,
        server: ServerId,
        session: SessionId,
        others: bool,
    ) -> Option<BackId> {
        if self.buggify.point(Point::NoIdleConnection) {
            return None;
        }
        let (backs, sockets) = (&self.backs, &self.sockets);
        let tag_of = |back: BackId| {
            let silent = sockets.get(backs[back].socket).is_some_and(|socket| socket.is_silent());
            silent.then_some(backs[back].session)
        };
        let id = self.servers[server].take_idle(tag_of, session, others)?;
        let back = &mut self.backs[id];
        let is_own = back.session == session;
        self.reach.decided(if is_own { Decision::PoolOwn } else { Decision::PoolOthers });
        back.idle = false;
        back.reused = true;
        back.session = session;
        self.deadlines.set(back.deadline, Time::NEVER);
        Some(id)
    }

    /// Lays a connection whose exchange is complete both ways into the pool, for `keep` at most.
    /// The oldest one leaves if the pool would hold more than `idle_max`.
    pub(crate) fn lay_idle(&mut self, id: BackId, keep: Duration, idle_max: usize) {
        let back = &mut self.backs[id];
        back.idle = true;
        self.deadlines.set(back.deadline, self.now.deadline(keep));
        self.sockets.want(back.socket, Ops::READ);
        let server = back.server;
        self.servers[server].idle.push(id);
        while self.servers[server].idle.len() > idle_max {
            let oldest = self.servers[server].idle[0];
            self.reach.decided(Decision::PoolOverflow);
            self.close_back(oldest, Close::Normal);
        }
    }

    /// Closes every idle connection of a server that went down or away.
    pub(crate) fn empty_pool(&mut self, server: ServerId) {
        while let Some(&back) = self.servers[server].idle.last() {
            self.close_back(back, Close::Normal);
        }
    }

    /// Ends a connection to a server, idle or not, and releases all that is its own.
    pub(crate) fn close_back(&mut self, id: BackId, how: Close) {
        let back = self.backs.remove(id).expect("a connection ends once");
        if back.idle {
            self.servers[back.server].forget_idle(id);
        }
        self.deadlines.remove(back.deadline);
        self.close_socket(back.socket, how);
        self.servers[back.server].open -= 1;
        self.release_server(back.server);
    }

    /// One user less; the last one takes the server along.
    pub(crate) fn release_server(&mut self, id: ServerId) {
        let server = &mut self.servers[id];
        server.users -= 1;
        if server.users == 0 {
            let gone = self.servers.remove(id).expect("just seen");
            assert!(gone.idle.is_empty() && gone.active == 0, "a server outlives its connections");
        }
    }

    /// An idle connection was readable: whatever came, it came unasked (BACK-7).
    pub(crate) fn idle_disturbed(&mut self, id: BackId) {
        self.reach.decided(Decision::PoolDisturbed);
        self.close_back(id, Close::Normal);
    }

    /// `backend_keep_alive` is over.
    pub(crate) fn idle_expired(&mut self, id: BackId) {
        debug_assert!(self.backs[id].idle);
        self.reach.fired(Timer::BackendKeepAlive);
        self.close_back(id, Close::Normal);
    }

    /// A deadline entry for a connection.
    pub(crate) fn back_deadline(&mut self, id: BackId) -> crate::deadline::DeadlineId {
        self.deadlines.insert(Wakes::Back(id))
    }
}
