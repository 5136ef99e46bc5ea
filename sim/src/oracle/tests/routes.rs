//! Checkers of routes, of what routes edit, of trust, of dates, and of shares by weight.

use super::*;
use crate::oracle::ledger::Flaw;
use crate::oracle::routes::{Hosts, Lead, Paths, Turn, Way};
use crate::oracle::truth::covers;
use crate::oracle::{balance, routes};
use std::collections::BTreeMap;
use tidegate_core::config::{FixedAnswer, HostPattern, Network, PathRule, Route, Target};

fn lab(ways: &[Way]) -> Lab {
    let mut lab = Lab::new();
    lab.oracle.truth.versions[0].routes = ways.to_vec();
    lab
}

fn way(paths: Paths, to: Lead) -> Way {
    Way { paths, to, ..Way::of_host(0, 0) }
}

const MOVED: Turn = Turn { status: 302, scheme: true, host: false, path: false };

/// The answer of the proxy itself to a first request.
fn answered(ways: &[Way], fields: &str, status: u16) -> Lab {
    let mut lab = lab(ways);
    let front = lab.front();
    lab.asked(front, ask(0, Method::Get));
    lab.emit_down(front, &own_answer(status, fields));
    lab
}

// ROUTE-2: the host before the path, the path before the method, the method before the listener.
#[test]
fn the_model_takes_the_most_specific_route_whatever_the_order() {
    let any = |paths, method, to| Way {
        hosts: Hosts::Any,
        paths,
        method,
        listener: None,
        to: Lead::Cluster(to),
        edits: 0,
    };
    let mut ways = vec![
        any(Paths::Exact(7), Some(Method::Get), 0),
        Way { method: Some(Method::Get), ..way(Paths::Below, Lead::Cluster(1)) },
        way(Paths::Under(7), Lead::Cluster(6)),
        way(Paths::Under(1), Lead::Cluster(7)),
        way(Paths::Digit(7), Lead::Cluster(2)),
        Way { method: Some(Method::Get), ..way(Paths::Digit(7), Lead::Cluster(3)) },
        Way { listener: Some(0), ..way(Paths::Digit(7), Lead::Cluster(4)) },
        way(Paths::Exact(7), Lead::Cluster(5)),
    ];
    let asked = ask(7, Method::Get);
    for expected in [5, 3, 4, 2, 6, 1, 0] {
        let mut version = version(0);
        version.routes = ways.iter().rev().copied().collect();
        assert_eq!(version.cluster_of(&asked), Some(expected));
        version.routes.reverse();
        assert_eq!(version.cluster_of(&asked), Some(expected));
        ways.retain(|way| way.to != Lead::Cluster(expected));
    }
}

// ROUTE-2: a host before those below a name, and these before all.
#[test]
fn the_model_takes_a_wildcard_for_one_label_alone() {
    let way = |hosts, to| Way { hosts, ..way(Paths::Any, Lead::Cluster(to)) };
    let exact = Way { paths: Paths::Exact(7), ..way(Hosts::Any, 0) };
    let ways = [exact, way(Hosts::Below(0), 1), way(Hosts::Below(1), 2), way(Hosts::Only(1), 3)];
    let mut version = version(0);
    version.routes = ways.to_vec();
    let unknown = crate::wire::UNKNOWN_HOST;
    for (host, expected) in [(0, 1), (1, 3), (2, 2), (3, 2), (unknown, 0)] {
        let asked = Ask { host, ..ask(7, Method::Get) };
        assert_eq!(version.cluster_of(&asked), Some(expected), "{host}");
        let name = crate::wire::host_name(host);
        let of = crate::wire::wildcard_of(host).map(|n| crate::wire::WILDCARDS[n]);
        assert_eq!(of.is_some(), host != unknown);
        let parent = name.split_once('.').map(|(_, parent)| parent);
        assert!(of.is_none() || of == parent, "{name}");
    }
}

// ROUTE-1: a redirect leads where it says, with its status, and nobody else is redirected.
#[test]
fn routes_fires_on_wrong_redirects_and_answers() {
    let moved = [way(Paths::Any, Lead::Redirect(MOVED))];
    let right = "Location: https://a.example/r/0\r\n";
    answered(&moved, right, 302).clean();
    answered(&moved, "Location: HTTPS://A.example/r/0\r\n", 302).clean();
    for (wrong, status) in [("Location: http://a.example/r/0\r\n", 302), ("", 302)] {
        answered(&moved, wrong, status).fires("routes", "ROUTE-1");
    }
    answered(&moved, right, 301).fires("answers", "RES-7");
    let fixed = [way(Paths::Any, Lead::Answer(403, false))];
    answered(&fixed, "", 403).clean();
    answered(&fixed, right, 403).fires("routes", "ROUTE-1");
    let with_body = [way(Paths::Any, Lead::Answer(403, true))];
    answered(&with_body, "", 403).fires("routes", "ROUTE-1");
}

