//! What arrives, and what that does to the end it arrives at.

use super::endpoint::State;
use super::{Ep, Net};
use crate::cx::{Cx, Flight};
use crate::fact;
use crate::mark;
use crate::site;
use crate::story::Fact;
use tidegate_core::input::SocketError;

impl Net {
    /// Something arrives at `ep`, or waits before a clogged link.
    pub fn deliver(&mut self, cx: &mut Cx, ep: Ep, flight: Flight) {
        // What is held stays in front of what comes later on the same link.
        if self.is_held(ep) {
            cx.mark(mark!("kernel: held by a clogged link"));
            fact!(cx, Fact::Held(ep, flight));
            self.held.push_back((ep, flight));
        } else {
            self.arrive(cx, ep, flight);
        }
    }

    /// Whether nothing reaches `ep` now.
    #[inline]
    pub fn is_held(&self, ep: Ep) -> bool {
        !self.faults.clogged.is_empty() && self.faults.clogged.contains(&self.ep(ep).link)
    }

    pub(super) fn arrive(&mut self, cx: &mut Cx, ep: Ep, flight: Flight) {
        fact!(cx, self.wire_fact(ep, flight, cx.trace.wants_bytes()));
        match flight {
            Flight::Syn => self.arrive_syn(cx, ep),
            Flight::SynAck => self.arrive_syn_ack(cx, ep),
            Flight::Data(n) => self.arrive_data(cx, ep, n as usize),
            Flight::Fin => self.arrive_fin(ep),
            Flight::Rst => self.arrive_reset(cx, ep, SocketError::Reset),
            Flight::Refused => self.arrive_reset(cx, ep, SocketError::Refused),
        }
    }

    /// What arrives at `ep`, with its bytes if they are wanted.
    fn wire_fact(&self, to: Ep, flight: Flight, wants_bytes: bool) -> Fact {
        let sender = self.ep(to ^ 1);
        let bytes = match flight {
            Flight::Data(n) if wants_bytes => {
                sender.out.iter().take(sender.inflight.min(n as usize)).copied().collect()
            }
            _ => Vec::new(),
        };
        Fact::Wire { to, flight, bytes }
    }

    fn arrive_syn_ack(&mut self, cx: &mut Cx, ep: Ep) {
        let end = self.ep_mut(ep);
        if end.state != State::Connecting {
            return;
        }
        end.state = State::Open;
        self.wake(ep);
        self.transmit(cx, ep);
    }

    fn arrive_data(&mut self, cx: &mut Cx, ep: Ep, n: usize) {
        let [receiver, sender] = self.pair(ep);
        let n = n.min(sender.inflight);
        if n == 0 {
            return;
        }
        sender.inflight -= n;
        if receiver.state != State::Open || receiver.closed {
            sender.out.drain(..n);
            if receiver.state == State::Open {
                cx.mark(mark!("kernel: data for a closed socket answered by RST"));
                receiver.state = State::Dead;
                receiver.out.truncate(receiver.inflight);
                self.fly(cx, ep ^ 1, Flight::Rst);
            }
            return;
        }
        let (front, back) = sender.out.as_slices();
        receiver.recv.extend(&front[..n.min(front.len())]);
        receiver.recv.extend(&back[..n.saturating_sub(front.len())]);
        sender.out.drain(..n);
        sender.arrived += n as u64;
        if receiver.recv.len() >= receiver.recv_cap {
            cx.mark(mark!("kernel: window closed"));
        }
        let is_freed = sender.nospace && sender.is_writable();
        if is_freed {
            sender.nospace = false;
        }
        self.wake(ep);
        if is_freed {
            self.wake(ep ^ 1);
        }
    }

    fn arrive_fin(&mut self, ep: Ep) {
        let end = self.ep_mut(ep);
        if end.state != State::Open {
            return;
        }
        end.fin_in = true;
        self.wake(ep);
        // That the FIN is acknowledged is an edge as well.
        self.wake(ep ^ 1);
        self.recycle(ep);
    }

    fn arrive_reset(&mut self, cx: &mut Cx, ep: Ep, error: SocketError) {
        if self.ep(ep).fin_in && self.ep(ep ^ 1).fin_in {
            cx.mark(mark!("kernel: RST after both ways ended"));
            return;
        }
        let end = self.ep_mut(ep);
        if end.state == State::Dead {
            return;
        }
        if error == SocketError::Reset {
            cx.mark(match (end.recv.is_empty(), end.fin_in) {
                (true, false) => mark!("kernel: RST on an empty stream"),
                (false, false) => mark!("kernel: RST behind unread data"),
                (_, true) => mark!("kernel: RST after FIN"),
            });
        }
        end.state = State::Dead;
        end.reset_in = true;
        end.error = Some(error);
        end.out.clear();
        end.inflight = 0;
        self.wake(ep);
        self.recycle(ep);
    }

    fn pair(&mut self, ep: Ep) -> [&mut super::Endpoint; 2] {
        let [a, b] = self
            .eps
            .get_disjoint_mut([ep as usize, (ep ^ 1) as usize])
            .expect("both ends of a connection");
        [a, b]
    }

    /// Puts on the wire what the peer's window takes, and the FIN behind the last byte.
    pub(super) fn transmit(&mut self, cx: &mut Cx, ep: Ep) {
        loop {
            let [sender, receiver] = self.pair(ep);
            if sender.state != State::Open {
                return;
            }
            let unsent = sender.out.len() - sender.inflight;
            if unsent == 0 {
                if sender.shut && !sender.fin_flown {
                    sender.fin_flown = true;
                    self.fly(cx, ep ^ 1, Flight::Fin);
                }
                return;
            }
            // Whoever no longer reads still takes bytes, to answer them with a reset.
            let window = if receiver.closed || receiver.state == State::Dead {
                unsent
            } else {
                receiver.recv_cap.saturating_sub(receiver.recv.len() + sender.inflight)
            };
            let mut n = unsent.min(window);
            if n == 0 {
                return;
            }
            if sender.tiny > 0 {
                sender.tiny -= 1;
                let site = site!("kernel/tiny segment");
                n = 1 + cx.choices.choose(site, u64::from(ep), n.min(48) as u64) as usize;
            }
            sender.inflight += n;
            self.fly(cx, ep ^ 1, Flight::Data(n as u32));
        }
    }
}
