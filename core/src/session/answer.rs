//! The proxy's own answers (RES-7): errors, redirects, fixed answers.

use super::dial::ending;
use super::state::Move;
use super::{ResponsePhase, SessionId};
use crate::config::Target;
use crate::effect::Close;
use crate::event::{Ending, Phase, Who};
use crate::http1::{Answer, write_answer};
use crate::proxy::Proxy;
use crate::reach::Decision;

/// Seconds after which a client with too many connections may come again (ACC-9).
const RETRY_AFTER_SECONDS: u32 = 1;

/// What an answer has besides its status.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Kind {
    /// A default answer, or its replacement.
    Default,
    /// Its Location is in the head scratch.
    Redirect,
    /// The route's own body.
    Fixed,
}

impl Proxy {
    /// Answers with `status` in place of a server; never in the middle of a response.
    pub(crate) fn answer(&mut self, id: SessionId, status: u16, ending: Ending) {
        self.answer_as(id, status, ending, Kind::Default);
    }

    /// Ends what is being served without a server: HTTP by an answer, TCP by the end.
    pub(crate) fn fail(&mut self, id: SessionId, status: u16, ending: Ending) {
        if self.sessions[id].x().tcp {
            self.give_up(id, ending);
        } else {
            self.answer(id, status, ending);
        }
    }

    /// Answers with the redirect of the request's route.
    pub(crate) fn answer_redirect(&mut self, id: SessionId) {
        if let Target::Redirect(redirect) = self.target(id) {
            let status = redirect.status;
            self.answer_as(id, status, ending(Who::Nobody, Phase::Complete), Kind::Redirect);
        }
    }

    /// Answers as the request's route says.
    pub(crate) fn answer_fixed(&mut self, id: SessionId) {
        if let Target::Answer(fixed) = self.target(id) {
            let status = fixed.status;
            self.answer_as(id, status, ending(Who::Nobody, Phase::Complete), Kind::Fixed);
        }
    }

    fn target(&self, id: SessionId) -> &Target {
        let x = self.sessions[id].exchange.as_deref().expect("a request is being served");
        let version = &self.versions[x.version.expect("a request sees a version")];
        &version.config.routes[x.record.route.expect("a route was found") as usize].to
    }

    fn answer_as(&mut self, id: SessionId, status: u16, ending: Ending, kind: Kind) {
        self.tell_unread(id);
        self.detach_back(id, Close::Normal);
        let session = self.sessions.get_mut(id).expect("a live session");
        let state = session.state;
        session.go(Move::AnswerItself);
        session.timers.clear_front();
        session.timers.clear_back();
        let closing = self.stopping || self.listens[session.listener].closing;
        let x = session.exchange.as_deref_mut().expect("a request is being served");
        debug_assert!(x.may_answer(), "no answer in the middle of a response");
        x.open_response(&mut self.pool);
        x.request.drop_output(&mut self.pool);
        x.keep_alive = x.facts.persistent && x.request_read() && !closing;
        x.charge(state, self.now);
        x.phase = ResponsePhase::Done;
        x.record.status = status;
        x.record.ending = ending;
        let version = x.version.map(|version| &self.versions[version]);
        let listener = x.record.listener.map(usize::from);
        let replacement = version.and_then(|version| match (kind, x.record.route) {
            (Kind::Fixed, Some(route)) => match &version.config.routes[route as usize].to {
                Target::Answer(fixed) if fixed.body.is_some() => fixed.body.as_ref(),
                _ => version.answer(None, listener, status),
            },
            _ => version.answer(x.record.cluster, listener, status),
        });
        match kind {
            Kind::Redirect => self.reach.decided(Decision::AnswerRedirect),
            Kind::Fixed => self.reach.decided(Decision::AnswerFixed),
            Kind::Default => {
                self.reach.answered(status);
                self.reach.decided_if(replacement.is_some(), Decision::AnswerReplaced);
            }
        }
        self.reach.decided_if(x.facts.accepts_json, Decision::AnswerJson);
        self.reach.decided_if(x.facts.head_only, Decision::AnswerHeadOnly);
        self.answer_scratch.clear();
        let answer = Answer {
            status,
            request_id: (x.record.request_id != 0).then_some(x.record.request_id),
            json: x.facts.accepts_json,
            head_only: x.facts.head_only,
            keep_alive: x.keep_alive,
            client_minor: if x.version.is_some() { x.facts.minor } else { 1 },
            replacement,
            retry_after: (status == 429).then_some(RETRY_AFTER_SECONDS),
            location: (kind == Kind::Redirect).then_some(&self.head_scratch),
            unix_millis: self.wall_millis,
        };
        write_answer(&mut self.answer_scratch, &answer);
        if !x.response.put_message(&mut self.pool, &self.answer_scratch) {
            // Behind an interim response that the client does not read there is no room: the
            // answer is lost, and its absence shows.
            self.reach.decided(Decision::AnswerLost);
            x.record.status = 0;
            x.cut = true;
            self.finish_if_flushed(id);
        }
    }
}
