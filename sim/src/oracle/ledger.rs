//! The ledger: what was asked, what reached whom, and what came back.

mod ask;

use super::own::Text;
use super::passage::Hello;
use super::proxy::{Announcement, Preface};
use crate::kernel::{Ep, Net, client_address};
use crate::layer::Facts;
use crate::refhttp::{Kind, MessageReader};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use tidegate_core::effect::Close;
use tidegate_core::event::Ending;

pub use ask::{Ask, Edge, Flaw, Method};

/// One emission of a request towards a backend.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Index of the backend connection.
    pub back: u32,
    /// Where it starts in the connection's stream.
    pub start: u64,
    /// When its head was emitted.
    pub at: u64,
    /// Bytes of body emitted.
    pub body: u64,
    /// Where it ends, once its last byte was emitted.
    pub end: Option<u64>,
    /// When its last byte was emitted.
    pub ended_at: u64,
    /// Whether it was sent on a connection that had carried another.
    pub is_reused: bool,
    /// Bytes that the proxy had read from the connection before.
    pub read_before: u64,
    /// The number that its server was told as the id of the request, if it is one.
    pub told_id: Option<u128>,
    /// The response that the backend decided on.
    pub plan: Option<u32>,
}

/// What a backend decided to answer.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its status.
    pub status: u16,
    /// Bytes of body that make it complete.
    pub body: u64,
    /// Whether it lacks a body whatever its head says.
    pub is_bodyless: bool,
    /// Interim responses before it.
    pub interims: u32,
    /// What the backend does wrong, if anything.
    pub fault: BackFault,
    /// Whether it may begin before the request is whole.
    pub is_early: bool,
    /// Whether the end of the body is that of the connection.
    pub is_by_close: bool,
    /// Whether the connection ended without the close_notify that TLS demands.
    pub is_unsaid: bool,
    /// Whether the response ends with its connection.
    pub until_close: bool,
    /// Offset in the backend's stream behind its last byte, once that was written; of a 101, where
    /// the tunnel begins.
    pub end: Option<u64>,
}

/// What a backend does wrong in one response.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum BackFault {
    /// Nothing.
    None,
    /// It closes before the body is complete.
    Truncates,
    /// It resets before the body is complete.
    Resets,
    /// It resets or closes instead of answering.
    Vanishes,
    /// Its head is not HTTP.
    BadHead,
    /// Its last chunk is none.
    BadChunk,
    /// It never goes on.
    Stalls,
    /// More interim responses than anybody may send.
    InterimStorm,
    /// Bytes behind the end of the response.
    Garbage,
}

impl BackFault {
    /// Whether its body never becomes complete.
    pub fn cuts_body(self) -> bool {
        matches!(self, BackFault::Truncates | BackFault::Resets | BackFault::BadChunk)
    }

    /// Whether a client may be told 502 because of it.
    pub fn breaks_head(self) -> bool {
        matches!(self, BackFault::Vanishes | BackFault::BadHead | BackFault::InterimStorm)
    }
}

/// The final response to a request, as emitted to its client.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Which plan it carries; `None` for the proxy's own answers.
    pub serial: Option<u32>,
    /// When its head was emitted.
    pub at: u64,
    /// When its first byte was, or would have been had there been room.
    pub begun_at: u64,
    /// Bytes of body emitted.
    pub body: u64,
    /// Where it ends in the client's stream, once complete.
    pub end: Option<u64>,
    /// When it was complete.
    pub ended_at: u64,
    /// Whether its head lets the connection be used again.
    pub keeps: bool,
    /// What its body must be, if it is the proxy's own.
    pub wanted: Text,
    /// The id that it says, if it is the proxy's own.
    pub request_id: Option<u128>,
    /// Its body so far, if it is the proxy's own.
    pub text: Vec<u8>,
}

/// What the access record said of a request.
#[derive(Copy, Clone, Debug)]
pub struct Recorded {
    /// When it came.
    pub at: u64,
    /// Final status, 0 for none.
    pub status: u16,
    /// How it ended.
    pub ending: Ending,
    /// Connection attempts.
    pub attempts: u8,
    /// Index into the oracle's list of versions.
    pub version: u64,
}

