//! Events of the proxy: access records and facts.
//!
//! - RUN-5: a request has one access record, which tells what was sent, counters tell what
//!   happened, and no session breaks.

use super::ledger::{Recorded, Row};
use super::{
    Group, Oracle, Verdict, accounting, answers, balance, breach, falls, handshakes, headers,
    liveness, reconfiguration, retry, timers,
};
use crate::wire;
use std::net::SocketAddr;
use tidegate_core::event::{AccessRecord, Event, Phase};

const GROUP: Group = Group::Accounting;

impl Oracle {
    /// The proxy told of a fact.
    pub fn event(&mut self, event: &Event) {
        let verdict = match event {
            Event::Access(record) => self.access(record),
            Event::Zombie { session, state } => liveness::zombie(*session, state),
            Event::Broken { session, what } => {
                accounting::invariants(Err(format!("session {session} is broken: {what}")))
            }
            Event::ServerDown { .. } | Event::ServerUp { .. } => {
                let verdict = falls::marked_down(self, event);
                balance::health(self, event).and(verdict)
            }
            Event::HandshakeFailed { client, failure, .. } => {
                handshakes::failed(self, *client, *failure)
            }
            Event::AcceptPaused => Ok(()),
            Event::Stopped { .. } => Ok(()),
        };
        self.judge(verdict);
    }

    /// The connection of a client that the proxy knows by this address.
    pub(super) fn front_from(&self, client: Option<SocketAddr>) -> Option<usize> {
        let front = crate::kernel::front_of(client?.port())? as usize;
        (front < self.fronts.len()).then_some(front)
    }

    fn access(&mut self, record: &AccessRecord) -> Verdict {
        self.records += 1;
        if !self.request_ids.insert(record.request_id) && record.request_id != 0 {
            return headers::id_again(record.request_id);
        }
        if record.tcp {
            return self.tcp_record(record);
        }
        let path = String::from_utf8_lossy(record.path.as_bytes()).into_owned();
        let id = path.find("/r/").and_then(|at| {
            path[at + 3..].split(['/', '?']).next().and_then(|id| id.parse::<usize>().ok())
        });
        let Some(row) = id.and_then(|id| self.rows.get(id)) else { return Ok(()) };
        let id = row.ask.id;
        if row.record.is_some() {
            return breach(GROUP, "RUN-5", format!("request {id} has two access records"));
        }
        handshakes::recorded(&self.fronts[row.front as usize], record)?;
        let recorded = Recorded {
            at: self.now,
            status: record.status,
            ending: record.ending,
            attempts: record.attempts,
            version: record.version,
        };
        // An answer that was decided on may have found nobody who would take it.
        let status = row.answer.as_ref().map_or(0, |answer| answer.status);
        if record.status != status && row.answer.is_some() {
            let message = format!("request {id}: {status} sent, {} recorded", record.status);
            return breach(GROUP, "RUN-5", message);
        }
        if record.status == 101 && row.tunnel.is_some() {
            self.upgrade_record(id, record)?;
        } else {
            self.never_switched(id, &recorded);
            self.sent_bytes(id, record)?;
        }
        let row = &self.rows[id as usize];
        self.tells(row, record)?;
        retry::attempts(id, record.attempts)?;
        timers::record(self, row, &recorded)?;
        reconfiguration::record(self, row, &recorded)?;
        self.rows[id as usize].record = Some(recorded);
        Ok(())
    }

