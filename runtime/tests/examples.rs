//! Every file in `examples/` is checked, served, and does what its comments say.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "clients and servers are threads with plain std sockets"
)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// One request and what must stand in its answer.
struct Ask {
    /// The port of the listener, as the file says it.
    port: u16,
    request: &'static str,
    host: &'static str,
    /// Further fields, each with its line end.
    fields: &'static str,
    expected: &'static [&'static str],
}

const fn ask(request: &'static str, host: &'static str, expected: &'static [&str]) -> Ask {
    Ask { port: 8080, request, host, fields: "", expected }
}

/// What each file promises; servers answer `server PORT got METHOD PATH`.
fn promises(file: &str) -> Vec<Ask> {
    match file {
        "http.toml" => vec![
            ask("GET /x?y", "any.example", &["200", "server 900", "got GET /x?y\n"]),
            ask("GET /", "any.example", &["200", "server 900"]),
        ],
        "sticky.toml" => vec![
            ask("GET /", "shop.example", &["200", "set-cookie: tg_shop="]),
            Ask {
                fields: "Cookie: tg_shop=b\r\n",
                ..ask("GET /", "shop.example", &["200", "server 9002 got"])
            },
            Ask {
                fields: "Cookie: tg_shop=a\r\n",
                ..ask("GET /", "shop.example", &["200", "server 9001 got"])
            },
            // Drained: another server, and its cookie.
            Ask {
                fields: "Cookie: tg_shop=c\r\n",
                ..ask("GET /", "shop.example", &["200", "set-cookie: tg_shop="])
            },
        ],
        "routes.toml" => vec![
            ask("GET /", "www.example.com", &["200", "server 9001 got GET /\n", "server: test"]),
            ask("GET /apis", "www.example.com", &["200", "server 9001"]),
            ask("GET /api/x", "www.example.com", &["server 9002", "x-env production"]),
            ask("POST /api", "www.example.com", &["server 9003 got POST /api\n"]),
            ask("GET /users/7/avatar", "www.example.com", &["server 9003"]),
            ask("GET /users/x/avatar", "www.example.com", &["server 9001"]),
            ask("GET /", "a.tenants.example.com", &["server 9001"]),
            ask("GET /", "a.b.tenants.example.com", &["404"]),
            ask("GET /x?y", "example.com", &["308", "location: http://www.example.com:8080/x?y"]),
            ask("GET /old-prices", "www.example.com", &["301", "www.example.com/prices"]),
            ask("GET /.git/config", "www.example.com", &["404"]),
            ask("GET /", "nobody.example", &["404"]),
            Ask { port: 8081, ..ask("GET /", "nobody.example", &["200", "server 9002"]) },
        ],
        "timeouts-and-limits.toml" => vec![
            ask("GET /", "any.example", &["200", "server 9001"]),
            ask("GET /reports/1", "any.example", &["200", "server 9002"]),
            Ask {
                fields: "Content-Length: 10485761\r\n",
                ..ask("POST /", "any.example", &["413"])
            },
        ],
        _ => panic!("what does {file} promise? say it here"),
    }
}

/// A server on a free port that says which one it stands for.
fn start_server(stands_for: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || serve(stream.expect("a connection"), stands_for));
        }
    });
    port
}

fn serve(stream: TcpStream, stands_for: u16) {
    let mut writer = stream.try_clone().expect("cloned");
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    while let Some(line) = lines.next() {
        let request = line.trim_end_matches(" HTTP/1.1").to_owned();
        let fields: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
        let env = fields.iter().find_map(|line| line.strip_prefix("X-Env: ")).unwrap_or("none");
        let body = format!("server {stands_for} got {request}\nx-env {env}\n");
        let head = format!("HTTP/1.1 200 OK\r\nServer: test\r\nContent-Length: {}\r\n", body.len());
        if write!(writer, "{head}\r\n{body}").is_err() {
            return;
        }
    }
}

