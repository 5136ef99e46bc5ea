//! WebSocket: requests that ask for an upgrade, servers that agree, refuse, or answer wrongly
//! (TUN-3).

use super::World;
use super::client::Role;
use super::talker::Talker;
use crate::kernel::Ep;
use crate::mark;
use crate::oracle::ledger::{Ask, Method};
use crate::stream::Stream;
use crate::swarm::Operation;

impl World {
    /// Makes the next request of client `c` one for an upgrade, sometimes.
    pub(super) fn ask_upgrade(&mut self, c: u32, asked: &mut Ask) {
        let is_held = self.client_unanswered_upgrade(c).is_some();
        let percent = self.scenario.protocols.upgrades;
        let (swarm, tls) = (&self.scenario.swarm, &self.scenario.tls);
        let wants = (!tls.is_used() || tls.has_tunnels)
            && self.cx.does(Operation::Upgrade, swarm, c.into(), percent);
        if is_held || wants {
            // Behind a request for an upgrade comes what can be a tunnel's beginning as well.
            *asked = Ask {
                method: Method::Get,
                minor: 1,
                body: 0,
                is_chunked: false,
                expects: false,
                keeps: true,
                flaw: None,
                upgrade: wants && !is_held && asked.flaw.is_none(),
                ..asked.clone()
            };
        }
    }

    /// The request for an upgrade that client `c` has sent and that was not answered yet, and how
    /// many were begun behind it.
    fn client_unanswered_upgrade(&self, c: u32) -> Option<(u32, usize)> {
        let client = &self.clients[c as usize];
        let front = &self.oracle.fronts[client.front as usize];
        let place = front.rows.iter().position(|&row| {
            let row = &self.oracle.rows[row as usize];
            row.ask.upgrade && !self.client_saw_answer(c, row.ask.id)
        })?;
        Some((front.rows[place], front.rows.len() - 1 - place))
    }

    /// Whether the final answer to request `row` has arrived at client `c`.
    fn client_saw_answer(&self, c: u32, row: u32) -> bool {
        let client = &self.clients[c as usize];
        let Some(ep) = client.ep else { return true };
        let answer = self.oracle.rows[row as usize].answer.as_ref();
        answer.and_then(|answer| answer.end).is_some_and(|end| end <= self.net.content_read(ep))
    }

    /// Whether client `c` must wait for the answer to its request for an upgrade; one more may
    /// follow right behind it, now and then.
    pub(super) fn client_awaits_upgrade(&self, c: u32) -> bool {
        match self.client_unanswered_upgrade(c) {
            None => false,
            // What comes first, a tunnel or what could be its beginning, is a race.
            Some(_) if self.part.is_calm => true,
            Some((row, behind)) => {
                behind > 0 || self.oracle.rows[row as usize].ask.key.is_multiple_of(2)
            }
        }
    }

    /// The bytes of the request that client `c` has begun last may be a tunnel's first.
    pub(super) fn client_follows_upgrade(&mut self, c: u32, row: u32) {
        if let Some((asked, _)) =
            self.client_unanswered_upgrade(c).filter(|&(asked, _)| asked != row)
        {
            self.cx.mark(mark!("upgrade: bytes right behind the request"));
            let bytes = self.clients[c as usize].out.as_mut().and_then(|out| out.peek(usize::MAX));
            let bytes = bytes.unwrap_or_default().to_vec();
            self.oracle.follows_upgrade(asked, row, bytes);
        }
    }

    /// Whether client `c` has been upgraded, and speaks through a tunnel from now on.
    pub(super) fn client_upgrades(&mut self, c: u32, ep: Ep) -> bool {
        let front = self.clients[c as usize].front;
        let Some(id) = self.oracle.fronts[front as usize].tunnel else { return false };
        let Some(row) = self.oracle.tunnels[id as usize].row else { return false };
        if !self.client_saw_answer(c, row) {
            return false;
        }
        let at = &self.oracle.rows[row as usize];
        let (base, behind) = (at.end.unwrap_or(0), at.behind.clone());
        let heard_from = at.answer.as_ref().and_then(|answer| answer.end).unwrap_or(0);
        let rates = self.tunnel_rates();
        let said = behind.len() as u64;
        let stream = Stream::up(row, behind);
        let begins = (base, heard_from);
        let mut talker = Talker::draw(&mut self.cx, &rates, c.into(), stream, begins);
        talker = talker.says_at_least(said);
        let client = &mut self.clients[c as usize];
        if client.has_shut {
            talker = talker.shut_at(self.net.content_written(ep));
        }
        client.out = None;
        client.talker = Some(talker);
        let is_owed = client.role == Role::Healed;
        self.cx.mark(mark!("upgrade: a client has its tunnel"));
        if is_owed {
            self.cx.mark(mark!("upgrade: a tunnel after healing"));
        }
        true
    }

    /// A 101 was written to backend connection `b`, for request `row`: the tunnel begins.
    pub(super) fn back_upgrades(&mut self, b: u32, row: u32) {
        let rates = self.tunnel_rates();
        let ep = self.back_conns[b as usize].ep;
        let heard_from = self.net.content_read(ep);
        let begins = (self.net.content_written(ep), heard_from);
        let entity = super::tunnel::SERVERS | u64::from(b);
        let talker = Talker::draw(&mut self.cx, &rates, entity, Stream::down(row), begins);
        self.back_conns[b as usize].talker = Some(talker);
        self.back_talks(b, ep);
    }
}
