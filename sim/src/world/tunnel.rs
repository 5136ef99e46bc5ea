//! Peers of tunnels: clients of the TCP listener and servers behind it, and those that upgraded.

use super::World;
use super::client::Role;
use super::leave::Leaves;
use super::protocols::TunnelRates;
use super::talker::{Next, Talker};
use crate::kernel::Ep;
use crate::mark;
use crate::story::Who;
use crate::stream::{Speaker, Stream};
use crate::tell;

/// Keys the draws of servers apart from those of clients.
pub(super) const SERVERS: u64 = 1 << 40;

impl World {
    /// How peers of tunnels behave now. In a calm world always in one way: of its two runs a
    /// connection may begin before the end of a phase in the one and behind it in the other.
    pub(super) fn tunnel_rates(&self) -> TunnelRates {
        let protocols = &self.scenario.protocols;
        let is_quiet = self.is_closed() || self.part.is_calm;
        if is_quiet { protocols.healed() } else { protocols.tunnels }
    }

    /// Client `c` has begun to connect to the TCP listener; it speaks behind `header` bytes.
    pub(super) fn tcp_client_begins(&mut self, c: u32, front: u32, header: u64, is_owed: bool) {
        let rates = self.tunnel_rates();
        let drawn = self
            .scenario
            .protocols
            .passage
            .map(|(passage, _)| (passage, self.draw_hello(c, front, &rates.rates)));
        let stream = match &drawn {
            Some((_, (_, bytes))) => Stream::hello(front, bytes.clone()),
            None => Stream::of(Speaker::Front(front)),
        };
        let says = stream.clone();
        let mut talker = Talker::draw(&mut self.cx, &rates, c.into(), says, (header, 0));
        let mut is_led = true;
        if let Some((passage, (hello, bytes))) = drawn {
            let said = bytes.len() as u64;
            talker = match said < hello.len {
                true => talker.says_exactly(said),
                false => talker.says_at_least(said),
            };
            is_led = hello.is_good && said == hello.len && passage.leads(hello.name).0.is_some();
            self.oracle.fronts[front as usize].hello = Some(hello);
            tell!(self.cx, Who::Client(c), "begins with {hello:?}");
        }
        tell!(self.cx, Who::Client(c), "talks: {talker}");
        let client = &mut self.clients[c as usize];
        let role = client.role;
        client.talker = Some(talker);
        self.oracle.tcp_begun(front, header);
        let is_must = role == Role::Healed || (self.scenario.is_faultless && role == Role::Chaos);
        if let Some(tunnel) = self.oracle.tunnels.last_mut() {
            tunnel.up.stream = stream;
            tunnel.must_succeed = is_must && is_owed && is_led;
        }
    }

    /// Something may have changed for client `c`, who speaks through a tunnel.
    pub(super) fn client_talks(&mut self, c: u32, ep: Ep) {
        if self.cx.now >= self.clients[c as usize].give_up_at {
            self.cx.mark(mark!("tunnel: a client loses patience"));
            return self.client_leave(c, Leaves::Aborts);
        }
        let Some(mut talker) = self.clients[c as usize].talker.take() else { return };
        let before = talker.has_shut;
        let next = self.talk(ep, &mut talker);
        if talker.has_shut && !before {
            let front = self.clients[c as usize].front;
            self.oracle.fronts[front as usize].left_at.get_or_insert(self.cx.now);
        }
        let now = self.cx.now;
        let is_new = matches!(next, Next::Waits(Some(d)) if talker.needs_timer(now, now + d));
        self.clients[c as usize].talker = Some(talker);
        match next {
            Next::Waits(Some(delay)) if is_new => self.client_later(c, delay),
            Next::Waits(_) => {}
            Next::Closes => self.client_leave(c, Leaves::IsDone),
            Next::Resets => {
                self.cx.mark(mark!("tunnel: a client resets"));
                self.clients[c as usize].manner.resets = true;
                self.client_leave(c, Leaves::Aborts);
            }
            // It leaves of itself, where it cannot take what the proxy says.
            Next::Lost if self.layers.has_failed(&self.net, ep) => {
                self.client_leave(c, Leaves::IsDone);
            }
            Next::Lost => self.client_leave(c, Leaves::SawEnd),
        }
    }

    /// A server that speaks no HTTP has accepted connection `b`.
    pub(super) fn tcp_server_begins(&mut self, b: u32, back: u32) {
        let rates = self.tunnel_rates();
        let stream = Stream::of(Speaker::Back(back));
        let heard_from = 0;
        let entity = SERVERS | u64::from(b);
        let talker = Talker::draw(&mut self.cx, &rates, entity, stream, (0, heard_from));
        tell!(self.cx, Who::Back(back), "talks: {talker}");
        self.back_conns[b as usize].talker = Some(talker);
    }

    /// Something may have changed for backend connection `b`, which is a tunnel's.
    pub(super) fn back_talks(&mut self, b: u32, ep: Ep) {
        let Some(mut talker) = self.back_conns[b as usize].talker.take() else { return };
        let next = self.talk(ep, &mut talker);
        let now = self.cx.now;
        let is_new = matches!(next, Next::Waits(Some(d)) if talker.needs_timer(now, now + d));
        self.back_conns[b as usize].talker = Some(talker);
        match next {
            Next::Waits(Some(delay)) if is_new => self.back_later(b, delay),
            Next::Waits(_) => {}
            Next::Closes | Next::Lost => self.back_end(b, false),
            Next::Resets => {
                self.cx.mark(mark!("tunnel: a server resets"));
                self.back_end(b, true);
            }
        }
    }
}
