//! Checkers of connection attempts, probes and backlogs.

use super::*;
use crate::cx::Flight;
use crate::oracle::truth::Down;
use crate::oracle::{accept, dials, falls};
use tidegate_core::event::Event;
use tidegate_core::input::AcceptError;

/// A lab with one request that waits for a server.
fn waiting() -> (Lab, u32) {
    let mut lab = Lab::new();
    let front = lab.front();
    let id = lab.asked(front, ask(0, Method::Get));
    lab.later(1);
    (lab, id)
}

impl Lab {
    fn dials(&mut self, n: u8) -> Verdict {
        dials::begins(&mut self.oracle, n.into(), &server(n))
    }

    fn dials_in_vain(&mut self, n: u8) {
        assert_eq!(self.dials(n), Ok(()));
        let (last, now) = (self.oracle.dials.last(), self.cx.now);
        self.oracle.dials.failed(last, now);
    }

    /// What it is judged by when a server was marked down for cause.
    fn backs_off(&mut self, n: u8, seconds: u64) {
        let (since, cluster, address) = (self.cx.now, "c0".into(), server(n));
        let until = since + seconds * 1_000_000_000;
        self.oracle.truth.down.push(Down { cluster, address, since, until, passed: 0 });
    }

    fn marks_down(&mut self, n: u8, seconds: u64) {
        let backoff = std::time::Duration::from_secs(seconds);
        let down = Event::ServerDown { cluster: "c0".into(), addr: server(n), backoff };
        self.oracle.event(&down);
    }
}

// BACK-2: the address that has just failed is left alone for 100 ms.
#[test]
fn retry_fires_on_an_attempt_without_a_pause() {
    let (mut lab, _) = waiting();
    lab.marks_down(3, 60);
    lab.dials_in_vain(0);
    lab.later(99);
    breaks(lab.dials(0), "retry", "BACK-2");
    let (mut lab, _) = waiting();
    lab.marks_down(3, 60);
    lab.dials_in_vain(0);
    lab.later(100);
    assert_eq!(lab.dials(0), Ok(()));
}

// BACK-2: another server where there is one, and three attempts at most.
#[test]
fn retry_fires_on_the_same_server_again_and_on_a_fourth_attempt() {
    let (mut lab, _) = waiting();
    lab.dials_in_vain(0);
    lab.later(200);
    breaks(lab.dials(0), "retry", "BACK-2");

    let (mut lab, _) = waiting();
    for n in [0, 3, 0] {
        lab.dials_in_vain(n);
        lab.later(200);
    }
    breaks(lab.dials(3), "retry", "BACK-2");

    // Whose attempt it is, is not known any more.
    let (mut lab, _) = waiting();
    lab.dials_in_vain(0);
    let front = lab.front();
    lab.asked(front, ask(0, Method::Get));
    assert_eq!(lab.dials(0), Ok(()));
}

// BACK-4: the first choice is no server that backs off, while another can be used.
#[test]
fn balance_fires_on_a_first_choice_that_backs_off() {
    let (mut lab, _) = waiting();
    lab.marks_down(0, 60);
    lab.later(10);
    breaks(lab.dials(0), "balance", "BACK-4");
    assert_eq!(lab.dials(3), Ok(()));
    let (mut lab, _) = waiting();
    lab.marks_down(0, 60);
    lab.marks_down(3, 60);
    lab.later(10);
    assert_eq!(lab.dials(0), Ok(()), "all are down");
    let (mut lab, _) = waiting();
    lab.marks_down(0, 60);
    lab.later(60_000);
    assert_eq!(lab.dials(0), Ok(()), "it is probed");
}

// BACK-4: failures in a row mark a server down.
#[test]
fn balance_fires_on_a_server_that_is_never_marked_down() {
    let mut lab = Lab::new();
    let fall = lab.oracle.truth.versions[0].config.clusters[0].fall;
    for _ in 0..3 * fall {
        assert_eq!(dials::refused(&mut lab.oracle, 0), Ok(()));
    }
    breaks(dials::refused(&mut lab.oracle, 0), "balance", "BACK-4");
    let back = lab.back(0);
    lab.oracle.back_spoke(back);
    assert_eq!(dials::refused(&mut lab.oracle, 0), Ok(()), "it answered");
    lab.marks_down(0, 60);
    for _ in 0..20 * fall {
        assert_eq!(dials::refused(&mut lab.oracle, 0), Ok(()), "it is down");
    }
}

// BACK-4: nobody is marked down before enough has failed.
#[test]
fn balance_fires_on_a_server_that_is_marked_down_too_early() {
    let backoff = std::time::Duration::from_secs(1);
    let down = Event::ServerDown { cluster: "c0".into(), addr: server(0), backoff };
    let mut lab = Lab::new();
    let fall = lab.oracle.truth.versions[0].config.clusters[0].fall;
    for _ in 1..fall {
        let back = lab.back(0);
        lab.oracle.back_closed(&lab.net, back);
    }
    breaks(falls::marked_down(&lab.oracle, &down), "balance", "BACK-4");
    let back = lab.back(0);
    lab.oracle.back_closed(&lab.net, back);
    assert_eq!(falls::marked_down(&lab.oracle, &down), Ok(()));
}

