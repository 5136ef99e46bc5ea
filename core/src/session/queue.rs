//! Waiting for a connection to a server that has all it may have (BACK-9).

use super::dial::ending;
use super::state::{Move, State};
use super::{Moved, SessionId};
use crate::backend::Choice;
use crate::event::{Phase, Timer, Who};
use crate::flight::{Tag, Verdict};
use crate::proxy::Proxy;
use crate::reach::Decision;
use crate::time::Time;

impl Proxy {
    /// No server of the session's cluster has room: it waits in line, if that has room.
    pub(crate) fn enqueue(&mut self, id: SessionId) {
        let x = self.sessions[id].exchange.as_deref().expect("a request is being served");
        let cluster = x.record.cluster.expect("the route led to a cluster") as usize;
        let version = x.version.expect("a request sees a version");
        let (config, views) = (&self.versions[version].config, &self.versions[version].clusters);
        let (name, view) = (&config.clusters[cluster].name, &views[cluster]);
        let due = self.now.deadline(view.timeouts.backend_queue);
        let waiting = self.queues.get(name).map_or(0, |queue| queue.len());
        let is_full = waiting >= view.queue_max;
        if self.decide(id, Verdict::LineFull, |_| u64::from(is_full)) != 0 {
            self.counters.backend_queue_full += 1;
            return self.fail(id, 503, ending(Who::Proxy, Phase::Connect));
        }
        // Only a new line needs the name for its own.
        let name = &self.versions[version].config.clusters[cluster].name;
        match self.queues.get_mut(name) {
            Some(queue) => queue.push_back(id),
            None => drop(self.queues.insert(name.clone(), [id].into())),
        }
        self.counters.backend_queued += 1;
        self.await_relief();
        let session = &mut self.sessions[id];
        session.go(Move::Enqueue);
        session.timers.set_back(Timer::BackendQueue, due);
    }

    /// Whether others wait for the session's cluster, who came before it.
    pub(crate) fn is_behind(&self, id: SessionId) -> bool {
        if self.queues.is_empty() || self.sessions[id].state == State::Queue {
            return false;
        }
        let x = self.sessions[id].exchange.as_deref().expect("a request is being served");
        let cluster = x.record.cluster.expect("the route led to a cluster") as usize;
        let version = &self.versions[x.version.expect("a request sees a version")];
        self.queues.contains_key(&version.config.clusters[cluster].name)
    }

    /// The end of the next back-off is waited for, if anybody waits at all: its server can be
    /// probed then (BACK-4).
    pub(crate) fn await_relief(&mut self) {
        self.relief_due = Time::NEVER;
        if !self.queues.is_empty() {
            let ends = self.servers.iter().filter_map(|(_, it)| it.health.back_off_until());
            let later = ends.filter(|&until| until > self.now);
            self.relief_due = later.min().unwrap_or(Time::NEVER);
        }
    }

    /// Takes the session out of the line it stands in.
    pub(crate) fn leave_queue(&mut self, id: SessionId) {
        if self.sessions[id].state != State::Queue {
            return;
        }
        self.sessions[id].timers.clear_back();
        // Its record may be written already, and with it the name of its cluster be gone.
        self.queues.retain(|_, queue| {
            queue.retain(|&waiter| waiter != id);
            !queue.is_empty()
        });
    }

    /// Servers have room again: whoever has waited longest and can use it goes on.
    pub(crate) fn serve_queues(&mut self) {
        self.relieved = false;
        let waiting: Vec<SessionId> = self.queues.values().flatten().copied().collect();
        for id in waiting {
            if self.sessions.get(id).is_none_or(|session| session.state != State::Queue) {
                continue;
            }
            let choice = self.pick_server(id);
            if choice != Choice::Full {
                self.note_plain(id, Tag::Woken);
                self.note_choice(id, choice);
                self.leave_line(id, choice);
            }
        }
    }

    /// The session's turn has come.
    pub(crate) fn leave_line(&mut self, id: SessionId, choice: Choice) {
        self.leave_queue(id);
        match choice {
            Choice::Server(pick) => {
                self.reach.decided(Decision::QueueServed);
                self.dispatch_to(id, pick);
            }
            Choice::Nobody | Choice::Full => {
                self.reach.decided(Decision::QueueLost);
                self.fail(id, 503, ending(Who::Proxy, Phase::Connect));
            }
        }
        self.settle(id, Moved::Nobody);
    }
}