fn free_port() -> u16 {
    let holder = TcpListener::bind("127.0.0.1:0").expect("a port");
    holder.local_addr().expect("bound").port()
}

/// The text with every port of 127.0.0.1 in its values replaced; servers are started.
fn elsewhere(text: &str) -> (String, BTreeMap<u16, u16>) {
    const HOST: &str = "127.0.0.1:";
    let mut ports = BTreeMap::new();
    let mut moved = String::new();
    for line in text.lines() {
        let mut rest = line;
        while let Some(at) = rest.find(HOST) {
            let (before, after) = rest.split_at(at + HOST.len());
            let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
            let port: u16 = after[..digits].parse().expect("a port");
            let new = ports.entry(port).or_insert_with(|| match port {
                9000.. => start_server(port),
                _ => free_port(),
            });
            moved.push_str(&format!("{before}{new}"));
            rest = &after[digits..];
        }
        moved.push_str(rest);
        moved.push('\n');
    }
    (moved, ports)
}

/// A running proxy; dropped, it is killed.
struct Proxy(Child);

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn connect(port: u16) -> TcpStream {
    let end = Instant::now() + PATIENCE;
    loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => return stream,
            Err(error) => assert!(Instant::now() < end, "nobody listens: {error}"),
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// The whole answer, its head in lower case.
fn fetch(port: u16, ask: &Ask) -> String {
    let mut stream = connect(port);
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    let Ask { request, host, fields, .. } = ask;
    write!(stream, "{request} HTTP/1.1\r\nHost: {host}\r\n{fields}Connection: close\r\n\r\n")
        .expect("sent");
    let mut reader = BufReader::new(stream);
    let (mut head, mut line) = (String::new(), String::new());
    while line != "\r\n" {
        line.clear();
        assert_ne!(reader.read_line(&mut line).expect("an answer"), 0, "{head}");
        head.push_str(&line.to_lowercase());
    }
    std::io::Read::read_to_string(&mut reader, &mut head).expect("a body");
    head
}

fn examples() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let files = std::fs::read_dir(directory).expect("examples");
    let files = files.map(|file| file.expect("a file").path());
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|is| is == "toml")).collect();
    files.sort();
    files
}

fn tidegate(arguments: &[&str], file: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.args(arguments).arg("-c").arg(file);
    command
}

#[test]
fn every_example_does_what_it_says() {
    let files = examples();
    assert!(files.len() >= 4, "{files:?}");
    let directory = std::env::temp_dir().join(format!("tidegate-examples-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("made");
    for path in files {
        let name = path.file_name().and_then(|name| name.to_str()).expect("UTF-8");
        let check = tidegate(&["check"], &path).output().expect("run");
        let said = String::from_utf8_lossy(&check.stderr);
        assert!(check.status.success() && said.is_empty(), "{name}: {said}");

        let (text, ports) = elsewhere(&std::fs::read_to_string(&path).expect("read"));
        let file = directory.join(name);
        std::fs::write(&file, text).expect("written");
        let mut command = tidegate(&["serve"], &file);
        command.stdout(Stdio::null()).current_dir(&directory);
        let _proxy = Proxy(command.spawn().expect("started"));
        for ask in promises(name) {
            let answer = fetch(ports[&ask.port], &ask);
            for expected in ask.expected {
                let found = match expected.parse::<u16>() {
                    Ok(status) => answer.starts_with(&format!("http/1.1 {status} ")),
                    Err(_) => answer.contains(expected),
                };
                assert!(found, "{name}: {}: {expected} is not in\n{answer}", ask.request);
            }
        }
        // What an answer shows of the server is what a route was told to remove.
        if name == "routes.toml" {
            let removed = fetch(ports[&8080], &ask("GET /api", "www.example.com", &[]));
            assert!(!removed.contains("\r\nserver: "), "{removed}");
        }
    }
    std::fs::remove_dir_all(directory).expect("removed");
}
