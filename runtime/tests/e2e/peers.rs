//! Real peers: nginx as a server, the example's python handler, wrk as load. Where one is not
//! installed its test says so and passes, except with `CI=true`, where it fails.

use crate::backend::write_pattern;
use crate::client::{Client, get_once};
use crate::proxy::{Dir, Proxy, Setup, free_port, listening, wait_until};
use std::process::{Child, Command, Stdio};

/// A program that is ended with its owner.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The path of a program, or a reason to skip.
fn find(program: &str) -> Option<String> {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let found = path.split(':').map(|dir| format!("{dir}/{program}"));
    let found = found.into_iter().find(|path| std::fs::metadata(path).is_ok());
    if found.is_none() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{program} must be installed in CI");
        eprintln!("skipped: {program} is not installed (runtime/tests/install-peers.sh)");
    }
    found
}

fn start(command: &mut Command, port: u16) -> Running {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let running = Running(command.spawn().expect("the program starts"));
    wait_until("it listens", || listening(port) >= 1);
    running
}

/// An nginx that answers `/` with 1 KiB, in one process so that killing it kills all of it.
fn nginx(path: &str, dir: &Dir) -> (Running, u16) {
    let port = free_port();
    let root = dir.path("");
    let root = root.display();
    std::fs::write(dir.path("index.html"), "x".repeat(1024)).expect("a file");
    let conf = format!(
        "daemon off; master_process off; pid {root}/pid; error_log {root}/error;\n\
         events {{ }}\nhttp {{ access_log off; keepalive_requests 1000000;\n\
         client_body_temp_path {root}/b; proxy_temp_path {root}/p; fastcgi_temp_path {root}/f;\n\
         uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;\n\
         server {{ listen 127.0.0.1:{port}; root {root}; }} }}"
    );
    std::fs::write(dir.path("nginx.conf"), conf).expect("a file");
    let conf = dir.path("nginx.conf");
    let error = dir.path("error");
    let mut command = Command::new(path);
    command.arg("-c").arg(conf).arg("-e").arg(error);
    (start(&mut command, port), port)
}

fn origin(path: &str) -> (Running, u16) {
    let port = free_port();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/origin.py");
    let mut command = Command::new(path);
    command.args([script, "--port", &port.to_string()]);
    (start(&mut command, port), port)
}

fn upload(proxy: &Proxy, framing: &str, chunked: bool) -> serde_json::Value {
    const SIZE: u64 = 3 << 20;
    let mut client = Client::connect(proxy.port);
    client.send(format!("PUT /upload HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n"));
    write_pattern(&mut client.wire.stream, SIZE, chunked).expect("the proxy reads");
    serde_json::from_str(&client.response().expect("an answer").text()).expect("JSON")
}

// REQ-9: the python handler sees the same checksum both ways of framing.
#[test]
fn a_python_handler_takes_uploads() {
    let Some(python) = find("python3") else { return };
    let (_running, port) = origin(&python);
    let proxy = Setup::to(&[port]).start();
    let length = upload(&proxy, &format!("Content-Length: {}", 3 << 20), false);
    let chunks = upload(&proxy, "Transfer-Encoding: chunked", true);
    assert_eq!((&length["framing"], &chunks["framing"]), (&"length".into(), &"chunked".into()));
    assert_eq!(length["bytes"], 3 << 20);
    assert_eq!(length["sha256"], chunks["sha256"]);
    // RES-2 with a server of another make.
    get_once(proxy.port, "/bytes/100000?cut").expect_err("the last chunk never came");
}

#[test]
fn nginx_behind_and_wrk_in_front_agree() {
    let (Some(nginx_path), Some(wrk)) = (find("nginx"), find("wrk")) else { return };
    let dir = Dir::new();
    let (_running, port) = nginx(&nginx_path, &dir);
    let proxy = Setup::to(&[port]).start();
    let output = Command::new(wrk)
        .args(["-t1", "-c64", "-d2s"])
        .arg(format!("http://127.0.0.1:{}/", proxy.port))
        .output()
        .expect("wrk runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("requests in"), "{said}");
    assert!(!said.contains("Socket errors") && !said.contains("Non-2xx"), "{said}");
}
