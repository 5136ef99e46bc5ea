//! The table of SES-3: how each timer is started, and what its one outcome is.

use super::support::{rig_of, simple_config};
use std::time::Duration;
use tidegate_core::config::{FixedAnswer, PathRule, Route, Settings, Target, Timeouts};
use tidegate_core::event::Timer;
use tidegate_core::id::SocketId;
use tidegate_core::time::Time;
use tidegate_proptests::memory::Rig;

pub(crate) const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const FIXED: &[u8] = b"GET /fixed HTTP/1.1\r\nHost: a\r\n\r\n";
pub(crate) const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000\r\n\r\nbody";
const EXPECT: &[u8] =
    b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
pub(crate) const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\nbegin";
/// Longer than what is tested.
const OTHERS: Duration = Duration::from_secs(100_000);

/// A timer has been started: since when, and for whom.
pub(crate) struct Armed {
    pub(crate) since: Time,
    pub(crate) client: SocketId,
}

/// The one outcome of a timer.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// An answer with this status, and its name in the record.
    Answer(u16),
    /// The client's connection is closed within a response, and the record names the timer.
    Cut,
    /// The client's connection is closed without a byte or a record.
    Silence,
    /// The client notices nothing; a connection to a server is closed.
    ServerClosed,
}

/// A row of SES-3's table.
pub(crate) struct Row {
    pub(crate) what: &'static str,
    /// The key of the configuration.
    pub(crate) key: &'static str,
    pub(crate) timer: Timer,
    /// Brings a proxy to where the timer has just been started, or was a while ago.
    pub(crate) arm: fn(&mut Rig) -> Armed,
    pub(crate) outcome: Outcome,
}

pub(crate) fn rig(key: &str, span: Duration, start: u64) -> Rig {
    let mut config = simple_config();
    Timeouts::NAMES.iter().for_each(|name| assert!(config.timeouts.set(name, OTHERS)));
    assert!(config.timeouts.set(key, span));
    let fixed = Target::Answer(FixedAnswer { status: 200, body: None });
    let path = PathRule::Exact("/fixed".into());
    config.routes.push(Route { path, to: fixed, ..Route::to_cluster("app") });
    config.limits.head_bytes = 2048;
    config.limits.target_bytes = 1024;
    let settings = Settings {
        buffer_bytes: 2048,
        buffers_max: 2,
        zombie_check_interval: OTHERS,
        ..Settings::default()
    };
    let mut rig = rig_of(settings, config);
    rig.now = Time(start);
    rig.turn();
    rig
}

fn pass(rig: &mut Rig) {
    rig.now = rig.now.after(Duration::from_micros(137));
    rig.turn();
}

pub(crate) fn server(rig: &Rig) -> SocketId {
    rig.kernel.connected.last().expect("a connection to the server").0
}

/// The timer has just been started.
fn armed(rig: &Rig, client: SocketId) -> Armed {
    Armed { since: rig.now, client }
}

/// A client that has sent `bytes`, a moment after it connected.
pub(crate) fn sent(rig: &mut Rig, bytes: &[u8]) -> SocketId {
    let client = rig.connect();
    pass(rig);
    rig.feed(client, bytes);
    client
}

fn first_head(rig: &mut Rig, bytes: &[u8]) -> Armed {
    let since = rig.now;
    let client = sent(rig, bytes);
    pass(rig);
    Armed { since, client }
}

fn next_head(rig: &mut Rig) -> Armed {
    let client = sent(rig, FIXED);
    pass(rig);
    rig.feed(client, b"G");
    let since = rig.now;
    pass(rig);
    rig.feed(client, b"ET / HTTP/1.1\r\nHost: a\r\nX: ");
    Armed { since, client }
}

fn slow_reader(rig: &mut Rig) -> Armed {
    let client = sent(rig, GET);
    rig.kernel.wire(client).room = 3;
    pass(rig);
    rig.feed(server(rig), RESPONSE);
    armed(rig, client)
}

fn slow_server(rig: &mut Rig) -> Armed {
    rig.kernel.server.room = 10;
    let client = sent(rig, POST);
    armed(rig, client)
}

pub(crate) fn connecting(rig: &mut Rig) -> Armed {
    rig.kernel.server.connecting = true;
    let client = sent(rig, GET);
    armed(rig, client)
}

fn interim(rig: &mut Rig) -> Armed {
    let client = sent(rig, GET);
    let since = rig.now;
    for bytes in [&b"HTTP/1.1 103 Hi\r\n\r\n"[..], b"HTTP/1.1 100 Go\r\n\r\n", b"HTTP/1.1 2"] {
        pass(rig);
        rig.feed(server(rig), bytes);
    }
    Armed { since, client }
}

fn cut_body(rig: &mut Rig) -> Armed {
    let client = sent(rig, GET);
    rig.feed(server(rig), RESPONSE);
    pass(rig);
    rig.feed(server(rig), b"progress");
    armed(rig, client)
}

fn pooled(rig: &mut Rig) -> Armed {
    let client = sent(rig, GET);
    pass(rig);
    rig.feed(server(rig), b"HTTP/1.1 204 No\r\n\r\n");
    armed(rig, client)
}

