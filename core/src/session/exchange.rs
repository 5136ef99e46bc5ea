//! One request, its attempts, its response, its access record: apart from the connection that
//! carries it, so that a connection can one day carry many.

use crate::backend::health::Attempt;
use crate::backend::{BackId, Pick, ServerId};
use crate::buffer::{Encoding, Pipe, Pool};
use crate::config::CONNECT_ATTEMPTS_MAX;
use crate::event::{AccessRecord, Phase};
use crate::http1::{BodyReader, HeadScanner};
use crate::session::state::State;
use crate::session::tunnel::Flow;
use crate::time::Time;
use crate::version::VersionId;

/// How far the response has come.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub(crate) enum ResponsePhase {
    /// Its head is not complete.
    #[default]
    Head,
    /// An interim response is on its way to the client; the next head waits behind it.
    Interim,
    /// The final head is produced, its body is not complete.
    Body,
    /// Every byte of it is produced.
    Done,
}

/// What the request's head said, as far as it matters after the head is gone.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct Facts {
    /// The method is HEAD.
    pub(crate) head_only: bool,
    /// The method is idempotent (RFC 9110 9.2.2).
    pub(crate) idempotent: bool,
    /// HTTP minor version.
    pub(crate) minor: u8,
    /// The client wants to keep its connection.
    pub(crate) persistent: bool,
    /// An upgrade to WebSocket was asked for, and the asking is sent on.
    pub(crate) upgrade: bool,
    /// `Expect: 100-continue` was sent on.
    pub(crate) expects_continue: bool,
    /// The client prefers JSON.
    pub(crate) accepts_json: bool,
}

/// One exchange. Recycled: its pipes keep their room.
pub(crate) struct Exchange {
    /// Client to server.
    pub(crate) request: Pipe,
    /// Server to client.
    pub(crate) response: Pipe,
    /// Promises of the pool not yet redeemed.
    pub(crate) promises: usize,
    /// Scans the request's head, then the response's.
    pub(crate) scanner: HeadScanner,
    pub(crate) request_body: BodyReader,
    pub(crate) request_encoding: Encoding,
    /// Payload bytes of the request so far, for `max_body`.
    pub(crate) request_payload: u64,
    pub(crate) phase: ResponsePhase,
    pub(crate) response_body: BodyReader,
    pub(crate) response_encoding: Encoding,
    /// Whether a byte came from the server for this attempt.
    pub(crate) response_begun: bool,
    /// The server's connection may carry another exchange after this one.
    pub(crate) back_persistent: bool,
    /// The client was told, or will be, that its connection is kept.
    pub(crate) keep_alive: bool,
    /// The end of the response is missing: the client must be able to see that (RES-2).
    pub(crate) cut: bool,
    /// The end of the response is told by closing: a cut one must be told by a reset.
    pub(crate) until_close: bool,
    pub(crate) facts: Facts,
    /// There is no request: these are the bytes of a TCP session.
    pub(crate) tcp: bool,
    /// A tunnel's direction from the client, and the one to it.
    pub(crate) to_back: Flow,
    pub(crate) to_front: Flow,
    /// The configuration that the request sees; counted there.
    pub(crate) version: Option<VersionId>,
    /// Server that the sticky cookie names, as an index into the cluster.
    pub(crate) stuck_to: Option<u16>,
    /// The server that was chosen, counted there, and the stay that its health is told of.
    pub(crate) server: Option<ServerId>,
    pub(crate) attempt: Option<Attempt>,
    pub(crate) back: Option<BackId>,
    /// Servers whose connections failed this request.
    pub(crate) tried: Tried,
    /// The address of the last failed attempt: a further one at it waits.
    pub(crate) last_failed: Option<ServerId>,
    /// The choice that is carried out after that wait.
    pub(crate) held_back: Option<Pick>,
    /// No idle connection is used any more: one has failed.
    pub(crate) fresh_only: bool,
    pub(crate) resent_reused: bool,
    pub(crate) resent_fresh: bool,
    /// Bytes of the request given to the present connection.
    pub(crate) given: u64,
    /// Bytes of it in records of which nothing has gone out yet: until then they are kept.
    pub(crate) sealed: u64,
    /// Writing to the server failed; what it may still have sent is read.
    pub(crate) back_write_failed: bool,
    /// Interim responses passed on or skipped.
    pub(crate) interims: u8,
    /// The client has sent body bytes, or was told to.
    pub(crate) continued: bool,
    /// The head's bytes are here already: a step is owed to go on with them.
    pub(crate) is_resuming: bool,
    /// When the current leg of the record's spans began.
    pub(crate) mark: Time,
    pub(crate) record: AccessRecord,
}

/// The servers that failed one request; at most one for each attempt.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct Tried {
    servers: [Option<ServerId>; CONNECT_ATTEMPTS_MAX as usize + 2],
}

impl Tried {
    /// Whether `server` failed this request.
    pub(crate) fn has(&self, server: ServerId) -> bool {
        self.servers.contains(&Some(server))
    }

    /// Remembers `server`.
    pub(crate) fn add(&mut self, server: ServerId) {
        if !self.has(server)
            && let Some(free) = self.servers.iter_mut().find(|slot| slot.is_none())
        {
            *free = Some(server);
        }
    }
}

