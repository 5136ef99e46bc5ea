//! Facts of Linux that the model must show, one test each.

use super::listener::Acceptor;
use super::*;
use crate::choice::Choices;
use crate::cx::{Ev, SEC};
use tidegate_core::id::SocketId;
use tidegate_core::input::{AcceptError, SocketError};

struct Lab {
    cx: Cx,
    net: Net,
    address: u16,
    listener: u32,
}

fn lab_with_backlog(backlog: usize) -> Lab {
    let cx = Cx::new(1, Choices::from_seed(1));
    let mut net = Net::default();
    let at = Address::Ip("10.0.0.1:80".parse().unwrap());
    let address = net.intern(&at, 7);
    let listener = net.listen(Acceptor::Server(0), address, backlog);
    Lab { cx, net, address, listener }
}

fn lab() -> Lab {
    lab_with_backlog(16)
}

impl Lab {
    fn run_until(&mut self, limit: u64) {
        while let Some((at, event)) = self.cx.heap.pop() {
            if at > limit {
                self.cx.heap.push(at, 0, event);
                break;
            }
            self.cx.now = at;
            match event {
                Ev::Flight(ep, flight) => self.net.deliver(&mut self.cx, ep, flight),
                other => panic!("{other:?}"),
            }
        }
    }

    fn settle(&mut self) {
        self.run_until(self.cx.now + SEC / 10);
    }

    fn dial(&mut self, wire: &Wire) -> Ep {
        self.net.connect(&mut self.cx, Owner::Client(0), self.address, 7, wire)
    }

    /// An established and accepted pair: (active, passive).
    fn pair(&mut self, wire: &Wire) -> (Ep, Ep) {
        let a = self.dial(wire);
        self.settle();
        let b = self.net.accept(&mut self.cx, self.listener, Owner::Backend(0)).unwrap();
        self.settle();
        assert_eq!(b, a ^ 1);
        self.told();
        (a, b)
    }

    fn told(&mut self) {
        for ep in 0..self.net.eps.len() as Ep {
            self.net.told(ep);
        }
        self.net.notices.clear();
    }

    fn send(&mut self, ep: Ep, bytes: &[u8]) -> Result<usize, SocketError> {
        self.net.send(&mut self.cx, ep, &[bytes])
    }

    fn recv(&mut self, ep: Ep, room: usize) -> Result<Vec<u8>, SocketError> {
        let mut buffer = vec![0; room];
        let (one, two) = buffer.split_at_mut(room / 3);
        let n = self.net.recv(&mut self.cx, ep, &mut [one, two])?;
        buffer.truncate(n);
        Ok(buffer)
    }

    fn is_woken(&self, ep: Ep) -> bool {
        self.net.notices.contains(&Notice::Endpoint(ep))
    }
}

#[test]
fn bytes_arrive_whole_and_in_order_through_small_buffers() {
    let mut lab = lab();
    let wire = Wire { active_send: 50, passive_recv: 70, tiny_segments: 20, ..Wire::default() };
    let (a, b) = lab.pair(&wire);
    let sent: Vec<u8> = (0..5000_u32).map(|i| (i * 7 % 251) as u8).collect();
    let mut from = 0;
    let mut got = Vec::new();
    while got.len() < sent.len() {
        match lab.send(a, &sent[from..]) {
            Ok(n) => from += n,
            Err(error) => assert_eq!(error, SocketError::WouldBlock),
        }
        lab.settle();
        if let Ok(some) = lab.recv(b, 33) {
            got.extend_from_slice(&some);
        }
    }
    assert_eq!(got, sent);
    assert_eq!(lab.net.ep(a).arrived, 5000);
}

#[test]
fn a_send_that_runs_first_after_a_reset_eats_the_error() {
    let mut lab = lab();
    let (a, b) = lab.pair(&Wire::default());
    lab.send(b, b"left").unwrap();
    lab.net.reset(&mut lab.cx, b);
    lab.settle();
    let mask = lab.net.mask(a);
    assert!(mask.readable && mask.writable && mask.read_closed && mask.error);
    assert_eq!(lab.send(a, b"x"), Err(SocketError::Reset));
    assert!(!lab.net.mask(a).error, "the error is gone");
    assert_eq!(lab.recv(a, 10).unwrap(), b"left");
    assert_eq!(lab.recv(a, 10).unwrap(), b"", "a reset that looks like a clean end");
    assert_eq!(lab.send(a, b"x"), Err(SocketError::Reset), "a broken pipe from then on");
}