// ROUTE-1: what is asked for in a way of its own is sent where its route says, with its status.
#[test]
fn routes_fires_on_odd_requests_that_are_sent_elsewhere() {
    let moved = Flaw {
        name: "moved",
        statuses: &[301, 421],
        in_body: false,
        location: Some("{scheme}://moved.sim{port}/moved/{id}"),
        lead: 0,
    };
    let wild = Flaw { statuses: &[301, 404, 421], ..moved };
    let fixed = Flaw { name: Flaw::FIXED, statuses: &[200, 403, 421], ..moved };
    for (flaw, status, fields, is_right) in [
        (moved, 301, "Location: http://moved.sim/moved/0\r\n", true),
        (moved, 301, "Location: http://moved.sim/moved/1\r\n", false),
        (moved, 301, "", false),
        (moved, 421, "", true),
        (wild, 301, "Location: http://moved.sim/moved/0\r\n", true),
        (wild, 404, "", false),
        (fixed, 403, "", true),
        (fixed, 421, "", true),
        (fixed, 200, "", false),
    ] {
        let mut lab = lab(&[Way::of_host(0, 0)]);
        let answer = Target::Answer(FixedAnswer { status: 403, body: None });
        let path = PathRule::Exact("/fixed".into());
        let route = Route { path, to: answer, ..Route::to_cluster("") };
        let host = HostPattern::Wildcard("wild.sim".into());
        let wild = Route { host, ..route.clone() };
        lab.oracle.truth.versions[0].config.routes.extend([route, wild]);
        let front = lab.front();
        lab.asked(front, Ask { flaw: Some(flaw), ..ask(0, Method::Get) });
        lab.emit_down(front, &own_answer(status, fields));
        if is_right { lab.clean() } else { lab.fires("routes", "ROUTE-1") }
    }
}

// ROUTE-2, REQ-2: what is wrong only in its body names its host: the routes of that host may answer
// it, whatever their path, and those of other hosts may not.
#[test]
fn a_flaw_in_the_body_leaves_its_host_to_be_answered() {
    let flaw = |in_body| Flaw { name: "some", statuses: &[400], in_body, location: None, lead: 0 };
    for (in_body, hosts, paths, is_right) in [
        (true, Hosts::Only(0), Paths::Exact(0), true),
        (true, Hosts::Only(1), Paths::Exact(0), false),
        (true, Hosts::Below(0), Paths::Exact(0), true),
        (true, Hosts::Below(1), Paths::Exact(0), false),
        (true, Hosts::Only(0), Paths::Exact(9), false),
        (true, Hosts::Any, Paths::Any, true),
        (false, Hosts::Only(0), Paths::Exact(0), false),
        (false, Hosts::Below(0), Paths::Exact(0), false),
        (false, Hosts::Any, Paths::Any, true),
    ] {
        let special = Way { hosts, ..way(paths, Lead::Answer(403, false)) };
        let mut lab = lab(&[Way::of_host(0, 0), special]);
        let front = lab.front();
        let id = lab.asked(front, Ask { flaw: Some(flaw(in_body)), ..ask(0, Method::Post) });
        let row = &lab.oracle.rows[id as usize];
        let found = routes::may_answer(&lab.oracle, row, 403);
        assert_eq!(found, is_right, "{in_body}, {hosts:?}, {paths:?}");
    }
}

// ROUTE-2: what leads elsewhere goes to no server.
#[test]
fn routes_fires_on_a_request_that_leads_elsewhere() {
    let mut lab = lab(&[way(Paths::Any, Lead::Redirect(MOVED))]);
    let front = lab.front();
    let id = lab.asked(front, ask(0, Method::Get));
    breaks(routes::request(&lab.oracle, &lab.oracle.rows[id as usize]), "routes", "ROUTE-2");
}

// REQ-6: a route's fields are set, once, with its values, and only by it.
#[test]
fn routes_fires_on_edits_that_are_lost() {
    for (edits, fields, is_right) in [
        (1, "X-Edit: edit 1\r\n", true),
        (1, "", false),
        (1, "X-Edit: edit 2\r\n", false),
        (2, "X-Edit: edit 2\r\nx-e-dup: replaced by 2\r\n", true),
        (2, "X-Edit: edit 2\r\n", false),
    ] {
        let mut lab = lab(&[Way { edits, ..Way::of_host(0, 0) }]);
        let front = lab.front();
        let id = lab.asked(front, ask(0, Method::Get));
        let back = lab.back(0);
        let own = lab.head(id);
        let head = own.replace("\r\nX-Forwarded-For", &format!("\r\n{fields}X-Forwarded-For"));
        lab.emit_up(back, &head);
        if is_right { lab.clean() } else { lab.fires("routes", "REQ-6") }
    }
}

