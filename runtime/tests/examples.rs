//! Every file in `examples/` is checked, served, and does what its comments say.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "clients and servers are threads with plain std sockets"
)]

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
};
use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// What the request is sent through.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Through {
    Plain,
    Tls,
    /// Behind a PROXY header, version 1.
    Proxy,
}

/// One request and what must stand in its answer.
struct Ask {
    through: Through,
    /// The port of the listener, as the file says it.
    port: u16,
    request: &'static str,
    host: &'static str,
    /// Further fields, each with its line end.
    fields: &'static str,
    expected: &'static [&'static str],
}

const fn ask(request: &'static str, host: &'static str, expected: &'static [&str]) -> Ask {
    Ask { through: Through::Plain, port: 8080, request, host, fields: "", expected }
}

/// As [`ask`], by TLS, of the listener that passes for port 443.
const fn ask_tls(request: &'static str, host: &'static str, expected: &'static [&str]) -> Ask {
    Ask { through: Through::Tls, port: 8443, ..ask(request, host, expected) }
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
        _ => promises_beyond_http(file),
    }
}

/// As [`promises`], of files for TLS, TCP and what is built upon them.
fn promises_beyond_http(file: &str) -> Vec<Ask> {
    match file {
        "https.toml" => vec![
            ask_tls(
                "GET /x",
                "localhost",
                &["200", "server 9001 got GET /x\n", "x-forwarded-for 127."],
            ),
            ask_tls("GET /", "elsewhere.example", &["421"]),
            ask("GET /x?y", "localhost", &["308", "location: https://localhost:8443/x?y"]),
        ],
        "tcp.toml" => vec![ask(
            "GET /x",
            "any.example",
            &["200", "server 9001 got GET /x\n", "x-forwarded-for none"],
        )],
        "websocket.toml" => vec![
            ask("GET /", "any.example", &["200", "server 9001"]),
            ask("GET /chat/x", "any.example", &["200", "server 900"]),
            Ask {
                fields: "Upgrade: websocket\r\nConnection: Upgrade\r\n\
                         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
                ..ask(
                    "GET /chat/x",
                    "any.example",
                    &["101", "upgrade: websocket", "echo of frames"],
                )
            },
        ],
        "proxy-protocol.toml" => vec![
            Ask {
                through: Through::Proxy,
                ..ask("GET /", "any.example", &["200", "server 9001", "x-forwarded-for 192.0.2.7"])
            },
            Ask {
                port: 8081,
                ..ask("GET /", "any.example", &["200", "server 9002", "proxy 127.0.0.1"])
            },
        ],
        "sni-passthrough.toml" => vec![
            ask_tls("GET /", "a.example", &["200", "server 9001 got GET /\n"]),
            ask_tls("GET /", "x.b.example", &["200", "server 9002"]),
            ask_tls("GET /", "b.example", &["200", "server 9003"]),
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

/// A connection, by TLS where the client begins with it.
fn serve(stream: TcpStream, stands_for: u16) {
    let mut first = [0];
    if stream.peek(&mut first).is_ok() && first == [0x16] {
        let tls = ServerConnection::new(Arc::new(server_settings())).expect("settings");
        let mut stream = BufReader::new(StreamOwned::new(tls, stream));
        answer(&mut stream, stands_for);
        stream.get_mut().conn.send_close_notify();
        let _ = stream.get_mut().flush();
        return;
    }
    answer(&mut BufReader::new(stream), stands_for);
}

fn answer<S: Read + Write>(stream: &mut BufReader<S>, stands_for: u16) {
    let Some(proxy) = proxy_header(stream) else { return };
    loop {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            match stream.read_line(&mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) if line == "\r\n" => break,
                Ok(_) => lines.push(line.trim_end().to_owned()),
            }
        }
        let field = |name: &str| {
            let value = lines.iter().find_map(|line| line.strip_prefix(name));
            value.unwrap_or("none").to_owned()
        };
        if field("Upgrade: ") == "websocket" {
            let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                        Upgrade: websocket\r\n\r\n";
            let mut frames = [0; 6];
            let said = stream.get_mut().write_all(head.as_bytes());
            if said.and_then(|()| stream.read_exact(&mut frames)).is_ok() {
                let _ = stream.get_mut().write_all(&[b"echo of ", &frames[..]].concat());
            }
            return;
        }
        let request = lines.first().map_or("", |line| line.trim_end_matches(" HTTP/1.1"));
        let (env, client) = (field("X-Env: "), field("X-Forwarded-For: "));
        let body = format!(
            "server {stands_for} got {request}\nx-env {env}\nx-forwarded-for {client}\nproxy {proxy}\n"
        );
        let head = format!("HTTP/1.1 200 OK\r\nServer: test\r\nContent-Length: {}\r\n", body.len());
        let sent = write!(stream.get_mut(), "{head}\r\n{body}");
        // Only a request that nobody proxied says it.
        if sent.is_err() || field("Connection: ") == "close" {
            return;
        }
    }
}

/// The client that a PROXY header of version 2 over IPv4 tells; `none` without one.
fn proxy_header<S: Read>(stream: &mut BufReader<S>) -> Option<String> {
    const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
    if !stream.fill_buf().ok()?.starts_with(b"\r") {
        return Some("none".to_owned());
    }
    let mut head = [0; 16];
    stream.read_exact(&mut head).ok()?;
    assert!(head.starts_with(SIGNATURE), "{head:?}");
    let mut rest = vec![0; usize::from(u16::from_be_bytes([head[14], head[15]]))];
    stream.read_exact(&mut rest).ok()?;
    Some(rest[..4].iter().map(u8::to_string).collect::<Vec<_>>().join("."))
}

/// A certificate for every name that the examples use, made once.
fn identity() -> &'static (String, String) {
    static IDENTITY: OnceLock<(String, String)> = OnceLock::new();
    IDENTITY.get_or_init(|| {
        let names = ["localhost", "a.example", "b.example", "*.b.example"];
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        (made.cert.pem(), made.signing_key.serialize_pem())
    })
}

