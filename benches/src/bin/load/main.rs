//! What `benches/compare` puts on a proxy where wrk cannot: TLS handshakes, TCP and WebSocket, and
//! the origins behind them. One thread with one poll, because many threads on the one core that
//! load and origin share would spend it on switching instead of keeping the proxy busy.
//!
//! ```text
//! load origin-tcp --port N       echoes or pours, as the first byte of a connection chooses
//! load origin-ws  --port N       upgrades and echoes frames
//! load full|resumed       --port N --connections N --seconds S    one request a TLS connection
//! load pingpong|bulk      --port N --connections N --seconds S
//! load websocket          --port N --connections N --seconds S
//! ```
//!
//! A load ends after `--seconds`, or at its first error, and prints one line of JSON: the units
//! that were completed, what else it counted, and the error or null.
#![forbid(unsafe_code)]

mod client;
mod exchanges;
mod handshake;
mod origin;
mod websocket;

use client::{Outcome, Plan};
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

const CONNECTIONS_MAX: usize = 1024;
const SECONDS_MAX: f64 = 600.0;

/// The command line, decoded.
struct Options {
    port: u16,
    connections: usize,
    seconds: f64,
}

fn options(mut rest: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options { port: 0, connections: 64, seconds: 1.0 };
    while let Some(name) = rest.next() {
        let value = rest.next().ok_or_else(|| format!("{name} needs a value"))?;
        let known = match name.as_str() {
            "--port" => value.parse().map(|port| options.port = port).is_ok(),
            "--connections" => value.parse().map(|count| options.connections = count).is_ok(),
            "--seconds" => value.parse().map(|seconds| options.seconds = seconds).is_ok(),
            _ => return Err(format!("unknown option {name}")),
        };
        if !known {
            return Err(format!("{name} cannot be {value}"));
        }
    }
    if options.port == 0
        || !(1..=CONNECTIONS_MAX).contains(&options.connections)
        || !(0.0..=SECONDS_MAX).contains(&options.seconds)
    {
        return Err(format!(
            "--port must be given, --connections be 1 to {CONNECTIONS_MAX}, \
             --seconds 0 to {SECONDS_MAX}"
        ));
    }
    Ok(options)
}

fn run(mode: &str, options: &Options) -> io::Result<Outcome> {
    let plan = Plan {
        port: options.port,
        connections: options.connections,
        time: Duration::from_secs_f64(options.seconds),
    };
    match mode {
        "pingpong" => client::run(&plan, |_| exchanges::PingPong::default()),
        "bulk" => client::run(&plan, |_| exchanges::Bulk::default()),
        "websocket" => client::run(&plan, |_| exchanges::WebSocket::default()),
        "full" | "resumed" => {
            let clients = handshake::clients(mode == "resumed", options.connections)?;
            client::run(&plan, |slot| handshake::Handshake::new(clients[slot].clone()))
        }
        _ => Err(io::Error::other(format!("unknown mode {mode}"))),
    }
}

fn report(outcome: &Outcome) -> io::Result<()> {
    let error = match &outcome.error {
        Some(error) => format!("\"{}\"", error.replace(['"', '\\', '\n'], " ")),
        None => "null".to_owned(),
    };
    let tally = outcome.tally;
    writeln!(
        io::stdout(),
        "{{\"units\": {}, \"bytes\": {}, \"full\": {}, \"resumed\": {}, \"duration_us\": {}, \
         \"error\": {error}}}",
        tally.units,
        tally.bytes,
        tally.full,
        tally.resumed,
        outcome.time.as_micros()
    )
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let mode = arguments.next().unwrap_or_default();
    let options = match options(arguments) {
        Ok(options) => options,
        Err(text) => {
            // Nobody is left to tell when standard error is closed.
            let _ = writeln!(io::stderr(), "load: {text}");
            return ExitCode::from(2);
        }
    };
    let ended = match mode.as_str() {
        "origin-tcp" => origin::serve(options.port, origin::Kind::Tcp),
        "origin-ws" => origin::serve(options.port, origin::Kind::WebSocket),
        _ => run(&mode, &options).and_then(|outcome| report(&outcome)),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "load: {error}");
            ExitCode::FAILURE
        }
    }
}