#[test]
fn a_recv_that_runs_first_after_a_reset_sees_data_then_the_error_once() {
    let mut lab = lab();
    let (a, b) = lab.pair(&Wire::default());
    lab.send(b, b"left").unwrap();
    lab.net.reset(&mut lab.cx, b);
    lab.settle();
    assert_eq!(lab.recv(a, 10).unwrap(), b"left");
    assert_eq!(lab.recv(a, 10), Err(SocketError::Reset));
    assert_eq!(lab.recv(a, 10).unwrap(), b"");
}

#[test]
fn a_fin_hides_the_error_of_a_later_reset_from_recv_but_not_from_send() {
    let mut lab = lab();
    let (a, b) = lab.pair(&Wire::default());
    lab.send(b, b"left").unwrap();
    lab.net.shutdown_write(&mut lab.cx, b);
    lab.settle();
    lab.net.reset(&mut lab.cx, b);
    lab.settle();
    assert_eq!(lab.recv(a, 10).unwrap(), b"left");
    assert_eq!(lab.recv(a, 10).unwrap(), b"", "the end stays a clean one");
    assert!(lab.net.mask(a).error, "nobody has taken the error");
    assert_eq!(lab.send(a, b"x"), Err(SocketError::Reset));
    assert!(!lab.net.mask(a).error);
}

#[test]
fn a_reset_does_not_reach_a_connection_that_ended_both_ways() {
    let mut lab = lab();
    let (a, b) = lab.pair(&Wire::default());
    lab.send(b, b"unread").unwrap();
    lab.net.shutdown_write(&mut lab.cx, a);
    lab.settle();
    lab.net.shutdown_write(&mut lab.cx, b);
    lab.settle();
    lab.told();
    lab.net.close(&mut lab.cx, a);
    lab.settle();
    assert!(!lab.is_woken(b) && !lab.net.mask(b).error);
    assert_eq!(lab.recv(b, 1).unwrap(), b"");
}

#[test]
fn a_shutdown_is_an_edge_to_oneself_and_so_is_the_acknowledged_fin() {
    let mut lab = lab();
    let (a, b) = lab.pair(&Wire::default());
    lab.net.shutdown_write(&mut lab.cx, a);
    assert!(lab.is_woken(a), "at once");
    lab.told();
    lab.settle();
    assert!(lab.is_woken(a) && lab.is_woken(b), "when the FIN has arrived");
    lab.told();
    lab.net.shutdown_write(&mut lab.cx, a);
    lab.settle();
    assert!(lab.is_woken(a) && !lab.is_woken(b), "again, though nothing is sent");
}

#[test]
fn a_shutdown_while_connecting_gives_up() {
    let mut lab = lab_with_backlog(0);
    let first = lab.dial(&Wire::default());
    lab.settle();
    let a = lab.dial(&Wire::default());
    lab.settle();
    assert!(lab.net.ep(first).is_open() && lab.net.ep(a).is_connecting());
    lab.net.shutdown_write(&mut lab.cx, a);
    assert!(lab.is_woken(a));
    let mask = lab.net.mask(a);
    assert!(!mask.readable && mask.writable && mask.read_closed && mask.error);
    assert_eq!(lab.recv(a, 1), Err(SocketError::Reset));
    assert_eq!(lab.recv(a, 1), Err(SocketError::Reset), "a stream that never began has no end");
    lab.net.accept(&mut lab.cx, lab.listener, Owner::Backend(0)).unwrap();
    lab.run_until(lab.cx.now + 5 * SEC);
    let accepted = lab.net.accept(&mut lab.cx, lab.listener, Owner::Backend(0));
    assert_eq!(accepted, Err(AcceptError::WouldBlock));
}

#[test]
fn a_reset_may_overtake_the_bytes_in_flight() {
    let mut lab = lab();
    let (a, b) = lab.pair(&Wire::default());
    lab.net.faults.resets_overtake = crate::choice::Rate::percent(100);
    lab.send(b, b"lost").unwrap();
    lab.net.reset(&mut lab.cx, b);
    lab.settle();
    assert_eq!(lab.recv(a, 10), Err(SocketError::Reset));
}