// REQ-6: a stranger's words are replaced, those of a trusted proxy are passed on.
#[test]
fn headers_fires_on_strangers_that_are_believed_and_friends_that_are_not() {
    let own = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 8000\r\n\
               X-Forwarded-Host: a.example\r\nX-Request-Id: 1\r\n";
    let theirs = "X-Forwarded-For: 198.51.100.0, 10.1.1.1, 192.0.2.1\r\n\
                  X-Forwarded-Proto: ftp\r\nX-Forwarded-Port: 8000\r\nX-Forwarded-Host: client-0.example\r\n\
                  X-Request-Id: client-0\r\n";
    for (is_trusted, words, is_right) in
        [(false, own, true), (false, theirs, false), (true, theirs, true), (true, own, false)]
    {
        let mut lab = lab(&[Way::of_host(0, 0)]);
        let network = Network { addr: std::net::Ipv4Addr::new(192, 0, 2, 0).into(), prefix: 24 };
        if is_trusted {
            lab.oracle.truth.versions[0].config.trusted_proxies.push(network);
        }
        let front = lab.front();
        let id = lab.asked(front, Ask { forwards: true, ..ask(0, Method::Get) });
        let back = lab.back(0);
        let head = lab.head(id).replace(own, words);
        lab.emit_up(back, &head);
        if is_right { lab.clean() } else { lab.fires("headers", "REQ-6") }
    }
}

// REQ-6: what strangers say in other fields, such as `Forwarded`, does not pass either; what a
// trusted proxy says does, and ours comes behind it.
#[test]
fn headers_fires_on_forwarded_of_strangers() {
    let port = "X-Forwarded-Port: 8000\r\n";
    let their_port = "X-Forwarded-Port: 21\r\n";
    let theirs = "Forwarded: for=198.51.100.0;proto=ftp\r\n";
    let ours = "Forwarded: for=192.0.2.1;host=\"a.example\";proto=http\r\n";
    let words = "X-Forwarded-For: 198.51.100.0, 10.1.1.1, 192.0.2.1\r\n\
                 X-Forwarded-Proto: ftp\r\nX-Forwarded-Host: client-0.example\r\n\
                 X-Request-Id: client-0\r\n";
    let own = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\n\
               X-Forwarded-Host: a.example\r\nX-Request-Id: 1\r\n";
    for (is_trusted, adds, fields, is_right) in [
        (false, false, [port, ""].concat(), true),
        (false, false, [port, theirs].concat(), false),
        (false, false, [their_port, ""].concat(), false),
        (false, true, [port, ours].concat(), true),
        (false, true, [port, theirs].concat(), false),
        (false, true, [port, theirs, ours].concat(), false),
        (true, false, [their_port, theirs].concat(), true),
        (true, false, [port, theirs].concat(), false),
        (true, false, [their_port, ""].concat(), false),
        (true, true, [their_port, theirs, ours].concat(), true),
        (true, true, [their_port, ours, theirs].concat(), false),
        (true, true, [their_port, ours].concat(), false),
    ] {
        let mut lab = lab(&[Way::of_host(0, 0)]);
        let network = Network { addr: std::net::Ipv4Addr::new(192, 0, 2, 0).into(), prefix: 24 };
        let config = &mut lab.oracle.truth.versions[0].config;
        config.trusted_proxies.extend(is_trusted.then_some(network));
        config.forwarded = adds;
        let front = lab.front();
        let says = Ask { forwards: true, forwards_besides: true, ..ask(0, Method::Get) };
        let id = lab.asked(front, says);
        let back = lab.back(0);
        let head = lab.head(id);
        let (begin, rest) = head.split_once("X-Forwarded-For").unwrap();
        let (_, end) = rest.split_once("X-Request-Id: 1\r\n").unwrap();
        let said = if is_trusted { words } else { own };
        lab.emit_up(back, &[begin, said, &fields, end].concat());
        if is_right { lab.clean() } else { lab.fires("headers", "REQ-6") }
    }
}

