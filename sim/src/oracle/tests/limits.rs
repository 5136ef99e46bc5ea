//! Checkers of PROXY headers and of limits.

use super::*;
use crate::oracle::proxy::{self, Announcement};
use crate::oracle::truth::Nature;
use crate::oracle::{answers, balance, limits, tunnels};
use crate::refproxy;
use std::net::SocketAddr;
use tidegate_core::config::{Balance, Listener};
use tidegate_core::effect::Close;
use tidegate_core::event::Event;

fn nature(send_proxy: Option<u8>, limit: Option<u32>) -> Nature {
    Nature { send_proxy, limit, ..Nature::default() }
}

pub(super) fn lab_with(send_proxy: Option<u8>, limit: Option<u32>) -> Lab {
    let mut lab = Lab::new();
    lab.oracle.truth.natures = vec![nature(send_proxy, limit); 4];
    for server in &mut lab.oracle.truth.versions[0].config.clusters[0].servers {
        server.max_connections = limit;
    }
    lab.oracle.truth.versions[0].config.clusters[0].queue_capacity = 1;
    lab
}

fn announcement(len: u64) -> Announcement {
    Announcement {
        len,
        addresses: None,
        tlvs: vec![0xe0, 0, 1, 7],
        is_good: true,
        is_forbidden: false,
        read_at: None,
        has_surplus: false,
    }
}

fn own(lab: &Lab, front: u32) -> (SocketAddr, SocketAddr) {
    (lab.oracle.fronts[front as usize].address, crate::gate::listener_socket(0))
}

/// A request, and the bytes that its connection to a server begins with.
fn request(lab: &mut Lab, front: u32, header: &[u8]) {
    let id = lab.asked(front, ask(0, Method::Get));
    let back = lab.back(0);
    lab.oracle.sent_to_backend(&lab.net, back, header);
    let head = lab.head(id);
    lab.emit_up(back, &head);
}

// PP-1: a header exactly where it is wanted, once, of the right version, for the right client.
#[test]
fn proxy_fires_on_headers_that_are_missing_doubled_or_wrong() {
    let mut lab = lab_with(Some(1), None);
    let front = lab.front();
    let right = refproxy::line(own(&lab, front));
    request(&mut lab, front, &right);
    lab.clean();

    let other = (own(&lab, front).0, "10.0.0.9:1".parse().unwrap());
    let binary = refproxy::binary(0x21, 0x11, Some(own(&lab, front)), &[], false);
    let twice = [&right[..], &right[..]].concat();
    for header in [&b""[..], &twice, &refproxy::line(other), &binary, b"PROXY UNKNOWN\r\n"] {
        let mut lab = lab_with(Some(1), None);
        let front = lab.front();
        request(&mut lab, front, header);
        lab.fires("PROXY", "PP-1");
    }
    let mut lab = lab_with(None, None);
    let front = lab.front();
    request(&mut lab, front, &right);
    lab.fires("PROXY", "PP-1");
}

// PP-1: announced addresses and TLVs are relayed.
#[test]
fn proxy_fires_on_lost_tlvs_and_addresses() {
    let source =
        |lab: &Lab, front: u32| SocketAddr::new([203, 0, 113, 1].into(), own(lab, front).0.port());
    for (addresses_kept, tlvs_kept) in [(true, true), (true, false), (false, true)] {
        let mut lab = lab_with(Some(2), None);
        let front = lab.front();
        let pair = (source(&lab, front), "198.51.100.7:443".parse().unwrap());
        let known = Announcement { addresses: Some(pair), ..announcement(0) };
        let tlvs = if tlvs_kept { known.tlvs.clone() } else { Vec::new() };
        lab.oracle.fronts[front as usize].announced = Some(known);
        let pair = if addresses_kept { pair } else { own(&lab, front) };
        let header = refproxy::binary(0x21, 0x11, Some(pair), &tlvs, false);
        let id = lab.asked(front, ask(0, Method::Get));
        let back = lab.back(0);
        lab.oracle.sent_to_backend(&lab.net, back, &header);
        if addresses_kept && tlvs_kept {
            let head = lab.head(id).replace("192.0.2.1", "203.0.113.1");
            lab.emit_up(back, &head);
            lab.clean();
        } else {
            lab.fires("PROXY", "PP-1");
        }
    }
}

