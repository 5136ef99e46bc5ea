//! Servers that are killed, refuse or answer badly (BACK-2 to BACK-7).

use crate::backend::{Backend, Next};
use crate::client::{Client, End, get_once, raw_once};
use crate::proxy::{Setup, free_port, wait_until};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

// BACK-2
#[test]
fn all_servers_killed_gives_503() {
    let mut servers = [Backend::says("a"), Backend::says("b")];
    let proxy = Setup::to(&[servers[0].port, servers[1].port]).start();
    assert_eq!(get_once(proxy.port, "/").expect("an answer").status, 200);
    for server in &mut servers {
        server.kill();
    }
    let start = Instant::now();
    assert_eq!(get_once(proxy.port, "/").expect("an answer").status, 503);
    assert!(start.elapsed() < Duration::from_secs(3), "refused three times is soon");
    let record = proxy.records(2).remove(1);
    assert_eq!((record.status(), record.number("attempts")), (503, 3));
    assert_eq!(record.ending(), ("backend".into(), "connect".into()));
}

// BACK-2
#[test]
fn a_cluster_without_servers_gives_503_at_once() {
    let proxy = Setup::to(&[]).start();
    assert_eq!(get_once(proxy.port, "/").expect("an answer").status, 503);
    assert_eq!(proxy.records(1)[0].number("attempts"), 0);
}

// BACK-2: another server takes what one refuses, and comes back when it listens again (BACK-4).
#[test]
fn a_server_that_refuses_is_stepped_over() {
    let down = free_port();
    let up = Backend::says("up");
    let proxy = Setup::to(&[down, up.port]).start();
    for _ in 0..20 {
        assert_eq!(get_once(proxy.port, "/").expect("an answer").text(), "up");
    }
    let again = Backend::start_at(down, |exchange| exchange.ok("again"));
    wait_until("the other server is probed and back", || {
        get_once(proxy.port, "/").expect("an answer").text() == "again"
    });
    assert!(again.requests() >= 1);
}

// BACK-3, BACK-2: every GET of which no response byte had come is answered 200.
#[test]
fn killing_one_of_two_servers_in_the_middle_loses_no_get() {
    let slow = |name: &'static str| {
        Backend::start(move |exchange| {
            sleep(Duration::from_millis(30));
            exchange.ok(name)
        })
    };
    let (mut first, second) = (slow("first"), slow("second"));
    let proxy = Setup::to(&[first.port, second.port]).start();
    let port = proxy.port;
    let clients: Vec<_> = (0..16)
        .map(|_| {
            thread::spawn(move || {
                let mut client = Client::connect(port);
                for _ in 0..40 {
                    client.get("/");
                    let response = client.response().expect("no response byte had come");
                    assert_eq!(response.status, 200);
                }
            })
        })
        .collect();
    wait_until("it is in the middle", || first.requests() > 50);
    first.kill();
    for client in clients {
        client.join().expect("a client without a complaint");
    }
    assert!(second.requests() > first.requests());
    assert_eq!(proxy.records(640).iter().filter(|record| record.status() == 200).count(), 640);
}

// BACK-3: a request that is not idempotent is never sent twice.
#[test]
fn a_post_is_never_sent_twice() {
    let servers: Vec<Backend> = (0..2)
        .map(|_| {
            Backend::start(|exchange| {
                exchange.body(&mut |_| {}).expect("whole");
                Ok(Next::Close)
            })
        })
        .collect();
    let proxy = Setup::to(&[servers[0].port, servers[1].port]).start();
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    assert_eq!(raw_once(proxy.port, post).expect("an answer").status, 502);
    assert_eq!(servers.iter().map(Backend::requests).sum::<usize>(), 1);
}

// BACK-3 (c): an idempotent one is sent once more.
#[test]
fn a_get_whose_fresh_connection_fails_is_sent_once_more() {
    let backend = Backend::start(|_| Ok(Next::Close));
    let proxy = Setup::to(&[backend.port]).start();
    assert_eq!(get_once(proxy.port, "/").expect("an answer").status, 502);
    assert_eq!(backend.requests(), 2);
}

// BACK-3 (b): a kept connection that was closed meanwhile is no failure.
#[test]
fn a_kept_connection_that_ended_is_replaced() {
    let backend = Backend::start(|exchange| {
        exchange.ok("kept")?;
        Ok(Next::Close)
    });
    let proxy = Setup::to(&[backend.port]).start();
    let mut client = Client::connect(proxy.port);
    for method in ["GET", "POST", "GET", "POST"] {
        client.send(format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"));
        assert_eq!(client.response().expect("an answer").status, 200, "{method}");
        // The end is visible before the next request: even a POST may go elsewhere.
        sleep(Duration::from_millis(50));
    }
    assert_eq!(backend.accepted(), 4);
}

// BACK-3: nothing is repeated after a response byte.
#[test]
fn a_response_that_broke_is_not_repeated() {
    let backend = Backend::start(|exchange| {
        exchange.raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")?;
        sleep(Duration::from_millis(100));
        Ok(Next::Close)
    });
    let proxy = Setup::to(&[backend.port]).start();
    let cut = get_once(proxy.port, "/").expect_err("cut");
    assert_ne!(cut.end, End::Open);
    assert_eq!(backend.requests(), 1);
}

// BACK-4: a 5xx is an answer like any other.
#[test]
fn a_5xx_is_forwarded_and_marks_nobody_down() {
    let backend = Backend::start(|exchange| {
        exchange.raw("HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops")?;
        Ok(Next::Keep)
    });
    let proxy = Setup::to(&[backend.port]).start();
    for _ in 0..10 {
        let response = get_once(proxy.port, "/").expect("an answer");
        assert_eq!((response.status, response.text().as_str()), (500, "oops"));
    }
    assert_eq!(backend.requests(), 10);
}

// BACK-6: who may use a kept connection.
#[test]
fn reuse_follows_the_configuration() {
    for (reuse, connections) in [("safe", 1), ("session", 3), ("never", 6)] {
        let backend = Backend::says("hello");
        let rest = format!(
            "[cluster.app]\nservers = [\"127.0.0.1:{}\"]\nreuse = \"{reuse}\"\n\
             [[route]]\nto = \"app\"\n",
            backend.port
        );
        let proxy = Setup::new(rest).start();
        for _ in 0..3 {
            let mut client = Client::connect(proxy.port);
            for _ in 0..2 {
                client.get("/");
                assert_eq!(client.response().expect("an answer").status, 200);
            }
        }
        assert_eq!(backend.accepted(), connections, "{reuse}");
    }
}

// BACK-1
#[test]
fn round_robin_goes_round() {
    let servers = [Backend::says("a"), Backend::says("b"), Backend::says("c")];
    let proxy = Setup::to(&[servers[0].port, servers[1].port, servers[2].port]).start();
    for _ in 0..30 {
        get_once(proxy.port, "/").expect("an answer");
    }
    assert_eq!(servers.map(|server| server.requests()), [10, 10, 10]);
}