fn provider() -> Arc<CryptoProvider> {
    #[cfg(feature = "aws-lc-rs")]
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(not(feature = "aws-lc-rs"))]
    let provider = rustls::crypto::ring::default_provider();
    Arc::new(provider)
}

fn certificate() -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(identity().0.as_bytes()).expect("a certificate")
}

fn server_settings() -> ServerConfig {
    let key = PrivateKeyDer::from_pem_slice(identity().1.as_bytes()).expect("a key");
    let builder = ServerConfig::builder_with_provider(provider());
    let builder = builder.with_safe_default_protocol_versions().expect("versions");
    builder.with_no_client_auth().with_single_cert(vec![certificate()], key).expect("settings")
}

/// A connection by TLS that asks for `name`.
fn tls_to(stream: TcpStream, name: &str) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate()).expect("a root");
    let builder = ClientConfig::builder_with_provider(provider());
    let builder = builder.with_safe_default_protocol_versions().expect("versions");
    let config = builder.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).expect("settings"), stream)
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
    match ask.through {
        Through::Plain => exchange(stream, ask),
        Through::Proxy => {
            stream.write_all(b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 80\r\n").expect("sent");
            exchange(stream, ask)
        }
        // A host that the certificate does not have is asked for under one that it has.
        Through::Tls if ask.host.starts_with("elsewhere") => {
            exchange(tls_to(stream, "localhost"), ask)
        }
        Through::Tls => exchange(tls_to(stream, ask.host), ask),
    }
}

fn exchange(mut stream: impl Read + Write, ask: &Ask) -> String {
    let Ask { request, host, fields, .. } = ask;
    let (close, frames) =
        if fields.contains("Upgrade") { ("", "frames") } else { ("Connection: close\r\n", "") };
    let head = format!("{request} HTTP/1.1\r\nHost: {host}\r\n{fields}{close}\r\n{frames}");
    stream.write_all(head.as_bytes()).expect("sent");
    let mut reader = BufReader::new(stream);
    let (mut head, mut line) = (String::new(), String::new());
    while line != "\r\n" {
        line.clear();
        assert_ne!(reader.read_line(&mut line).expect("an answer"), 0, "{head}");
        head.push_str(&line.to_lowercase());
    }
    reader.read_to_string(&mut head).expect("a body");
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
    assert!(files.len() >= 9, "{files:?}");
    let directory = std::env::temp_dir().join(format!("tidegate-examples-{}", std::process::id()));
    std::fs::create_dir_all(directory.join("tls")).expect("made");
    let (certificate, key) = identity();
    std::fs::write(directory.join("tls/site.pem"), certificate).expect("written");
    let key_file = directory.join("tls/site.key");
    std::fs::write(&key_file, key).expect("written");
    std::fs::set_permissions(&key_file, Permissions::from_mode(0o600)).expect("set");
    for path in files {
        let name = path.file_name().and_then(|name| name.to_str()).expect("UTF-8");
        // Checked as it is, beside the files that it names.
        let file = directory.join(name);
        std::fs::copy(&path, &file).expect("copied");
        let check = tidegate(&["check"], &file).output().expect("run");
        let said = String::from_utf8_lossy(&check.stderr);
        assert!(check.status.success() && said.is_empty(), "{name}: {said}");

        let (text, ports) = elsewhere(&std::fs::read_to_string(&path).expect("read"));
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