// PP-1, BACK-6: a connection that announced one client carries no other's requests.
#[test]
fn proxy_fires_on_a_connection_that_is_shared() {
    let mut lab = lab_with(Some(1), None);
    let (one, two) = (lab.front(), lab.front());
    let header = refproxy::line(own(&lab, two));
    request(&mut lab, one, &header);
    lab.fires("PROXY", "PP-1");
}

// PP-1: a bad or unfinished header, or one of a stranger, leads nowhere.
#[test]
fn proxy_fires_on_clients_that_announced_themselves_badly() {
    for known in [
        Announcement { is_good: false, ..announcement(0) },
        Announcement { is_good: false, is_forbidden: true, ..announcement(0) },
        announcement(1000),
    ] {
        let mut lab = lab_with(None, None);
        let front = lab.front();
        lab.oracle.fronts[front as usize].announced = Some(known.clone());
        request(&mut lab, front, b"");
        lab.fires("PROXY", "PP-1");

        let mut lab = lab_with(None, None);
        let front = lab.front();
        lab.oracle.fronts[front as usize].announced = Some(known);
        lab.asked(front, ask(0, Method::Get));
        lab.emit_down(front, &own_answer(400, ""));
        lab.fires("PROXY", "PP-1");
    }
    let mut lab = lab_with(None, None);
    let front = lab.front();
    let bad = Announcement { is_good: false, ..announcement(10) };
    lab.oracle.fronts[front as usize].announced = Some(bad);
    lab.oracle.read_from_client(front, 20);
    breaks(proxy::turned_away(&lab.oracle, front), "PROXY", "PP-1");
}

// PP-1: what came in one read with a header's end is there.
#[test]
fn proxy_fires_on_lost_surplus() {
    let mut lab = lab_with(None, None);
    let front = lab.front();
    lab.oracle.fronts[front as usize].announced = Some(announcement(10));
    lab.oracle.read_from_client(front, 5);
    let id = lab.oracle.row_begun(front, 10, |id| ask(id, Method::Get));
    lab.oracle.rows[id as usize].head_end = Some(110);
    lab.oracle.rows[id as usize].end = Some(110);
    lab.oracle.read_from_client(front, 105);
    lab.emit_down(front, &own_answer(400, ""));
    lab.fires("PROXY", "PP-1");

    let mut lab = lab_with(None, None);
    let front = lab.front();
    lab.oracle.tcp_begun(front, 10);
    lab.oracle.fronts[front as usize].announced = Some(announcement(10));
    lab.oracle.read_from_client(front, 40);
    let tunnel = lab.oracle.fronts[front as usize].tunnel.unwrap();
    let stream = lab.oracle.tunnels[tunnel as usize].up.stream.clone();
    let back = lab.back(0);
    let verdict = lab.oracle.tunnel_up(&lab.net, back, stream.at(12, 8));
    breaks(verdict, "PROXY", "PP-1");
    assert_eq!(tunnels::before_the_101(&lab.oracle, &lab.net, back), Ok(()));
}

// REQ-3, SES-1: who comes to the socket of a listener that is gone has the limits that it had last.
#[test]
fn a_listener_that_is_gone_keeps_its_limits_for_who_still_comes() {
    let mut lab = Lab::new();
    let at = Address::Ip(([10, 0, 0, 1], 8000).into());
    lab.oracle.truth.versions[0].config.listeners.push(Listener::new("l0", vec![at]));
    lab.oracle.truth.versions[0].max_body = Some(10);
    for _ in 0..3 {
        lab.later(1_000);
        let gone = Version { max_body: Some(20), ..version(lab.oracle.now) };
        lab.oracle.truth.versions.push(gone);
    }
    lab.later(1_000);
    let front = lab.front();
    let id = lab.asked(front, Ask { body: 15, ..ask(0, Method::Post) });
    let row = &lab.oracle.rows[id as usize];
    assert_eq!(answers::own(&lab.oracle, &lab.net, row, 413), Ok(()));
    assert_eq!(limits::body(&lab.oracle, row, 20), Ok(()));
    breaks(limits::body(&lab.oracle, row, 21), "limits", "REQ-3");
}

