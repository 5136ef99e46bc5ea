//! The accept queue with real sockets.

use crate::backend::Backend;
use crate::client::{Client, End, get_once};
use crate::proxy::{PATIENCE, Proxy, Setup, app, wait_until};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

const A_MOMENT: Duration = Duration::from_millis(150);

/// Connects, takes the only session by a whole request, and keeps it.
fn hold(proxy: &Proxy) -> Client {
    let mut holder = Client::connect(proxy.port);
    holder.get("/holder");
    assert_eq!(holder.response().expect("an answer").status, 200);
    holder
}

/// Connects and sends a request that ends its session.
fn wait_in_line(proxy: &Proxy, target: &str) -> Client {
    let mut client = Client::connect(proxy.port);
    client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    sleep(A_MOMENT);
    client
}

// ACC-3, ACC-5, ACC-7
#[test]
fn one_session_at_a_time_and_the_newest_first() {
    let order = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&order);
    let backend = Backend::start(move |exchange| {
        seen.lock().expect("whole").push(exchange.target.clone());
        exchange.ok("done")
    });
    let proxy = Setup::to(&[backend.port]).max_connections(1).start();
    let holder = hold(&proxy);
    let mut waiting: Vec<Client> =
        ["/a", "/b", "/c"].iter().map(|target| wait_in_line(&proxy, target)).collect();
    for client in &mut waiting {
        client.expect_silence(A_MOMENT);
    }
    drop(holder);
    for client in &mut waiting {
        assert_eq!(client.response().expect("nobody is lost").status, 200);
    }
    assert_eq!(*order.lock().expect("whole"), ["/holder", "/c", "/b", "/a"]);
}

// ACC-4
#[test]
fn who_waits_too_long_is_closed_though_his_turn_has_not_come() {
    let backend = Backend::says("done");
    let proxy = Setup::to(&[backend.port])
        .max_connections(1)
        .top("accept_queue = { max_wait = \"1s\" }")
        .start();
    let mut holder = hold(&proxy);
    let start = Instant::now();
    let mut waiting = Client::connect(proxy.port);
    let (bytes, end) = waiting.wire.rest();
    let taken = start.elapsed();
    assert_eq!((bytes.len(), end), (0, End::Fin));
    assert!(taken >= Duration::from_millis(950), "early: {taken:?}");
    assert!(taken < Duration::from_millis(2500), "late: {taken:?}");
    // The session that was served all the while goes on.
    holder.get("/again");
    assert_eq!(holder.response().expect("an answer").status, 200);
}

// ACC-6: the queue holds three, who comes then is closed at once, the three are served.
#[test]
fn the_queue_that_is_full_closes_newcomers_at_once() {
    let backend = Backend::says("done");
    let proxy = Setup::to(&[backend.port])
        .max_connections(1)
        .top("accept_queue = { capacity = 3 }")
        .start();
    let holder = hold(&proxy);
    let mut waiting: Vec<Client> = (0..3).map(|_| wait_in_line(&proxy, "/waits")).collect();
    for _ in 0..3 {
        let start = Instant::now();
        // Nothing is sent: a close with unread bytes would be a reset.
        let mut late = Client::connect(proxy.port);
        late.expect_closed();
        assert!(start.elapsed() < Duration::from_secs(2), "not at once");
    }
    drop(holder);
    for client in &mut waiting {
        assert_eq!(client.response().expect("room in the queue is a promise").status, 200);
    }
}

// ACC-5, ACC-11: the workers' shares add up to the cap.
#[test]
fn two_workers_never_exceed_the_cap() {
    let now = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (counts, peak) = (Arc::clone(&now), Arc::clone(&most));
    let backend = Backend::start(move |exchange| {
        let live = counts.fetch_add(1, Ordering::SeqCst) + 1;
        peak.fetch_max(live, Ordering::SeqCst);
        sleep(Duration::from_millis(100));
        counts.fetch_sub(1, Ordering::SeqCst);
        exchange.ok("done")
    });
    let mut setup = Setup::to(&[backend.port]).max_connections(3);
    setup.workers = 2;
    let proxy = setup.start();
    let port = proxy.port;
    let clients: Vec<_> =
        (0..24).map(|_| thread::spawn(move || get_once(port, "/").map(|r| r.status))).collect();
    for client in clients {
        let status = client.join().expect("a client").expect("nobody is lost");
        assert_eq!(status, 200);
    }
    let most = most.load(Ordering::SeqCst);
    assert!((1..=3).contains(&most), "{most} sessions at once");
}

