//! The response on its way: heads, interim ones, body, end (RES-1 to RES-5, REQ-7).

use super::dial::{ending, phase_of};
use super::{ResponsePhase, SessionId};
use crate::buffer::Encoding;
use crate::config::Reuse;
use crate::effect::Close;
use crate::event::{Ending, Phase, Who};
use crate::flight::Verdict;
use crate::http1::{
    self, Asked, BodyOut, BodyReader, Framing, HeadScanner, Response, Returning, Scan, field_space,
};
use crate::proxy::Proxy;
use crate::reach::Decision;

/// Interim responses of one exchange at most (REQ-3).
pub(crate) const INTERIMS_MAX: u8 = 16;

/// What a response head decides.
struct Head {
    status: u16,
    framing: Framing,
    persistent: bool,
    upgraded: bool,
}

impl Proxy {
    /// Goes on with a response head whose bytes are here.
    pub(crate) fn scan_response(&mut self, id: SessionId) {
        loop {
            let x = self.sessions[id].exchange.as_deref_mut().expect("a request is being served");
            let limits = &self.versions[x.version.expect("a request sees a version")].config.limits;
            match x.scanner.scan(x.response.head_input(), limits) {
                Scan::More => {
                    if !x.response.gather_head(&mut self.pool) {
                        return;
                    }
                }
                Scan::Complete { end, .. } => {
                    self.tell_head(id, true, Some(end));
                    if !self.take_head(id, end) {
                        return;
                    }
                }
                Scan::Refused(refusal) => {
                    self.reach.refused_response(refusal);
                    self.tell_head(id, true, None);
                    return self.bad_response(id);
                }
            }
        }
    }

    /// A complete head lies in the first `end` bytes of the response's input. Returns whether
    /// another one is to be looked for at once.
    fn take_head(&mut self, id: SessionId, end: usize) -> bool {
        let head = match self.write_head(id, end) {
            Ok(head) => head,
            Err(refusal) => {
                self.reach.refused_response(refusal);
                self.bad_response(id);
                return false;
            }
        };
        let x = self.sessions[id].exchange.as_deref_mut().expect("a request is being served");
        x.response.consume_head(end);
        if head.status >= 200 || head.upgraded {
            self.begin_response(id, &head);
            return false;
        }
        x.interims += 1;
        if x.interims > INTERIMS_MAX {
            self.reach.decided(Decision::InterimsTooMany);
            self.bad_response(id);
            return false;
        }
        x.continued |= head.status == 100;
        x.scanner = HeadScanner::response();
        if x.facts.minor == 0 {
            // A 1.0 client gets no interim response (REQ-7).
            self.reach.decided(Decision::InterimSkipped);
            x.response.gather_head(&mut self.pool);
            return true;
        }
        if x.response.prepend(&self.head_scratch) {
            x.phase = ResponsePhase::Interim;
        } else {
            self.bad_response(id);
        }
        false
    }