// SES-3: proxy_header is neither early nor late.
#[test]
fn proxy_fires_on_its_timer() {
    let mut lab = lab_with(None, None);
    let front = lab.front();
    lab.oracle.fronts[front as usize].announced = Some(announcement(10));
    lab.oracle.read_from_client(front, 5);
    lab.later(2_990);
    breaks(proxy::closes(&lab.oracle, front, false), "PROXY", "SES-3");
    lab.later(10);
    assert_eq!(proxy::closes(&lab.oracle, front, false), Ok(()));
    lab.later(100);
    lab.oracle.read_from_client(front, 10);
    lab.fires("PROXY", "SES-3");
}

// BACK-9: no more connections than the limit, and first come first served.
#[test]
fn limits_fires_on_servers_with_too_many_connections_and_overtaking() {
    let mut lab = lab_with(None, Some(2));
    lab.back(0);
    assert_eq!(limits::connects(&lab.oracle, 0), Ok(()));
    lab.back(0);
    breaks(limits::connects(&lab.oracle, 0), "limits", "BACK-9");

    let mut lab = lab_with(None, Some(1));
    let early = lab.front();
    lab.asked(early, ask(0, Method::Get));
    lab.later(1);
    let late = lab.front();
    let id = lab.asked(late, ask(0, Method::Get));
    let back = lab.back(0);
    lab.oracle.backs[back as usize].closed_at = Some(0);
    let row = &lab.oracle.rows[id as usize];
    breaks(limits::in_turn(&lab.oracle, row), "limits", "BACK-9");
    breaks(limits::lines(&lab.oracle), "limits", "BACK-9");
    lab.oracle.backs[back as usize].closed_at = None;
    let row = &lab.oracle.rows[id as usize];
    assert_eq!(limits::in_turn(&lab.oracle, row), Ok(()), "the other one connects");
    lab.oracle.truth.versions[0].clusters[0][2].is_drained = true;
    assert_eq!(limits::lines(&lab.oracle), Ok(()), "and there is room for one");
}

// BACK-9: who connects for one cluster does not close what another one has above its limit.
#[test]
fn limits_of_two_clusters_leave_each_other_what_they_have() {
    for (has_two, is_right) in [(false, false), (true, true)] {
        let mut lab = lab_with(None, None);
        lab.back(0);
        lab.back(0);
        lab.later(1);
        let mut lowered = version(lab.oracle.now);
        lowered.config.clusters[0].servers[0].max_connections = Some(1);
        if has_two {
            let mut other = lowered.config.clusters[0].clone();
            other.name = "c1".into();
            lowered.config.clusters.push(other);
        }
        lab.oracle.truth.versions.push(lowered);
        lab.later(1);
        holds(limits::connects(&lab.oracle, 0), is_right, "limits", "BACK-9");
    }
}

// BACK-9: who sees an older version connects within its limits.
#[test]
fn limits_are_those_of_the_version_that_is_seen() {
    for (is_old, is_right) in [(true, true), (false, false)] {
        let mut lab = lab_with(None, Some(3));
        let mut other = lab.oracle.truth.versions[0].config.clusters[0].clone();
        (other.name, other.servers[0].max_connections) = ("c1".into(), Some(1));
        lab.oracle.truth.versions[0].config.clusters.push(other);
        let mut newer = lab.oracle.truth.versions[0].clone();
        newer.config.clusters[0].servers[0].max_connections = Some(1);
        lab.later(1);
        if is_old {
            let front = lab.front();
            let id = lab.asked(front, ask(0, Method::Get));
            lab.oracle.rows[id as usize].first_read_at = Some(lab.oracle.now);
        }
        lab.later(1);
        newer.at = lab.oracle.now;
        lab.oracle.truth.versions.push(newer);
        lab.later(1);
        lab.back(0);
        lab.back(0);
        holds(limits::connects(&lab.oracle, 0), is_right, "limits", "BACK-9");
    }
}

// BACK-9, RES-7: 503 needs a full line or a long wait.
#[test]
fn answers_fires_on_a_503_with_room_in_the_line() {
    for (others, wait, is_right) in
        [(0, 0, false), (0, 4_990, false), (0, 5_000, true), (1, 0, true)]
    {
        let mut lab = lab_with(None, Some(1));
        for _ in 0..others {
            let front = lab.front();
            lab.asked(front, ask(0, Method::Get));
        }
        let front = lab.front();
        lab.asked(front, ask(0, Method::Get));
        lab.later(wait);
        lab.emit_down(front, &own_answer(503, ""));
        if is_right { lab.clean() } else { lab.fires("answers", "RES-7") }
    }
}