/// One request.
pub struct Row {
    /// What was asked.
    pub ask: Ask,
    /// Index of the client connection it came on.
    pub front: u32,
    /// Where it starts in the client's stream.
    pub start: u64,
    /// Where its head ends, once that was written.
    pub head_end: Option<u64>,
    /// Where it ends, once its last byte was written.
    pub end: Option<u64>,
    /// When the proxy read its first byte.
    pub first_read_at: Option<u64>,
    /// When the proxy read the last byte of its head.
    pub head_read_at: Option<u64>,
    /// When the proxy last read a byte of it.
    pub last_read_at: u64,
    /// When the proxy read its last byte.
    pub all_read_at: Option<u64>,
    /// Each emission to a backend.
    pub attempts: Vec<Attempt>,
    /// Each response decided on.
    pub plans: Vec<Plan>,
    /// Interim responses emitted to the client.
    pub interims: u32,
    /// Whether 100 was among them.
    pub is_continued: bool,
    /// The final response.
    pub answer: Option<Answer>,
    /// Its head as clients may compare it, if heads are kept.
    pub shown: String,
    /// What the access log said.
    pub record: Option<Recorded>,
    /// When the client stopped caring, finished writing early, or reset.
    pub gave_up_at: Option<u64>,
    /// Sent after everything was healed: it must succeed.
    pub must_succeed: bool,
    /// What the client sent right behind a request for an upgrade: the next one, or a tunnel's
    /// first bytes.
    pub behind: Vec<u8>,
    /// The tunnel that it became.
    pub tunnel: Option<u32>,
    /// It was no request after all, but the first bytes of a tunnel.
    pub is_void: bool,
}

impl Row {
    /// What its server decided to answer to the attempt of this number, if it did.
    pub fn plan_of(&self, attempt: usize) -> Option<&Plan> {
        self.attempts[attempt].plan.map(|plan| &self.plans[plan as usize])
    }

    /// An interim response was emitted to the client.
    pub fn told(&mut self, status: u16) {
        self.interims += 1;
        self.is_continued |= status == 100;
    }

    /// A request of which nothing was written yet.
    pub fn new(ask: Ask, front: u32, start: u64) -> Row {
        Row {
            ask,
            front,
            start,
            head_end: None,
            end: None,
            first_read_at: None,
            head_read_at: None,
            last_read_at: 0,
            all_read_at: None,
            attempts: Vec::new(),
            plans: Vec::new(),
            interims: 0,
            is_continued: false,
            answer: None,
            shown: String::new(),
            record: None,
            gave_up_at: None,
            must_succeed: false,
            behind: Vec::new(),
            tunnel: None,
            is_void: false,
        }
    }
}

/// One response in a client's stream.
#[derive(Copy, Clone, Debug)]
pub struct SeenResponse {
    /// Its status.
    pub status: u16,
    /// Where its head ends.
    pub head_end: u64,
    /// Where it ends, once complete.
    pub end: Option<u64>,
    /// Whether the connection can be used again.
    pub keeps: bool,
}

/// A client's connection.
pub struct Front {
    /// Index of the client.
    pub client: u32,
    /// The proxy's end.
    pub ep: Ep,
    /// Its requests, in order.
    pub rows: Vec<u32>,
    /// How many of them have been answered whole.
    pub answered: usize,
    /// Reads what the proxy emits to it.
    pub reader: MessageReader,
    /// The responses that the proxy emitted.
    pub seen: Vec<SeenResponse>,
    /// When the proxy accepted it.
    pub accepted_at: Option<u64>,
    /// When the proxy last tried to read from it.
    pub tried_at: u64,
    /// Since when the proxy has known that the next request waits there, and not tried to read it.
    pub knocks_since: Option<u64>,
    /// When the client began to connect.
    pub begun_at: u64,
    /// When the proxy first read from it.
    pub served_at: Option<u64>,
    /// When the proxy first tried to write the response that is under way.
    pub response_begun_at: Option<u64>,
    /// When a write had last taken less than it was offered by then.
    pub stalled_before: Option<u64>,
    /// Bytes the proxy read.
    pub read: u64,
    /// When and how the proxy closed it.
    pub closed: Option<(u64, Close)>,
    /// How many rows the reads have reached.
    pub rows_read: usize,
    /// Whether the last response told the client to go.
    pub last_response_closes: bool,
    /// When the client's end closed, reset or finished writing.
    pub left_at: Option<u64>,
    /// When a write to it last took less than it was offered.
    pub stalled_at: Option<u64>,
    /// Whether the client reads slowly, so that its window may stay closed.
    pub is_slow: bool,
    /// The client's address.
    pub address: SocketAddr,
    /// The PROXY header that the client sends first.
    pub announced: Option<Announcement>,
    /// What its stream begins with, where that is looked into.
    pub hello: Option<Hello>,
    /// Whether the proxy told that its handshake failed.
    pub has_failed_tls: bool,
    /// Whether something of it reached a server.
    pub is_let_in: bool,
    /// Whether bytes pass as they are from the start.
    pub is_tcp: bool,
    /// The tunnel that its bytes belong to.
    pub tunnel: Option<u32>,
    /// The first bytes of a tunnel's stream, until they name its speaker.
    pub tag: Vec<u8>,
    /// Number of the listener.
    pub listener: usize,
    /// What the client's TLS knows, if it speaks any.
    pub tls: Option<Rc<RefCell<Facts>>>,
    /// Whether the last write took less than it was offered.
    pub is_short: bool,
    /// When the proxy had all of the client's handshake.
    pub secured_at: Option<u64>,
    /// Bytes of the client's handshake that the proxy has, and since when. Where its own last
    /// records leave in pieces, the client knows later than the proxy that it is complete.
    pub handshake: (u64, u64),
}

