//! Configurations that the command line makes: the demo, and `--from`/`--to`.

use std::fmt::Write;

/// The ports that `serve --demo --print-config` shows; `serve --demo` itself takes free ones.
pub const DEMO_PORTS: [u16; 3] = [8081, 8082, 8083];

/// The demo's configuration, before built-in servers on these ports of 127.0.0.1.
pub fn demo_config(ports: [u16; 3]) -> String {
    let mut servers = String::new();
    for (port, id) in ports.into_iter().zip(["one", "two", "three"]) {
        let _ = writeln!(servers, "  {{ addr = \"127.0.0.1:{port}\", id = \"{id}\" }},");
    }
    format!(
        "workers = 1
max_connections = 1000
buffers = {{ count = 512 }}

[log]
format = \"text\"

[listener.demo]
bind = \"127.0.0.1:8080\"

[cluster.demo]
servers = [
{servers}]

[[route]]
to = \"demo\"
"
    )
}

/// Connections of a proxy without a file: with their servers' they fit into 4096 descriptors,
/// which any machine gives, and a first try is not refused (RUN-6).
const QUICK_CONNECTIONS: usize = 2000;

/// One listener on `from` before the servers `to`, as `serve --from ADDR --to HOST:PORT...` asks.
/// What cannot be an address is reported when the text is loaded.
pub fn quick_config(from: &str, to: &[String]) -> String {
    let servers: Vec<String> = to.iter().map(|server| quote(server)).collect();
    format!(
        "max_connections = {QUICK_CONNECTIONS}\n\n[listener.from]\nbind = {}\n\n\
         [cluster.to]\nservers = [{}]\n\n[[route]]\nto = \"to\"\n",
        quote(from),
        servers.join(", ")
    )
}

/// `text` as a TOML string on one line.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