// BACK-9, RES-7: whoever was given to a connection is in the line no more, unless that broke.
#[test]
fn answers_counts_those_in_line_whose_connection_broke() {
    for is_broken in [false, true] {
        let mut lab = lab_with(None, Some(1));
        let other = lab.front();
        let id = lab.asked(other, ask(0, Method::Get));
        let back = lab.back(0);
        let head = lab.head(id);
        lab.emit_up(back, &head);
        if is_broken {
            lab.oracle.backs[back as usize].closed_at = Some(lab.cx.now);
        }
        lab.later(1);
        let front = lab.front();
        lab.asked(front, ask(0, Method::Get));
        lab.emit_down(front, &own_answer(503, ""));
        if is_broken { lab.clean() } else { lab.fires("answers", "RES-7") }
    }
}

// ACC-9: the limit of an address is kept, and refuses nobody below it.
#[test]
fn limits_fires_on_addresses_over_and_under_their_limit() {
    let mut lab = lab_with(None, None);
    lab.oracle.truth.per_ip = Some(2);
    let first = lab.front();
    lab.asked(first, ask(0, Method::Get));
    lab.emit_down(first, &own_answer(429, "Retry-After: 1\r\n"));
    lab.fires("answers", "RES-7");

    let mut lab = lab_with(None, None);
    lab.oracle.truth.per_ip = Some(2);
    let fronts = [(); 3].map(|()| lab.front());
    for front in &fronts[..2] {
        request(&mut lab, *front, b"");
        lab.clean();
    }
    let id = lab.asked(fronts[2], ask(0, Method::Get));
    let back = lab.back(3);
    let head = lab.head(id);
    lab.emit_up(back, &head);
    lab.fires("limits", "ACC-9");

    let mut lab = lab_with(None, None);
    lab.oracle.truth.per_ip = Some(1);
    let fronts = [(); 2].map(|()| lab.front());
    lab.asked(fronts[1], ask(0, Method::Get));
    lab.emit_down(fronts[1], &own_answer(429, ""));
    lab.fires("limits", "ACC-9");
    assert!(limits::may_refuse(&lab.oracle, fronts[1]));
    lab.oracle.fronts[fronts[0] as usize].closed = Some((0, Close::Normal));
    assert!(!limits::may_refuse(&lab.oracle, fronts[1]));
}

// BACK-1: source balancing leads a client to its server each time.
#[test]
fn balance_fires_on_a_client_that_wanders() {
    let mut lab = Lab::new();
    lab.oracle.truth.versions[0].config.clusters[0].balance = Balance::Source;
    for server in [0, 3] {
        let front = lab.front();
        let id = lab.asked(front, ask(0, Method::Get));
        let back = lab.back(server);
        let head = lab.head(id);
        lab.emit_up(back, &head);
        lab.clean();
    }
    breaks(balance::faithful(&lab.oracle), "balance", "BACK-1");
}

// BACK-9: nobody stands in line while a server has room.
#[test]
fn limits_fires_on_a_line_in_front_of_a_server_with_room() {
    let mut lab = lab_with(None, Some(1));
    let front = lab.front();
    lab.asked(front, ask(0, Method::Get));
    breaks(limits::lines(&lab.oracle), "limits", "BACK-9");
    for n in [0, 3] {
        let front = lab.front();
        request(&mut lab, front, b"");
        assert_eq!(lab.oracle.backs.last().map(|back| back.server), Some(0));
        lab.oracle.backs.last_mut().expect("a connection").server = n;
    }
    assert_eq!(limits::lines(&lab.oracle), Ok(()), "both are busy");

    // BACK-4: a back-off that is over is room for a probe.
    let mut lab = lab_with(None, Some(1));
    for n in [0, 3] {
        let backoff = std::time::Duration::from_secs(1);
        let down = Event::ServerDown { cluster: "c0".into(), addr: server(n), backoff };
        assert_eq!(balance::health(&mut lab.oracle, &down), Ok(()));
    }
    let front = lab.front();
    lab.asked(front, ask(0, Method::Get));
    lab.later(1_010);
    assert_eq!(limits::lines(&lab.oracle), Ok(()), "they back off");
    lab.later(1);
    breaks(limits::lines(&lab.oracle), "limits", "BACK-9");
}
