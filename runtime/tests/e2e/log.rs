//! The access log: one record a request, with how it ended.

use crate::backend::Backend;
use crate::client::{Client, get_once, raw_once};
use crate::proxy::{Proxy, Setup, wait_until};
use rustix::process::Signal;
use std::fs;
use std::time::Duration;

const PLAIN: &str = "GET /plain?q=1 HTTP/1.1\r\nHost: App.Example:80\r\n\r\n";

#[test]
fn a_json_record_tells_what_happened() {
    let backend = Backend::says("hello");
    let proxy = Setup::to(&[backend.port]).start();
    let mut client = Client::connect(proxy.port);
    client.send(PLAIN);
    client.response().expect("an answer");
    client.send(PLAIN);
    client.response().expect("an answer");
    let records = proxy.records(2);
    for (number, record) in records.iter().enumerate() {
        assert_eq!(record.status(), 200);
        assert_eq!(record.text("method"), "GET");
        assert_eq!(record.text("host"), "app.example");
        assert_eq!(record.text("path"), "/plain?q=1");
        assert_eq!(record.text("listener"), "web");
        assert_eq!(record.text("cluster"), "app");
        assert!(record.text("server").contains(&backend.port.to_string()));
        assert!(record.text("client").starts_with("127.0.0.1"));
        assert_eq!(record.ending(), ("nobody".into(), "complete".into()));
        assert_eq!(record.number("received_bytes"), PLAIN.len() as u64);
        assert!(record.number("sent_bytes") > "hello".len() as u64);
        // The second request came over the first one's backend connection (BACK-6).
        assert_eq!(record.text("reused"), (number == 1).to_string());
        assert_eq!(record.number("attempts"), 1 - number as u64);
    }
    assert_ne!(records[0].text("request_id"), records[1].text("request_id"));
}

// What a client sends cannot forge lines or break the JSON.
#[test]
fn hostile_bytes_stay_inside_their_field() {
    let backend = Backend::says("hello");
    let proxy = Setup::to(&[backend.port]).start();
    let target = "/\"},{\"status\":500}\\u0000%0a%22";
    raw_once(proxy.port, format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
        .expect("an answer");
    let long = "x".repeat(4000);
    get_once(proxy.port, &format!("/{long}")).expect("an answer");
    let records = proxy.records(2);
    let status = records[0].status();
    assert!(status == 200 || status == 400);
    assert!(records[1].text("path").len() < 400, "a record is bounded");
}

#[test]
fn text_is_one_line_a_request() {
    let backend = Backend::says("hello");
    let mut setup = Setup::to(&[backend.port]);
    setup.log_format = "text";
    let proxy = setup.start();
    for number in 0..5 {
        get_once(proxy.port, &format!("/text/{number}")).expect("an answer");
    }
    for (number, line) in proxy.lines(5).iter().enumerate() {
        assert!(line.contains(&format!("/text/{number}")) && line.contains("200"), "{line}");
    }
}

fn answers() -> Setup {
    Setup::new("[[route]]\nanswer = { status = 200 }\n")
}

fn ask(proxy: &Proxy, target: &str) {
    assert_eq!(get_once(proxy.port, target).expect("an answer").status, 200);
}

fn rotate(proxy: &Proxy) {
    let (from, to) = (proxy.dir.path("access.log"), proxy.dir.path("access.log.1"));
    fs::rename(from, to).expect("rotated");
}

// RUN-8: a file that was moved away gets no record from the next look at it on, and none is lost.
#[test]
fn a_log_that_was_rotated_is_begun_anew() {
    let proxy = answers().start();
    ask(&proxy, "/old/1");
    ask(&proxy, "/old/2");
    proxy.lines(2);
    rotate(&proxy);
    // The file is looked at once a second, when there is something to write.
    std::thread::sleep(Duration::from_millis(1200));
    ask(&proxy, "/new/1");
    ask(&proxy, "/new/2");
    let new = proxy.records(2);
    assert_eq!(["/new/1", "/new/2"], [new[0].text("path"), new[1].text("path")]);
    assert_eq!(proxy.lines_of("access.log.1", 2).len(), 2);
}

// RUN-8: USR1 reopens at once, without any traffic.
#[test]
fn usr1_reopens_the_log_at_once() {
    let mut proxy = answers().start();
    ask(&proxy, "/old");
    proxy.lines(1);
    rotate(&proxy);
    proxy.signal(Signal::USR1);
    wait_until("the new file is there", || proxy.dir.path("access.log").exists());
    ask(&proxy, "/new");
    assert_eq!(proxy.records(1)[0].text("path"), "/new");
    assert_eq!(proxy.lines_of("access.log.1", 1).len(), 1);
    assert!(proxy.runs());
}

// RUN-8: a full disk costs records, which are counted, and nothing else.
#[test]
fn a_full_disk_costs_counted_records_only() {
    let mut setup = answers();
    setup.access = Some("/dev/full");
    let mut proxy = setup.start();
    let mut client = Client::connect(proxy.port);
    for _ in 0..50 {
        client.get("/");
        assert_eq!(client.response().expect("an answer").status, 200);
    }
    ask(&proxy, "/last");
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.wait().code(), Some(0));
    let said = proxy.stderr();
    assert!(said.contains("51 since the start"), "{said}");
}