impl Exchange {
    pub(crate) fn new() -> Box<Exchange> {
        Box::new(Exchange {
            request: Pipe::default(),
            response: Pipe::default(),
            promises: 0,
            scanner: HeadScanner::request(),
            request_body: BodyReader::Done,
            request_encoding: Encoding::Raw,
            request_payload: 0,
            phase: ResponsePhase::Head,
            response_body: BodyReader::Done,
            response_encoding: Encoding::Raw,
            response_begun: false,
            back_persistent: false,
            keep_alive: false,
            cut: false,
            until_close: false,
            facts: Facts::default(),
            tcp: false,
            to_back: Flow::Open,
            to_front: Flow::Open,
            version: None,
            stuck_to: None,
            server: None,
            attempt: None,
            back: None,
            tried: Tried::default(),
            last_failed: None,
            held_back: None,
            fresh_only: false,
            resent_reused: false,
            resent_fresh: false,
            given: 0,
            sealed: 0,
            back_write_failed: false,
            interims: 0,
            continued: false,
            is_resuming: false,
            mark: Time::ZERO,
            record: AccessRecord::default(),
        })
    }

    /// Forgets everything of the last request but the request pipe, which may hold the next one
    /// (RES-5).
    pub(crate) fn reset(&mut self, now: Time) {
        debug_assert!(self.version.is_none() && self.server.is_none());
        debug_assert!(self.attempt.is_none() && self.back.is_none());
        self.scanner = HeadScanner::request();
        self.request_body = BodyReader::Done;
        self.request_encoding = Encoding::Raw;
        self.request_payload = 0;
        self.phase = ResponsePhase::Head;
        self.response_body = BodyReader::Done;
        self.response_encoding = Encoding::Raw;
        self.response_begun = false;
        self.back_persistent = false;
        self.keep_alive = false;
        self.cut = false;
        self.until_close = false;
        self.facts = Facts::default();
        self.tcp = false;
        (self.to_back, self.to_front) = (Flow::Open, Flow::Open);
        self.stuck_to = None;
        self.tried = Tried::default();
        self.last_failed = None;
        self.held_back = None;
        self.fresh_only = false;
        self.resent_reused = false;
        self.resent_fresh = false;
        self.given = 0;
        self.sealed = 0;
        self.back_write_failed = false;
        self.interims = 0;
        self.continued = false;
        self.is_resuming = false;
        self.mark = now;
        self.record = AccessRecord { start: now, ..AccessRecord::default() };
    }

    /// Redeems a promise for the response's own buffer, once.
    pub(crate) fn open_response(&mut self, pool: &mut Pool) {
        if !self.response.is_open() {
            assert!(self.promises > 0, "a buffer was promised for the response");
            self.promises -= 1;
            self.response.open(pool);
        }
    }

    /// The same for the request's, which a quiet tunnel has given back.
    pub(crate) fn open_request(&mut self, pool: &mut Pool) {
        if !self.request.is_open() {
            assert!(self.promises > 0, "a buffer was promised for the request");
            self.promises -= 1;
            self.request.open(pool);
        }
    }

    /// Gives the buffers of pipes without bytes back, against promises: a quiet tunnel holds none.
    pub(crate) fn park(&mut self, pool: &mut Pool) {
        for pipe in [&mut self.request, &mut self.response] {
            if pipe.is_open() && pipe.unsent() == 0 && pipe.input_len() == 0 {
                pipe.close(pool);
                pool.promise_again();
                self.promises += 1;
            }
        }
    }

    /// Gives every buffer and promise back.
    pub(crate) fn release_buffers(&mut self, pool: &mut Pool) {
        self.request.close(pool);
        self.response.close(pool);
        pool.unpromise(std::mem::take(&mut self.promises));
    }

    /// Whether the client is held to wait for the server's 100 before it sends its body.
    pub(crate) fn awaits_continue(&self) -> bool {
        self.facts.expects_continue && !self.continued
    }

    /// Whether the proxy may still answer by itself: no byte of a final response is out (RES-7).
    pub(crate) fn may_answer(&self) -> bool {
        matches!(self.phase, ResponsePhase::Head | ResponsePhase::Interim)
    }

    /// Whether the last byte of this connection is out: nothing follows, and nothing is missing.
    pub(crate) fn is_last_said(&self) -> bool {
        self.phase == ResponsePhase::Done
            && self.response.unsent() == 0
            && !self.cut
            && !(self.keep_alive && self.request_read())
    }

    /// The phase that an ending now would be named after.
    pub(crate) fn present_phase(&self) -> Phase {
        match self.phase {
            ResponsePhase::Done | ResponsePhase::Body => Phase::ResponseBody,
            _ if self.request_sent() => Phase::ResponseHead,
            _ => Phase::RequestBody,
        }
    }

    /// Adds the time since the last mark to the span of the leg in which the exchange stands.
    pub(crate) fn charge(&mut self, state: State, now: Time) {
        let may_answer = self.may_answer();
        let span = match state {
            State::Head => &mut self.record.head,
            State::Ready | State::Queue => &mut self.record.queue,
            State::Connect | State::Pause => &mut self.record.connect,
            State::Relay if may_answer => &mut self.record.wait,
            _ => &mut self.record.transfer,
        };
        *span += now.since(self.mark);
        self.mark = now;
    }

    /// Whether the request was wholly read.
    pub(crate) fn request_read(&self) -> bool {
        self.request_body.is_done()
    }

    /// Whether the head in the input, whole or not, is that of a HEAD request: also the answer to
    /// one that cannot be read has no body (RES-7).
    pub(crate) fn begins_with_head(&self) -> bool {
        let head = self.request.head_input();
        head.strip_prefix(b"\r\n").unwrap_or(head).starts_with(b"HEAD ")
    }

    /// Whether every byte of the request was given to the server.
    pub(crate) fn request_sent(&self) -> bool {
        self.request_read() && self.request.unsent() == 0
    }

    /// Whether the request can be sent again from its first byte.
    pub(crate) fn is_held_whole(&self) -> bool {
        self.request.is_keeping() || self.given + self.sealed == 0
    }
}
