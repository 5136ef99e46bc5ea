//! Hot reconfiguration by HUP (RUN-1).

use crate::backend::Backend;
use crate::client::{Client, get_once};
use crate::proxy::{Setup, app, cluster, listening, wait_until};
use rustix::process::Signal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

// RUN-1: a hundred reloads under load lose no request.
#[test]
fn reloads_under_load_lose_no_request() {
    let servers = [Backend::says("hello"), Backend::says("hello")];
    let (one, two) = (app(&[servers[0].port]), app(&[servers[1].port, servers[0].port]));
    let mut setup = Setup::new(&one);
    setup.workers = 2;
    let mut proxy = setup.start();
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let port = proxy.port;
    let clients: Vec<_> = (0..8)
        .map(|number| {
            let (stop, count) = (Arc::clone(&stop), Arc::clone(&count));
            thread::spawn(move || {
                let mut kept = Client::connect(port);
                while !stop.load(Ordering::SeqCst) {
                    let response = if number % 2 == 0 {
                        kept.get("/");
                        kept.response()
                    } else {
                        get_once(port, "/")
                    };
                    assert_eq!(response.expect("an answer").status, 200);
                    count.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for round in 0..100 {
        proxy.reload(if round % 2 == 0 { &two } else { &one });
        let before = count.load(Ordering::SeqCst);
        wait_until("load goes on", || count.load(Ordering::SeqCst) >= before + 10);
    }
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.join().expect("a client without a complaint");
    }
    assert!(servers[1].requests() > 0, "the reloads changed nothing");
    proxy.records(count.load(Ordering::SeqCst));
}

// RUN-1: whole or not at all, and it says why.
#[test]
fn a_bad_file_changes_nothing_and_says_why() {
    let backend = Backend::says("old");
    let mut proxy = Setup::to(&[backend.port]).start();
    for bad in [
        "[[route]]\nhost = \"x\"\nanswer = { status = 200 }\n[[route]]\nto = \"ap\"\n",
        "[[route]]\nanswer = { status = 204 }\nno_such_key = 1\n",
        "this is not TOML\n",
    ] {
        let before = proxy.stderr().len();
        proxy.reload(bad);
        wait_until("it says why", || proxy.stderr()[before..].contains("tidegate.toml"));
        assert!(proxy.runs());
        assert_eq!(get_once(proxy.port, "/").expect("an answer").text(), "old");
    }
    let said = proxy.stderr();
    assert!(["TG003", "no_such_key", "TG001"].iter().all(|why| said.contains(why)), "{said}");
    proxy.reload("[[route]]\nanswer = { status = 202 }\n");
    wait_until("a good file applies", || {
        get_once(proxy.port, "/").expect("an answer").status == 202
    });
}

// RUN-1: what cannot be bound leaves everything as it was.
#[test]
fn a_listener_that_cannot_be_bound_changes_nothing() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("its address").port();
    let mut proxy = Setup::new("[[route]]\nanswer = { status = 200 }\n").start();
    let before = proxy.stderr().len();
    proxy.reload(&format!(
        "[listener.more]\nbind = \"127.0.0.1:{port}\"\n[[route]]\nanswer = {{ status = 202 }}\n"
    ));
    wait_until("it says why", || proxy.stderr()[before..].contains(&port.to_string()));
    assert_eq!(get_once(proxy.port, "/").expect("an answer").status, 200);
}

// RUN-1: listeners come and go; those that stay do not notice.
#[test]
fn listeners_come_and_go() {
    let port = crate::proxy::free_port();
    let alone = "[[route]]\nanswer = { status = 200 }\n";
    let mut proxy = Setup::new(alone).start();
    let mut kept = Client::connect(proxy.port);
    proxy.reload(&format!("[listener.more]\nbind = \"127.0.0.1:{port}\"\n{alone}"));
    wait_until("the new one listens", || listening(port) == 1);
    assert_eq!(get_once(port, "/").expect("an answer").status, 200);
    proxy.reload(alone);
    wait_until("it is gone", || listening(port) == 0);
    assert!(Client::try_connect(port).is_err());
    kept.get("/");
    assert_eq!(kept.response().expect("untouched").status, 200);
}

// RUN-1, SES-1: a request in flight sees the version of its start; a removed server drains.
#[test]
fn a_removed_server_finishes_what_it_began() {
    let slow = Backend::start(|exchange| {
        sleep(Duration::from_millis(800));
        exchange.ok("slow")
    });
    let new = Backend::says("new");
    let mut proxy = Setup::to(&[slow.port]).start();
    let mut client = Client::connect(proxy.port);
    client.get("/");
    wait_until("the request arrives", || slow.requests() == 1);
    proxy.reload(&app(&[new.port]));
    wait_until("the new version is there", || {
        get_once(proxy.port, "/").expect("an answer").text() == "new"
    });
    assert_eq!(client.response().expect("an answer").text(), "slow");
    client.get("/");
    assert_eq!(client.response().expect("an answer").text(), "new");
}

// RUN-1: routes and clusters of one file appear together.
#[test]
fn a_change_is_visible_whole() {
    let (old, new) = (Backend::says("old"), Backend::says("new"));
    let version = |name: &str, port| {
        format!(
            "{}[[route]]\nhost = \"app.example\"\nto = \"{name}\"\n\
             [[route]]\npath_exact = \"/version\"\nto = \"{name}\"\n",
            cluster(name, &[port])
        )
    };
    let mut proxy = Setup::new(version("one", old.port)).start();
    for round in 0..20 {
        let (name, port) = if round % 2 == 0 { ("two", new.port) } else { ("one", old.port) };
        proxy.reload(&version(name, port));
        let expected = if round % 2 == 0 { "new" } else { "old" };
        wait_until("it applies", || {
            let response = get_once(proxy.port, "/version").expect("an answer");
            // Never a route without its cluster.
            assert_eq!(response.status, 200);
            response.text() == expected
        });
    }
    proxy.signal(Signal::TERM);
    assert!(proxy.wait().success());
}