fn stopped(rig: &mut Rig) -> Armed {
    let client = sent(rig, GET);
    rig.feed(server(rig), RESPONSE);
    pass(rig);
    rig.proxy.advance(rig.now);
    rig.proxy.stop();
    rig.turn();
    armed(rig, client)
}

/// A sender that was suspended while the other side did not read, and is waited for again.
fn resumed_server(rig: &mut Rig) -> Armed {
    let client = sent(rig, GET);
    rig.kernel.wire(client).room = 0;
    rig.feed(server(rig), RESPONSE);
    rig.advance_to(rig.now.after(Duration::from_secs(3600)));
    rig.make_room(client, usize::MAX);
    armed(rig, client)
}

fn resumed_client(rig: &mut Rig) -> Armed {
    rig.kernel.server.room = 0;
    let client = sent(rig, POST);
    rig.advance_to(rig.now.after(Duration::from_secs(3600)));
    rig.make_room(server(rig), usize::MAX);
    armed(rig, client)
}

pub(crate) const TABLE: &[Row] = &[
    Row {
        what: "no byte at all",
        key: "request_head",
        timer: Timer::RequestHead,
        arm: |rig| {
            let client = rig.connect();
            armed(rig, client)
        },
        outcome: Outcome::Silence,
    },
    Row {
        what: "an empty line is no byte of a request",
        key: "request_head",
        timer: Timer::RequestHead,
        arm: |rig| first_head(rig, b"\r\n"),
        outcome: Outcome::Silence,
    },
    Row {
        what: "half a first head, from the session's start",
        key: "request_head",
        timer: Timer::RequestHead,
        arm: |rig| first_head(rig, b"GET / HT"),
        outcome: Outcome::Answer(408),
    },
    Row {
        what: "half a HEAD",
        key: "request_head",
        timer: Timer::RequestHead,
        arm: |rig| first_head(rig, b"HEAD / HT"),
        outcome: Outcome::Answer(408),
    },
    Row {
        what: "half a further head, from its first byte",
        key: "request_head",
        timer: Timer::RequestHead,
        arm: next_head,
        outcome: Outcome::Answer(408),
    },
    Row {
        what: "idle between requests",
        key: "keep_alive",
        timer: Timer::KeepAlive,
        arm: |rig| {
            let client = sent(rig, FIXED);
            armed(rig, client)
        },
        outcome: Outcome::Silence,
    },
    Row {
        what: "half a body",
        key: "client_idle",
        timer: Timer::ClientIdle,
        arm: |rig| {
            let client = sent(rig, POST);
            pass(rig);
            rig.feed(client, b"progress");
            armed(rig, client)
        },
        outcome: Outcome::Answer(408),
    },
    Row {
        what: "suspended while the server did not read",
        key: "client_idle",
        timer: Timer::ClientIdle,
        arm: resumed_client,
        outcome: Outcome::Answer(408),
    },
    Row {
        what: "a client that does not read",
        key: "client_idle",
        timer: Timer::ClientIdle,
        arm: slow_reader,
        outcome: Outcome::Cut,
    },
    Row {
        what: "an attempt",
        key: "connect",
        timer: Timer::Connect,
        arm: connecting,
        outcome: Outcome::ServerClosed,
    },
    Row {
        what: "a silent server",
        key: "backend_response",
        timer: Timer::BackendResponse,
        arm: |rig| {
            let client = sent(rig, GET);
            armed(rig, client)
        },
        outcome: Outcome::Answer(504),
    },
    Row {
        what: "interim responses and half a head do not extend it",
        key: "backend_response",
        timer: Timer::BackendResponse,
        arm: interim,
        outcome: Outcome::Answer(504),
    },
    Row {
        what: "a server that does not say 100",
        key: "backend_response",
        timer: Timer::BackendResponse,
        arm: |rig| {
            let client = sent(rig, EXPECT);
            armed(rig, client)
        },
        outcome: Outcome::Answer(504),
    },
    Row {
        what: "half a response",
        key: "backend_idle",
        timer: Timer::BackendIdle,
        arm: cut_body,
        outcome: Outcome::Cut,
    },
    Row {
        what: "suspended while the client did not read",
        key: "backend_idle",
        timer: Timer::BackendIdle,
        arm: resumed_server,
        outcome: Outcome::Cut,
    },
    Row {
        what: "a server that does not read",
        key: "backend_idle",
        timer: Timer::BackendIdle,
        arm: slow_server,
        outcome: Outcome::Answer(504),
    },
    Row {
        what: "an idle pooled connection",
        key: "backend_keep_alive",
        timer: Timer::BackendKeepAlive,
        arm: pooled,
        outcome: Outcome::ServerClosed,
    },
    Row {
        what: "a client that stays behind a final answer",
        key: "linger",
        timer: Timer::Linger,
        arm: |rig| {
            let client = sent(rig, b"bad\0");
            armed(rig, client)
        },
        outcome: Outcome::Silence,
    },
    Row {
        what: "a graceful stop",
        key: "drain",
        timer: Timer::Drain,
        arm: stopped,
        outcome: Outcome::Cut,
    },
];
