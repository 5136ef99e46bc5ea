//! Events of the proxy: access records and facts.
//!
//! - RUN-5: a request has one access record, which tells what was sent, counters tell what
//!   happened, and no session breaks.

use super::ledger::Recorded;
use super::{
    Group, Oracle, Verdict, accounting, balance, breach, dials, handshakes, headers, liveness,
    reconfiguration, retry, timers,
};
use tidegate_core::event::{AccessRecord, Event};

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
                balance::health(self, event).and_then(|()| dials::marked_down(self, event))
            }
            Event::HandshakeFailed { client, failure, .. } => {
                self.handshakes_failed[*failure as usize] += 1;
                handshakes::failed(self, *client, *failure)
            }
            Event::AcceptPaused => Ok(()),
            Event::Stopped { .. } => Ok(()),
        };
        self.judge(verdict);
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
        retry::attempts(id, record.attempts)?;
        timers::record(self, row, &recorded)?;
        reconfiguration::record(self, row, &recorded)?;
        self.rows[id as usize].record = Some(recorded);
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