    /// Parses the head and writes the one that the client gets to the scratch. `Err`: it cannot
    /// be forwarded.
    fn write_head(&mut self, id: SessionId, end: usize) -> Result<Head, http1::Refusal> {
        let session = self.sessions.get_mut(id).expect("a live session");
        let secure = self.sockets.get(session.front).is_some_and(|s| s.tls().is_some());
        let x = session.exchange.as_deref_mut().expect("a request is being served");
        let version = &self.versions[x.version.expect("a request sees a version")];
        let limits = &version.config.limits;
        let mut fields = field_space();
        let bytes = &x.response.head_input()[..end];
        let asked = Asked { head_only: x.facts.head_only, upgrade: x.facts.upgrade };
        let response = http1::parse_response(bytes, &mut fields, limits, asked)?;
        let final_head = !response.is_interim();
        if final_head {
            let closing = self.stopping || self.listens[session.listener].closing;
            x.keep_alive = x.facts.persistent
                && x.request_read()
                && !closing
                && (x.facts.minor >= 1 || sized(&response));
            x.until_close =
                x.facts.minor == 0 && matches!(body_out(&response, 0), BodyOut::UntilClose);
        }
        let cluster = x.record.cluster.expect("the route led to a cluster") as usize;
        let route = x.record.route.expect("a route was found") as usize;
        let view = &version.clusters[cluster];
        let set_cookie = match x.record.server {
            Some(index) if final_head && version.config.clusters[cluster].sticky.is_some() => {
                let cookies = &view.sticky[usize::from(index)];
                let cookie = if secure { &cookies.set_secure } else { &cookies.set_cookie };
                (x.stuck_to != Some(index)).then_some(&**cookie)
            }
            _ => None,
        };
        let returning = Returning {
            client_minor: x.facts.minor,
            keep_alive: x.keep_alive || !final_head,
            body: if final_head { body_out(&response, x.facts.minor) } else { BodyOut::None },
            set_cookie,
            remove: &version.config.routes[route].remove_response_headers,
        };
        self.head_scratch.clear();
        http1::write_response(&mut self.head_scratch, &response, &returning);
        if final_head {
            x.response_encoding = match returning.body {
                BodyOut::Chunked => Encoding::Chunked,
                _ => Encoding::Raw,
            };
        }
        let Response { status, framing, persistent, upgraded, .. } = response;
        Ok(Head { status, framing, persistent, upgraded })
    }

    /// The final head is here, and its rewritten form in the scratch.
    fn begin_response(&mut self, id: SessionId, head: &Head) {
        self.praise(id);
        let now = self.now;
        let x = self.sessions[id].exchange.as_deref_mut().expect("a request is being served");
        x.phase = ResponsePhase::Body;
        x.record.status = head.status;
        x.record.wait = now.since(x.mark);
        x.mark = now;
        x.back_persistent = head.persistent;
        x.response_body = match head.upgraded {
            true => BodyReader::UntilClose,
            false => BodyReader::new(head.framing),
        };
        self.tell_framing(id, true);
        let x = self.sessions[id].x();
        let taken = x.response.take_body(&mut x.response_body, x.response_encoding);
        // Headroom is left for the head: a body that fails at once shows after it.
        let fits = x.response.prepend(&self.head_scratch);
        match taken {
            _ if !fits => {
                x.phase = ResponsePhase::Head;
                x.record.status = 0;
                x.response.drop_output(&mut self.pool);
                self.bad_response(id);
            }
            Ok(taken) if taken.done => self.response_complete(id),
            Ok(_) if head.upgraded => self.begin_upgrade(id),
            Ok(_) => {}
            Err(refusal) => {
                self.reach.refused_response(refusal);
                self.cut_response(id, ending(Who::Backend, Phase::ResponseBody));
            }
        }
    }

    /// Turns body bytes that are here into output for the client.
    pub(crate) fn take_response_body(&mut self, id: SessionId) {
        self.tell_framing(id, true);
        let x = self.sessions[id].x();
        match x.response.take_body(&mut x.response_body, x.response_encoding) {
            Ok(taken) if taken.done => self.response_complete(id),
            Ok(_) => {}
            Err(refusal) => {
                self.reach.refused_response(refusal);
                self.cut_response(id, ending(Who::Backend, Phase::ResponseBody));
            }
        }
    }

    /// The server ended a body that ends with its connection.
    pub(crate) fn end_response_body(&mut self, id: SessionId) {
        self.reach.decided(Decision::ResponseUntilClose);
        let x = self.sessions[id].x();
        x.back_persistent = false;
        x.response_body = BodyReader::Done;
        if x.response_encoding == Encoding::Chunked {
            x.response.end_chunks();
        }
        self.response_complete(id);
    }