#[test]
fn the_writable_edge_waits_for_a_third_of_the_buffer() {
    let mut lab = lab();
    let wire = Wire { active_send: 900, passive_recv: 100, ..Wire::default() };
    let (a, b) = lab.pair(&wire);
    assert_eq!(lab.send(a, &[1; 2000]), Ok(900));
    lab.settle();
    assert_eq!(lab.send(a, &[1; 100]), Ok(100), "what fits may be written before any edge");
    assert_eq!(lab.send(a, &[1; 1]), Err(SocketError::WouldBlock));
    lab.told();
    for _ in 0..2 {
        lab.recv(b, 100).unwrap();
        lab.settle();
        assert!(!lab.is_woken(a), "space alone is no edge");
        assert!(!lab.net.mask(a).writable);
    }
    lab.recv(b, 100).unwrap();
    lab.settle();
    assert!(lab.is_woken(a) && lab.net.mask(a).writable);
}

#[test]
fn the_writable_edge_is_owed_to_whoever_heard_of_a_full_buffer() {
    let mut lab = lab();
    let wire = Wire { active_send: 900, passive_recv: 100, ..Wire::default() };
    for is_told in [false, true] {
        let (a, b) = lab.pair(&wire);
        assert_eq!(lab.send(a, &[1; 850]), Ok(850), "all of it is taken");
        lab.settle();
        assert!(!lab.net.mask(a).writable);
        if is_told {
            lab.told();
            assert_eq!(lab.send(a, &[1; 10]), Ok(10), "what fits does not settle the debt");
        }
        for _ in 0..9 {
            lab.recv(b, 100).unwrap();
            lab.settle();
        }
        assert!(lab.net.mask(a).writable);
        assert_eq!(lab.is_woken(a), is_told);
    }
}

#[test]
fn a_new_segment_raises_writability_again() {
    let mut lab = lab();
    let (a, b) = lab.pair(&Wire::default());
    assert!(!lab.is_woken(a));
    lab.send(b, b"x").unwrap();
    lab.settle();
    assert!(lab.is_woken(a));
    let mask = lab.net.mask(a);
    assert!(mask.readable && mask.writable && !mask.read_closed && !mask.error);
}

#[test]
fn closing_with_unread_data_resets_and_without_it_finishes() {
    let mut lab = lab();
    let (a, b) = lab.pair(&Wire::default());
    lab.send(a, b"unread").unwrap();
    lab.settle();
    lab.net.close(&mut lab.cx, b);
    lab.settle();
    assert_eq!(lab.recv(a, 1), Err(SocketError::Reset));

    let (a, b) = lab.pair(&Wire::default());
    lab.send(b, b"bye").unwrap();
    lab.net.close(&mut lab.cx, b);
    lab.settle();
    let mask = lab.net.mask(a);
    assert!(mask.readable && mask.read_closed && mask.writable && !mask.error);
    assert_eq!(lab.recv(a, 10).unwrap(), b"bye");
    assert_eq!(lab.recv(a, 10).unwrap(), b"");
    // The first write after the peer's close is taken, and answered by a reset.
    assert_eq!(lab.send(a, b"late"), Ok(4));
    lab.settle();
    assert_eq!(lab.send(a, b"later"), Err(SocketError::Reset));
}

#[test]
fn half_a_connection_goes_on_after_the_other_half_ended() {
    let mut lab = lab();
    let (a, b) = lab.pair(&Wire::default());
    lab.net.shutdown_write(&mut lab.cx, a);
    lab.settle();
    assert_eq!(lab.recv(b, 1).unwrap(), b"");
    assert_eq!(lab.send(b, b"still"), Ok(5));
    lab.settle();
    assert_eq!(lab.recv(a, 10).unwrap(), b"still");
    assert_eq!(lab.send(a, b"x"), Err(SocketError::Reset));
}

#[test]
fn refusal_turns_everything_on_at_once() {
    let mut lab = lab();
    lab.net.close_listener(&mut lab.cx, lab.listener);
    let a = lab.dial(&Wire::default());
    assert_eq!(lab.send(a, b"x"), Err(SocketError::WouldBlock), "still connecting");
    lab.settle();
    let mask = lab.net.mask(a);
    assert!(mask.readable && mask.writable && mask.read_closed && mask.error);
    assert_eq!(lab.send(a, b"x"), Err(SocketError::Refused));
    assert_eq!(lab.send(a, b"x"), Err(SocketError::Reset));
    assert_eq!(lab.recv(a, 1).unwrap(), b"");
}