// ACC-8: without descriptors for 2 s nobody is reset, and then everybody is served.
#[test]
fn running_out_of_descriptors_is_survived() {
    let proxy = Setup::new("[[route]]\nanswer = { status = 200 }\n").start();
    let mut before = hold(&proxy);
    let open = proxy.descriptors();
    let lowest_free = (0..).find(|number| !open.contains(number)).expect("numbers do not end");
    let limit = proxy.limit_descriptors(Some(lowest_free));
    let start = Instant::now();
    let mut crowd: Vec<Client> = (0..40).map(|_| Client::connect(proxy.port)).collect();
    let mut served = 0;
    for client in &mut crowd {
        // One that was closed already may answer with a reset now.
        let _ = client.try_send(crate::client::get("/crowd").as_bytes());
        client.patience(Duration::from_millis(20));
        served += usize::from(client.response().is_ok());
    }
    assert!(served < 40, "the limit did not bite");
    // Sessions that live are served on.
    before.get("/before");
    assert_eq!(before.response().expect("an answer").status, 200);
    sleep(Duration::from_secs(2).saturating_sub(start.elapsed()));
    drop(crowd);
    let mut waiting = Client::connect(proxy.port);
    waiting.get("/waiting");
    proxy.limit_descriptors(limit);
    let next = Instant::now();
    assert_eq!(get_once(proxy.port, "/next").expect("the next client").status, 200);
    assert!(next.elapsed() < Duration::from_secs(1), "the pause is 100 ms");
    // Who waited in the backlog needs no new traffic; a clean close with the spare was legal too.
    match waiting.response() {
        Ok(response) => assert_eq!(response.status, 200),
        Err(cut) => assert_eq!(cut.bytes, 0),
    }
}

// ACC-8: after the pause the backlog is served without waiting for new traffic.
#[test]
fn the_backlog_is_served_when_descriptors_come_back() {
    let proxy = Setup::new("[[route]]\nanswer = { status = 200 }\n").start();
    let _before = hold(&proxy);
    let limit = proxy.limit_descriptors(Some(0));
    let mut clients: Vec<Client> = (0..60).map(|_| Client::connect(proxy.port)).collect();
    sleep(Duration::from_millis(500));
    proxy.limit_descriptors(limit);
    let mut served = 0;
    for client in &mut clients {
        let _ = client.try_send(crate::client::get("/").as_bytes());
        served += usize::from(client.response().is_ok_and(|response| response.status == 200));
    }
    // About one a pause of 100 ms was closed with the spare descriptor.
    assert!(served >= 30, "only {served} of 60 were served");
}

// ACC-10
#[test]
fn saturation_closes_the_longest_idle_only() {
    let backend = Backend::start(|exchange| {
        if exchange.target == "/slow" {
            sleep(Duration::from_secs(1));
        }
        exchange.ok("done")
    });
    let proxy = Setup::new(app(&[backend.port]))
        .max_connections(2)
        .top("accept_queue = { evict_idle = true }")
        .start();
    let mut idle = hold(&proxy);
    let mut busy = Client::connect(proxy.port);
    busy.get("/slow");
    wait_until("the slow request arrives", || backend.requests() == 2);
    assert_eq!(get_once(proxy.port, "/new").expect("room is made").status, 200);
    idle.expect_closed();
    assert_eq!(busy.response().expect("a request in service is never cut").status, 200);
}

// RUN-6
#[test]
fn too_few_descriptors_are_refused_at_the_start() {
    let dir = crate::proxy::Dir::new();
    let config = dir.path("tidegate.toml");
    let text = format!(
        "workers = 1\nmax_connections = 500\n[listener.web]\nbind = \"127.0.0.1:{}\"\n\
         [[route]]\nanswer = {{ status = 200 }}\n",
        crate::proxy::free_port()
    );
    std::fs::write(&config, text).expect("a configuration");
    let mut child = std::process::Command::new("prlimit")
        .args(["--nofile=1000:1000", env!("CARGO_BIN_EXE_tidegate"), "serve", "-c"])
        .arg(&config)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("prlimit");
    let end = Instant::now() + PATIENCE;
    while child.try_wait().expect("wait").is_none() {
        if Instant::now() > end {
            let _ = child.kill();
            panic!("it started although 1000 descriptors cannot hold 2 x 500 + 64");
        }
        sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output().expect("its end");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("1064"), "it does not say what it needs: {said}");
}