    /// Every byte of the response is produced: the connection to the server is given back before
    /// the client has read them.
    fn response_complete(&mut self, id: SessionId) {
        let x = self.sessions[id].exchange.as_deref_mut().expect("a request is being served");
        x.phase = ResponsePhase::Done;
        let back = x.back.and_then(|back| self.sockets.get(self.backs[back].socket));
        // What was sealed is not yet sent.
        let owes = back.is_some_and(|socket| socket.owes());
        let exact = x.back_persistent
            && x.response.input_len() == 0
            && x.request_sent()
            && !owes
            && !x.back_write_failed;
        x.response.drop_input();
        self.reach.decided_if(!x.request_sent(), Decision::ResponseEarly);
        self.reach.decided_if(x.until_close, Decision::ResponseClosesClient);
        if !x.request_sent() {
            x.request.drop_output(&mut self.pool);
        }
        if exact {
            self.give_back(id);
        } else {
            self.detach_back(id, Close::Normal);
        }
        self.finish_if_flushed(id);
    }

    /// Lays the connection into its server's pool, if that keeps any (BACK-6, BACK-7).
    fn give_back(&mut self, id: SessionId) {
        let x = self.sessions[id].exchange.as_deref_mut().expect("a request is being served");
        let cluster = x.record.cluster.expect("the route led to a cluster") as usize;
        let version = &self.versions[x.version.expect("a request sees a version")];
        let config = &version.config.clusters[cluster];
        let (reuse, idle_max) = (config.reuse, config.idle_per_server);
        let keep = version.clusters[cluster].timeouts.backend_keep_alive;
        let back = x.back.expect("a response has a connection");
        let server = &mut self.servers[self.backs[back].server];
        server.read_window = x.response.needed() as u8;
        let socket = self.sockets.get(self.backs[back].socket).expect("a live connection");
        let open = !socket.read_closed && !socket.reset;
        let server = &self.servers[self.backs[back].server];
        let speaks = self.backs[back].speech == server.speech_serial;
        let kept = reuse != Reuse::Never
            && open
            && speaks
            && server.in_service
            && !server.health.is_down();
        let kept = kept && !self.stopping;
        if self.decide(id, Verdict::Kept, |_| u64::from(kept)) != 0 {
            self.release_choice(id);
            self.sessions[id].x().back = None;
            self.lay_idle(back, keep, idle_max);
        } else {
            self.reach.decided(Decision::PoolNotKept);
            self.detach_back(id, Close::Normal);
        }
    }

    /// The server's response cannot be forwarded (RES-1).
    fn bad_response(&mut self, id: SessionId) {
        let x = self.sessions[id].x();
        let phase = phase_of(x.request_sent());
        let back = x.back.expect("a response has a connection");
        if !self.backs[back].reused {
            self.blame(id);
        }
        self.answer(id, 502, ending(Who::Backend, phase));
    }

    /// The response ends too early: what came of it goes out, and the client can see that the
    /// end is missing (RES-2).
    pub(crate) fn cut_response(&mut self, id: SessionId, ending: Ending) {
        self.counters.truncated += 1;
        let x = self.sessions[id].x();
        x.cut = true;
        x.keep_alive = false;
        x.phase = ResponsePhase::Done;
        x.record.ending = ending;
        x.response.drop_input();
        self.detach_back(id, Close::Normal);
        self.finish_if_flushed(id);
    }
}

/// Whether the response's end is known without closing, for a 1.0 client.
fn sized(response: &Response<'_, '_>) -> bool {
    matches!(response.framing, Framing::None | Framing::Length(_))
}

/// How the body goes out to a client of HTTP/1.`minor` (RES-4).
fn body_out(response: &Response<'_, '_>, minor: u8) -> BodyOut {
    match response.framing {
        Framing::None => BodyOut::None,
        Framing::Length(length) => BodyOut::Length(length),
        Framing::Chunked | Framing::UntilClose if minor >= 1 => BodyOut::Chunked,
        Framing::Chunked | Framing::UntilClose => BodyOut::UntilClose,
    }
}