// REQ-6: the port is the one that the client connected to, said once, and no other.
#[test]
fn headers_fires_on_another_port() {
    let right = "X-Forwarded-Port: 8000\r\n";
    let twice = "X-Forwarded-Port: 8000\r\nX-Forwarded-Port: 8000\r\n";
    for (listener, words, is_right) in [
        (0, right, true),
        (1, right, false),
        (1, "X-Forwarded-Port: 8001\r\n", true),
        (0, "X-Forwarded-Port: 0\r\n", false),
        (0, "", false),
        (0, twice, false),
    ] {
        let mut lab = lab(&[Way::of_host(0, 0)]);
        let front = lab.front();
        lab.oracle.fronts[front as usize].listener = listener;
        let id = lab.asked(front, ask(0, Method::Get));
        let back = lab.back(0);
        let head = lab.head(id).replace(right, words);
        lab.emit_up(back, &head);
        if is_right { lab.clean() } else { lab.fires("headers", "REQ-6") }
    }
}

// REQ-6, PP-1: who lies in a network is decided by the bits of its prefix alone, whole bytes or
// not, within its own family; an IPv4-mapped address counts as IPv4.
#[test]
fn a_network_covers_what_begins_as_it_does() {
    for (addr, prefix, ip, lies_inside) in [
        ("192.0.2.0", 30, "192.0.2.3", true),
        ("192.0.2.0", 30, "192.0.2.4", false),
        ("192.0.64.0", 18, "192.0.127.255", true),
        ("192.0.64.0", 18, "192.0.63.255", false),
        ("192.0.64.0", 18, "192.0.128.0", false),
        ("192.0.2.1", 32, "192.0.2.1", true),
        ("192.0.2.1", 32, "192.0.2.0", false),
        ("0.0.0.0", 0, "255.255.255.255", true),
        ("0.0.0.0", 0, "::1", false),
        ("192.0.2.0", 30, "::ffff:192.0.2.3", true),
        ("192.0.2.0", 30, "::ffff:192.0.2.4", false),
        ("192.0.2.0", 30, "::192.0.2.3", false),
        ("::", 0, "2001:db8::1", true),
        ("::", 0, "192.0.2.1", false),
        ("::", 0, "::ffff:192.0.2.1", false),
        ("2001:db8::", 124, "2001:db8::f", true),
        ("2001:db8::", 124, "2001:db8::10", false),
        ("2001:db8::", 29, "2001:dbf:ffff::", true),
        ("2001:db8::", 29, "2001:dc0::", false),
        ("::1", 128, "::1", true),
        ("::1", 128, "::", false),
    ] {
        let network = Network { addr: addr.parse().unwrap(), prefix };
        assert_eq!(covers(&network, ip.parse().unwrap()), lies_inside, "{ip} in {addr}/{prefix}");
    }
}

// RES-7, SES-3: the date is the wall clock's, which may have jumped.
#[test]
fn headers_fires_on_dates_that_no_clock_showed() {
    for (jump, is_right) in [(0, true), (5_000, false), (-90_000, false)] {
        let mut lab = lab(&[]);
        if jump != 0 {
            lab.oracle.truth.wall_jumps.push((0, jump));
        }
        let front = lab.front();
        lab.asked(front, ask(0, Method::Get));
        lab.emit_down(front, &own_answer(404, ""));
        if is_right { lab.clean() } else { lab.fires("headers", "RES-7") }
    }
}

// BACK-1: shares by weight; equal ones within one; backups only when nobody else can be used.
#[test]
fn balance_fires_on_unfair_shares_and_on_backups_that_are_used_first() {
    let place = |server, weight, is_backup| Place { weight, is_backup, ..Place::new(server) };
    let places = [place(0, 3, false), place(1, 1, false), place(2, 9, true)];
    let judge = |counts: [u64; 3]| {
        let counts: BTreeMap<u16, u64> = (0..).zip(counts).collect();
        balance::shares(0, &places, &counts)
    };
    assert_eq!(judge([6, 2, 0]), Ok(()));
    assert_eq!(judge([1, 0, 0]), Ok(()));
    for wrong in [[4, 4, 0], [8, 0, 0], [6, 2, 1]] {
        breaks(judge(wrong), "balance", "BACK-1");
    }
    let mut lab = Lab::new();
    lab.oracle.truth.versions[0].clusters[0][2].is_backup = true;
    lab.later(10_000);
    let front = lab.front();
    let id = lab.asked(front, ask(0, Method::Get));
    let back = lab.back(3);
    let row = &lab.oracle.rows[id as usize];
    breaks(balance::request(&lab.oracle, back, row), "balance", "BACK-1");
    lab.oracle.truth.versions[0].clusters[0][0].is_drained = true;
    let row = &lab.oracle.rows[id as usize];
    assert_eq!(balance::request(&lab.oracle, back, row), Ok(()), "nobody else is left");
}