// BACK-4: when a back-off is over, the server is probed.
#[test]
fn balance_fires_on_a_server_that_is_never_probed() {
    let mut lab = Lab::new();
    lab.marks_down(3, 1);
    lab.later(2_000);
    let front = lab.front();
    let id = lab.asked(front, ask(0, Method::Get));
    let pass = |lab: &mut Lab| dials::probed(&mut lab.oracle, id);
    for _ in 0..8 {
        assert_eq!(pass(&mut lab), Ok(()));
    }
    breaks(pass(&mut lab), "balance", "BACK-4");
    assert_eq!(lab.dials(3), Ok(()));
    assert_eq!(pass(&mut lab), Ok(()), "there is a probe");
}

// BACK-4: a server of little weight is passed by more often, which says nothing of the turns that
// begin anew with other weights (294580).
#[test]
fn balance_counts_anew_who_is_passed_by_under_other_weights() {
    let mut lab = Lab::new();
    lab.oracle.truth.versions[0].config.clusters[0].servers[0].weight = 256;
    lab.marks_down(3, 1);
    lab.later(2_000);
    let front = lab.front();
    let id = lab.asked(front, ask(0, Method::Get));
    for _ in 0..20 {
        assert_eq!(dials::probed(&mut lab.oracle, id), Ok(()));
    }
    let passes = |lab: &mut Lab, version: Version, n: u32, times: u32| {
        lab.oracle.truth.versions.push(version);
        lab.later(1);
        let front = lab.front();
        let id = lab.asked(front, ask(n, Method::Get));
        for _ in 0..times {
            assert_eq!(dials::probed(&mut lab.oracle, id), Ok(()));
        }
        id
    };
    let lighter = version(lab.oracle.now);
    passes(&mut lab, lighter, 1, 8);
    // With the same servers turns go on.
    let same = version(lab.oracle.now);
    let id = passes(&mut lab, same, 2, 0);
    breaks(dials::probed(&mut lab.oracle, id), "balance", "BACK-4");
}

// BACK-4: one attempt probes a server whose back-off is over, and no other goes there meanwhile, as
// long as another server can be used.
#[test]
fn balance_fires_on_two_probes_at_once() {
    let probed = |at: u64| {
        let mut lab = Lab::new();
        lab.backs_off(0, 1);
        lab.later(at);
        let back = lab.back(0);
        lab.later(5);
        (lab, back)
    };
    let again = |mut lab: Lab| {
        let verdict = dials::alone(&lab.oracle, &lab.net, 0, &server(0));
        lab.oracle.judge(verdict);
        lab
    };
    let (lab, _) = probed(2_000);
    again(lab).fires("balance", "BACK-4");
    let (lab, _) = probed(2_000);
    assert_eq!(dials::alone(&lab.oracle, &lab.net, 3, &server(3)), Ok(()));
    let (mut lab, _) = probed(2_000);
    lab.backs_off(3, 60);
    again(lab).clean();
    let (mut lab, back) = probed(2_000);
    lab.oracle.back_closed(&lab.net, back);
    again(lab).clean();
    let (mut lab, back) = probed(2_000);
    lab.oracle.back_spoke(back);
    again(lab).clean();
    let (mut lab, _) = probed(2_000);
    lab.oracle.event(&Event::ServerUp { cluster: "c0".into(), addr: server(0) });
    again(lab).clean();
    // A tunnel's server has passed once its connection stands: what is begun then probes nothing.
    for (stands, is_followed) in [(false, false), (true, false), (true, true)] {
        let (mut lab, back) = probed(2_000);
        let back = &mut lab.oracle.backs[back as usize];
        back.is_tcp = true;
        if stands {
            lab.net.deliver(&mut lab.cx, back.ep, Flight::SynAck);
        }
        if is_followed {
            lab.back(0);
        }
        let lab = again(lab);
        if stands { lab.clean() } else { lab.fires("balance", "BACK-4") }
    }
    // What was begun while it backed off is no probe.
    let (mut lab, _) = probed(500);
    lab.later(2_000);
    again(lab).clean();
}

// ACC-8: nobody waits in a backlog of whom the proxy knows, but for want of descriptors.
#[test]
fn accept_fires_on_a_backlog_that_is_left() {
    let mut lab = Lab::new();
    let at = lab.net.intern(&Address::Unix("front".into()), u32::MAX);
    let listener = lab.net.listen(Acceptor::Proxy(SocketId::from_bits(1)), at, 8);
    let ep = lab.net.connect(&mut lab.cx, Owner::Client(0), at, 0, &Wire::default());
    lab.net.deliver(&mut lab.cx, ep ^ 1, Flight::Syn);
    assert_eq!(accept::backlogs(&lab.oracle, &lab.net), Ok(()), "it is not told yet");
    lab.net.told_listener(listener);
    breaks(accept::backlogs(&lab.oracle, &lab.net), "accept", "ACC-8");
    lab.oracle.accept_answered(Some(AcceptError::Resources));
    lab.later(100);
    assert_eq!(accept::backlogs(&lab.oracle, &lab.net), Ok(()), "it pauses");
    lab.later(20);
    breaks(accept::backlogs(&lab.oracle, &lab.net), "accept", "ACC-8");
}
