#![expect(clippy::disallowed_types, reason = "the clients of these tests are plain std sockets")]

use super::*;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::time::Duration;

struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(port: u16) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("set");
        Client(BufReader::new(stream))
    }

    fn send(&mut self, bytes: &str) {
        self.0.get_mut().write_all(bytes.as_bytes()).expect("sent");
    }

    /// The head in lower case, and the body.
    fn answer(&mut self, has_body: bool) -> (String, String) {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(self.0.read_line(&mut head).expect("a line"), 0, "{head}");
        }
        let head = head.to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1).expect("a length");
        let length = length.split("\r\n").next().expect("a line").parse().expect("a number");
        let mut body = vec![0; if has_body { length } else { 0 }];
        self.0.read_exact(&mut body).expect("the body");
        (head, String::from_utf8(body).expect("UTF-8"))
    }

    fn get(&mut self, path: &str) -> String {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
        self.answer(true).1
    }
}

#[test]
fn origins_keep_alive_and_take_bodies() {
    let ports = start().expect("started");
    let mut client = Client::connect(ports[1]);
    assert_eq!(client.get("/"), "hello from server 2\n");
    client.send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(client.answer(false).0.contains("x-demo-server: 2\r\n"));
    client.send("POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n01234");
    client.send("56789");
    assert!(client.answer(true).0.contains("x-demo-body-bytes: 10\r\n"));
    client.send("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhe");
    client.send("llo\r\n1\r\n!\r\n0\r\nT: 1\r\n\r\nGET / HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert!(client.answer(true).0.contains("x-demo-body-bytes: 6\r\n"));
    let (head, body) = client.answer(true);
    assert!(head.contains("connection: close\r\n") && head.contains("x-demo-body-bytes: 0\r\n"));
    assert_eq!(body, "hello from server 2\n");
    assert_eq!(client.0.read(&mut [0; 1]).expect("the end"), 0);
}

#[test]
fn origins_can_be_killed_and_started_from_any_of_them() {
    let ports = start().expect("started");
    let mut first = Client::connect(ports[0]);
    let mut third = Client::connect(ports[2]);
    assert_eq!(third.get("/"), "hello from server 3\n");
    assert_eq!(first.get("/demo/kill/3"), "server 3 is dead\n");
    assert_eq!(third.0.read(&mut [0; 1]).unwrap_or(0), 0);
    assert!(TcpStream::connect(("127.0.0.1", ports[2])).is_err());
    assert_eq!(first.get("/demo/kill/9"), "there are servers 1, 2 and 3\n");
    assert_eq!(first.get("/demo/start/3"), "server 3 is back\n");
    assert_eq!(Client::connect(ports[2]).get("/"), "hello from server 3\n");
    // One that kills itself still answers.
    assert_eq!(first.get("/demo/kill/1"), "server 1 is dead\n");
    assert_eq!(first.0.read(&mut [0; 1]).unwrap_or(0), 0);
    assert!(TcpStream::connect(("127.0.0.1", ports[0])).is_err());
}

#[test]
fn a_request_without_sense_ends_its_connection() {
    let ports = start().expect("started");
    for bad in ["GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n".to_owned(), "x".repeat(70_000)] {
        let mut client = Client::connect(ports[0]);
        // The origin may close before it has read it all.
        let _ = client.0.get_mut().write_all(bad.as_bytes());
        assert_eq!(client.0.read(&mut [0; 1]).unwrap_or(0), 0);
    }
    assert_eq!(Client::connect(ports[0]).get("/"), "hello from server 1\n");
}
