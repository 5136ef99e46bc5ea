//! How clients end their connections.

use super::World;
use super::client::Client;
use crate::cx::{MS, US};
use crate::kernel::Ep;
use crate::mark;
use crate::site;
use crate::story::Who;
use crate::tell;

/// Why a client ends its connection.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Leaves {
    /// It has what it wanted.
    IsDone,
    /// It gives up in the middle.
    Aborts,
    /// The proxy was first.
    SawEnd,
}

impl World {
    /// Everything was answered, or patience is at its end: leaves.
    pub(super) fn client_consider_end(&mut self, c: u32, ep: Ep) {
        let (answered, closes) = self.client_answers(c, ep);
        let client = &mut self.clients[c as usize];
        let now = self.cx.now;
        if now >= client.give_up_at || client.left_early(now) {
            self.cx.mark(mark!("client: loses patience"));
            return self.client_leave(c, Leaves::Aborts);
        }
        let is_done = client.out.is_none()
            && (client.begun >= client.manner.requests || closes || self.client_expects_end(c))
            && answered >= self.clients[c as usize].begun;
        let client = &mut self.clients[c as usize];
        if client.manner.is_silent || (is_done && client.manner.hoards > 0 && !closes) {
            if client.done_at.is_none() {
                let stay = client.manner.hoards.max(MS);
                client.done_at = Some(now + stay);
                self.client_later(c, stay);
            }
        } else if is_done || (closes && answered > 0) {
            self.client_leave(c, Leaves::IsDone);
        }
    }

    /// Ends the connection of client `c`, by a reset if it aborts in that way.
    pub(super) fn client_leave(&mut self, c: u32, why: Leaves) {
        let client = &mut self.clients[c as usize];
        let Some(ep) = client.ep.take() else { return };
        client.out = None;
        client.token += 1;
        let (front, resets) = (client.front, client.manner.resets);
        tell!(self.cx, Who::Client(c), "leaves connection {front}: {why:?}");
        if why != Leaves::SawEnd {
            self.oracle.client_left(front, true);
        }
        if why == Leaves::Aborts && resets {
            self.net.reset(&mut self.cx, ep);
        } else {
            let is_polite = why != Leaves::Aborts;
            self.layers.close(&mut self.cx, &mut self.net, ep, is_polite);
        }
        let client = &self.clients[c as usize];
        if client.left == 0 {
            return self.client_done(c);
        }
        let max = self.scenario.think_max;
        let pause = self.cx.choices.log_between(site!("client/pause"), client.slot, 10 * US, max);
        self.client_later(c, pause);
    }
}

impl Client {
    fn left_early(&self, now: u64) -> bool {
        self.done_at.is_some_and(|at| now >= at)
    }
}