impl Front {
    /// A connection that `client` begins; `ep` is the proxy's end.
    pub fn new(client: u32, ep: Ep) -> Front {
        Front {
            client,
            ep,
            rows: Vec::new(),
            answered: 0,
            reader: MessageReader::new(Kind::Response),
            seen: Vec::new(),
            accepted_at: None,
            tried_at: 0,
            knocks_since: None,
            begun_at: 0,
            served_at: None,
            response_begun_at: None,
            stalled_before: None,
            read: 0,
            closed: None,
            rows_read: 0,
            last_response_closes: false,
            left_at: None,
            stalled_at: None,
            is_slow: false,
            listener: 0,
            address: client_address(client, 0),
            announced: None,
            hello: None,
            has_failed_tls: false,
            is_let_in: false,
            is_tcp: false,
            tunnel: None,
            tag: Vec::new(),
            tls: None,
            is_short: false,
            secured_at: None,
            handshake: (0, 0),
        }
    }
}

impl Front {
    /// What the client's TLS knows now.
    pub fn facts(&self) -> Option<Facts> {
        self.tls.as_ref().map(|facts| *facts.borrow())
    }

    /// Whether it is open, and nothing came that the proxy has not read before `now`. Whoever the
    /// proxy tried to read from just now may be about to ask.
    pub fn is_silent(&self, net: &Net, now: u64) -> bool {
        let end = net.ep(self.ep);
        let is_open = self.closed.is_none() && !end.is_reset();
        is_open && self.tried_at < now && end.unread() == 0 && !end.has_fin()
    }
}

/// One request in a backend's stream.
#[derive(Copy, Clone, Debug)]
pub struct SeenRequest {
    /// Its row.
    pub row: u32,
    /// Index in the row's attempts.
    pub attempt: usize,
    /// Where its head ends.
    pub head_end: u64,
    /// Where it ends, once complete.
    pub end: Option<u64>,
}

/// A connection to a backend.
pub struct Back {
    /// Index of the server.
    pub server: u16,
    /// The proxy's end.
    pub ep: Ep,
    /// Reads what the proxy emits to it.
    pub reader: MessageReader,
    /// The requests that the proxy emitted.
    pub seen: Vec<SeenRequest>,
    /// The attempt that it came from.
    pub dial: u32,
    /// When connecting began.
    pub connect_at: u64,
    /// When the proxy closed it.
    pub closed_at: Option<u64>,
    /// Why it must not be reused: what the proxy was told of it, and when.
    pub spoiled: Option<(u64, &'static str)>,
    /// Why it should not carry the message whose first byte is tried, if it should not.
    pub doubt: Option<&'static str>,
    /// Whether the backend wrote bytes that belong to no response.
    pub has_garbage: bool,
    /// Whether it failed before it carried a byte.
    pub has_failed: bool,
    /// Whether the proxy was shown its end, or a reset.
    pub has_shown_end: bool,
    /// When the proxy last read from it.
    pub last_read_at: u64,
    /// Since when the proxy knows of bytes that wait there: it was told of them, or stopped reading
    /// before the last of them.
    pub waits_since: Option<u64>,
    /// Whether the proxy closed it before there was an answer to its SYN.
    pub is_unanswered: bool,
    /// Whether it was closed on bytes that the proxy had known of, and had not read.
    pub left_unread: bool,
    /// The PROXY header that it begins with.
    pub preface: Preface,
    /// Whether its server speaks no HTTP.
    pub is_tcp: bool,
    /// The tunnel that its bytes belong to.
    pub tunnel: Option<u32>,
    /// The first bytes of a tunnel's stream, until they name its speaker.
    pub tag: Vec<u8>,
    /// What the server's TLS knows, if it speaks any.
    pub tls: Option<Rc<RefCell<Facts>>>,
    /// Whether the last write took less than it was offered.
    pub is_short: bool,
}

impl Back {
    /// A connection to `server`; `ep` is the proxy's end.
    pub fn new(server: u16, ep: Ep, now: u64) -> Back {
        Back {
            server,
            ep,
            reader: MessageReader::new(Kind::Request),
            seen: Vec::new(),
            dial: 0,
            connect_at: now,
            closed_at: None,
            spoiled: None,
            doubt: None,
            has_garbage: false,
            has_failed: false,
            has_shown_end: false,
            last_read_at: now,
            waits_since: None,
            is_unanswered: false,
            left_unread: false,
            preface: Preface::default(),
            is_tcp: false,
            tunnel: None,
            tag: Vec::new(),
            tls: None,
            is_short: false,
        }
    }

    /// Whether a record of the server's was damaged, so that TLS must fail.
    pub fn is_damaged(&self) -> bool {
        self.tls.as_ref().is_some_and(|facts| facts.borrow().damaged.is_some())
    }

    /// What the server's TLS knows now.
    pub fn facts(&self) -> Option<Facts> {
        self.tls.as_ref().map(|facts| *facts.borrow())
    }
}