    /// The record names its request, its client, and where it led.
    fn tells(&self, row: &Row, record: &AccessRecord) -> Verdict {
        let front = &self.fronts[row.front as usize];
        let version = (record.version as usize).checked_sub(1);
        let version = version.and_then(|number| self.truth.versions.get(number));
        // Of a head that was not read whole, or is not understood, it may not know all.
        let (Some(version), Some(_), None) = (version, row.head_read_at, row.ask.flaw) else {
            return Ok(());
        };
        let (ask, config) = (&row.ask, &version.config);
        let listener = format!("l{}", ask.listener);
        let listener = config.listeners.iter().position(|known| *known.name == *listener);
        let way = version.routes.iter().position(|way| version.way(ask) == Some(way));
        let cluster = version.cluster_of(ask).and_then(|number| {
            let name = format!("c{number}");
            config.clusters.iter().position(|known| *known.name == *name)
        });
        let server = record.server.zip(record.cluster).map(|(server, cluster)| {
            let cluster = config.clusters.get(cluster as usize);
            cluster.and_then(|it| it.servers.get(usize::from(server))?.id.clone())
        });
        let last = row.attempts.last().map(|last| {
            let server = self.backs[last.back as usize].server;
            Some(wire::server_id(server).into_boxed_str())
        });
        let own_id = row.answer.as_ref().and_then(|answer| answer.request_id);
        let told_id = row.attempts.last().and_then(|last| last.told_id);
        let is_relayed = row.answer.as_ref().is_some_and(|answer| answer.serial.is_some());
        let is_reused = row.attempts.last().is_some_and(|last| last.is_reused);
        let fresh = row.attempts.iter().filter(|attempt| !attempt.is_reused).count();
        // What is refused before it is routed leads nowhere.
        let is_sure = !matches!(record.status, 413 | 421 | 429);
        let facts = [
            ("method", record.method.as_bytes() == ask.method.name().as_bytes()),
            ("host", record.host.as_bytes() == wire::host_name(ask.host).as_bytes()),
            ("minor version", record.minor == ask.said_minor()),
            ("client", record.client == Some(front.client_address())),
            ("listener", record.listener.map(usize::from) == listener),
            ("route", !is_sure || record.route.map(|number| number as usize) == way),
            ("cluster", !is_sure || record.cluster.map(|number| number as usize) == cluster),
            ("server", !is_relayed || server == last),
            ("reuse", !is_relayed || record.reused == is_reused),
            ("attempts", usize::from(record.attempts) >= fresh),
            ("request id", own_id.is_none_or(|id| id == record.request_id)),
            ("id than at its server", told_id.is_none_or(|id| id == record.request_id)),
        ];
        for (what, is_right) in facts {
            if !is_right {
                let id = ask.id;
                let message = format!("request {id}: another {what} recorded: {record:?}");
                return breach(GROUP, "RUN-5", message);
            }
        }
        self.received(row, record)?;
        self.spans(row, record)
    }

    /// The record counts the bytes of its request, and no others.
    fn received(&self, row: &Row, record: &AccessRecord) -> Verdict {
        let front = &self.fronts[row.front as usize];
        let (Some(end), Some(at)) = (row.end, row.all_read_at) else { return Ok(()) };
        let all = end - row.start;
        // Of what is answered before it was read, the rest may be discarded.
        let is_sent = row.attempts.last().is_some_and(|last| last.end.is_some());
        let is_over = record.ending.phase == Phase::Complete && is_sent && row.tunnel.is_none();
        if is_over && at <= self.now && front.tls.is_none() && record.received != all {
            let id = row.ask.id;
            let message = format!("request {id}: {all} bytes, {} recorded", record.received);
            return breach(GROUP, "RUN-5", message);
        }
        Ok(())
    }

    /// The parts of a request's time add up, from its first byte to its last.
    fn spans(&self, row: &Row, record: &AccessRecord) -> Verdict {
        let parts = [record.head, record.queue, record.connect, record.wait, record.transfer];
        let all: u128 = parts.iter().map(std::time::Duration::as_nanos).sum();
        let start = u128::from(record.start.0);
        // What came behind another request begins when its turn does.
        let at = row.first_read_at.unwrap_or(self.now);
        let turn = match self.has_ample_buffers() {
            // A turn whose budget is used up goes on in the next.
            true => {
                let late = self.truth.loop_delay_max;
                u128::from(at.max(answers::turn_came(self, row)) + late)
            }
            // TLS may have read it, and the session waits for a buffer to take it into (SES-5).
            false => start.max(u128::from(at)),
        };
        if start + all != u128::from(self.now) || !(u128::from(at)..=turn).contains(&start) {
            let id = row.ask.id;
            let now = self.now;
            let message = format!(
                "request {id}: read at {at}, its turn at {turn}, {start} recorded, {parts:?}, {now}"
            );
            return breach(GROUP, "RUN-5", message);
        }
        Ok(())
    }

    /// The record counts the bytes that went to the client.
    fn sent_bytes(&self, id: u32, record: &AccessRecord) -> Verdict {
        let row = &self.rows[id as usize];
        let Some(end) = row.answer.as_ref().and_then(|answer| answer.end) else { return Ok(()) };
        let front = &self.fronts[row.front as usize];
        let place = front.rows.iter().position(|&r| r == id).unwrap_or(0);
        let before = place.checked_sub(1).and_then(|before| {
            self.rows[front.rows[before] as usize].answer.as_ref().and_then(|a| a.end)
        });
        let sent = end - before.unwrap_or(0);
        if record.sent != sent {
            let message = format!("request {id}: {sent} bytes sent, {} recorded", record.sent);
            return breach(GROUP, "RUN-5", message);
        }
        Ok(())
    }
}