#[test]
fn a_backlog_of_n_holds_n_plus_one_and_the_rest_come_later() {
    let mut lab = lab_with_backlog(2);
    let dialled: Vec<Ep> = (0..5).map(|_| lab.dial(&Wire::default())).collect();
    lab.settle();
    let open = |lab: &Lab| dialled.iter().filter(|&&ep| lab.net.ep(ep).is_open()).count();
    assert_eq!(open(&lab), 3);
    for _ in 0..3 {
        lab.net.accept(&mut lab.cx, lab.listener, Owner::Backend(0)).unwrap();
    }
    let accepted = lab.net.accept(&mut lab.cx, lab.listener, Owner::Backend(0));
    assert_eq!(accepted, Err(AcceptError::WouldBlock));
    lab.run_until(lab.cx.now + 2 * SEC);
    assert_eq!(open(&lab), 5);
}

#[test]
fn a_black_hole_answers_when_it_ends_and_at_last_times_out() {
    let mut lab = lab();
    lab.net.faults.black_holes.push(lab.address);
    let a = lab.dial(&Wire::default());
    lab.run_until(5 * SEC);
    assert!(lab.net.ep(a).is_connecting());
    lab.net.faults.black_holes.clear();
    lab.run_until(7 * SEC);
    assert!(lab.net.ep(a).is_open());
    lab.net.faults.black_holes.push(lab.address);
    let b = lab.dial(&Wire::default());
    let dialled = lab.cx.now;
    lab.run_until(dialled + 130 * SEC);
    assert!(lab.net.ep(b).is_connecting());
    lab.run_until(dialled + 132 * SEC);
    assert_eq!(lab.send(b, b"x"), Err(SocketError::TimedOut));
}

#[test]
fn closing_a_listener_resets_those_that_wait() {
    let mut lab = lab();
    let a = lab.dial(&Wire::default());
    lab.settle();
    assert_eq!(lab.send(a, b"hello"), Ok(5), "established before it is accepted");
    lab.settle();
    lab.net.close_listener(&mut lab.cx, lab.listener);
    lab.settle();
    assert_eq!(lab.recv(a, 1), Err(SocketError::Reset));
}

#[test]
fn a_connection_reset_in_the_backlog_is_accepted_and_then_fails() {
    let mut lab = lab();
    let a = lab.dial(&Wire::default());
    lab.settle();
    lab.net.reset(&mut lab.cx, a);
    lab.settle();
    let b = lab.net.accept(&mut lab.cx, lab.listener, Owner::Backend(0)).unwrap();
    assert_eq!(lab.recv(b, 1), Err(SocketError::Reset));
}

#[test]
fn descriptors_run_out_for_the_proxy_alone_and_shedding_still_works() {
    let mut lab = lab();
    lab.net.faults.descriptors_max = Some(0);
    let a = lab.dial(&Wire::default());
    lab.settle();
    let owner = Owner::Proxy(SocketId::from_bits(0));
    let accepted = lab.net.accept(&mut lab.cx, lab.listener, owner);
    assert_eq!(accepted, Err(AcceptError::Resources));
    assert!(lab.net.listener_mask(lab.listener).readable, "it still waits");
    assert_eq!(lab.net.shed(&mut lab.cx, lab.listener), Some(a ^ 1));
    lab.settle();
    assert_eq!(lab.recv(a, 1).unwrap(), b"", "a clean close");
    assert_eq!(lab.net.proxy_sockets, 0);
}

#[test]
fn a_clogged_link_delays_and_keeps_order() {
    let mut lab = lab();
    let (a, b) = lab.pair(&Wire::default());
    lab.net.clog(7);
    lab.send(a, b"one").unwrap();
    lab.settle();
    lab.send(a, b"two").unwrap();
    lab.net.shutdown_write(&mut lab.cx, a);
    lab.settle();
    assert_eq!(lab.recv(b, 9), Err(SocketError::WouldBlock));
    lab.net.unclog(&mut lab.cx, 7);
    lab.settle();
    assert_eq!(lab.recv(b, 9).unwrap(), b"onetwo");
    assert_eq!(lab.recv(b, 9).unwrap(), b"");
}

#[test]
fn buffers_come_back_when_both_ends_are_gone() {
    let mut lab = lab();
    for how in 0..4 {
        let (a, b) = lab.pair(&Wire::default());
        lab.send(a, b"request").unwrap();
        lab.settle();
        match how {
            0 => lab.net.reset(&mut lab.cx, a),
            1 => lab.net.close(&mut lab.cx, b),
            _ => lab.recv(b, 100).map(drop).unwrap(),
        }
        lab.settle();
        lab.net.close(&mut lab.cx, a);
        lab.net.close(&mut lab.cx, b);
        lab.settle();
        assert_eq!(lab.net.live(), 0, "way {how}");
        assert!(!lab.net.spare.is_empty());
    }
}
