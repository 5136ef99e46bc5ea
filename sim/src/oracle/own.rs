//! Group *answers*, their text: what the proxy's own answers say, and in which form.
//!
//! An answer is JSON for who prefers that and HTML for everybody else, says its status and the id
//! of its request, and gives way to what is configured in its place.
//!
//! - RES-7: a status of the proxy follows from the state its request was in, who asked is
//!   answered, and in the form that is preferred.

use super::ledger::{Method, Row};
use super::truth::Version;
use super::{Group, Oracle, Verdict, breach};
use crate::refhttp::Head;
use tidegate_core::config::AnswerBody;

const GROUP: Group = Group::Answers;

/// Phrases of RFC 9110 15 for the statuses that the proxy answers with, by itself or for a route.
const PHRASES: [(u16, &str); 23] = [
    (200, "OK"),
    (204, "No Content"),
    (301, "Moved Permanently"),
    (302, "Found"),
    (307, "Temporary Redirect"),
    (308, "Permanent Redirect"),
    (400, "Bad Request"),
    (401, "Unauthorized"),
    (403, "Forbidden"),
    (404, "Not Found"),
    (408, "Request Timeout"),
    (410, "Gone"),
    (413, "Content Too Large"),
    (414, "URI Too Long"),
    (421, "Misdirected Request"),
    (429, "Too Many Requests"),
    (431, "Request Header Fields Too Large"),
    (500, "Internal Server Error"),
    (501, "Not Implemented"),
    (502, "Bad Gateway"),
    (503, "Service Unavailable"),
    (504, "Gateway Timeout"),
    (505, "HTTP Version Not Supported"),
];

/// The phrase of a status that the proxy answers with.
pub fn phrase_of(status: u16) -> Option<&'static str> {
    PHRASES.iter().find(|known| known.0 == status).map(|&(_, phrase)| phrase)
}

/// What the body of an own answer must be.
#[derive(Clone, Debug)]
pub enum Text {
    /// Whatever it is: a server's, or one whose form is not known.
    Any,
    /// A default one, in JSON or not, which says this id.
    Default {
        /// Whether it is JSON.
        is_json: bool,
        /// As the head says it.
        id: Vec<u8>,
    },
    /// One of those that are configured.
    Configured(Vec<Box<[u8]>>),
}

/// The head of one of the proxy's own answers to `row`; what its body must be.
pub fn head(oracle: &Oracle, row: &Row, head: &Head) -> Verdict<Text> {
    let status = head.status();
    phrase(row, head)?;
    // Of a head that was not read whole, or not understood, nobody knows what its client prefers,
    // and a client that is one too many may not have been read at all.
    let is_read = row.head_read_at.is_some() && row.ask.flaw.is_none() && status != 429;
    if !is_read || matches!(status, 204 | 304) {
        return Ok(Text::Any);
    }
    let Some(id) = head.only("x-request-id") else {
        let message = format!("the answer {status} to request {} has no id", row.ask.id);
        return breach(GROUP, "RES-7", message);
    };
    let found = head.only("content-type").unwrap_or_default();
    let is_json = row.ask.accept().is_some_and(|(_, is_json)| is_json);
    let usual: &[u8] = if is_json { b"application/json" } else { b"text/html; charset=utf-8" };
    let from = row.first_read_at.unwrap_or(oracle.now);
    let mut configured = Vec::new();
    let mut is_usual = false;
    for version in oracle.truth.in_force(from, oracle.now) {
        let mut places = version.places_of_answers(row, status).peekable();
        is_usual |= places.peek().is_none();
        configured.extend(places);
    }
    // A fixed answer's body is judged with its route.
    let is_fixed = found == crate::wire::FIXED_TYPE.as_bytes();
    configured.retain(|body| body.content_type.as_bytes() == found);
    if !configured.is_empty() {
        return Ok(Text::Configured(configured.iter().map(|it| Box::from(&*it.bytes)).collect()));
    }
    if is_usual && found == usual {
        return Ok(Text::Default { is_json, id: id.to_vec() });
    }
    if is_fixed {
        return Ok(Text::Any);
    }
    let found = String::from_utf8_lossy(found).into_owned();
    let (id, accept) = (row.ask.id, row.ask.accept());
    let message = format!("the answer {status} to request {id}, Accept {accept:?}, is {found:?}");
    breach(GROUP, "RES-7", message)
}

fn phrase(row: &Row, head: &Head) -> Verdict {
    let status = head.status();
    let said = head.bytes().split(|&byte| byte == b'\r').next().unwrap_or_default();
    let said = String::from_utf8_lossy(said);
    let expected = phrase_of(status).map(|phrase| format!("HTTP/1.1 {status} {phrase}"));
    if expected.as_ref().is_some_and(|expected| *expected != said) {
        let message = format!("request {} was answered {said:?}, not {expected:?}", row.ask.id);
        return breach(GROUP, "RES-7", message);
    }
    Ok(())
}

impl Version {
    /// What stands in place of the proxy's own answer to `row`: its cluster's before its
    /// listener's.
    fn places_of_answers(&self, row: &Row, status: u16) -> impl Iterator<Item = &AnswerBody> {
        let listener = format!("l{}", row.ask.listener);
        let listener = self.config.listeners.iter().find(|it| *it.name == *listener);
        let cluster = self.cluster_of(&row.ask).and_then(|number| self.cluster(number));
        let of_cluster = cluster.and_then(|it| it.answers.get(&status));
        of_cluster.or_else(|| listener.and_then(|it| it.answers.get(&status))).into_iter()
    }
}

/// The number that an id of a request stands for: 32 hexadecimal digits, in one word or as UUIDs
/// are written.
pub fn request_id(text: &[u8]) -> Option<u128> {
    let text = std::str::from_utf8(text).ok()?;
    let digits: String = match text.len() {
        36 => text.split('-').collect(),
        _ => text.into(),
    };
    (digits.len() == 32).then(|| u128::from_str_radix(&digits, 16).ok()).flatten()
}

/// The client was shown the end of an answer to `row`: of one of the proxy's own, the whole body is
/// there.
pub fn complete(row: &Row) -> Verdict {
    let Some(answer) = row.answer.as_ref().filter(|answer| answer.serial.is_none()) else {
        return Ok(());
    };
    if row.ask.method == Method::Head {
        return Ok(());
    }
    body(row.ask.id, answer.status, &answer.wanted, &answer.text)
}

/// The whole body of an own answer to request `id`.
fn body(id: u32, status: u16, wanted: &Text, body: &[u8]) -> Verdict {
    let is_right = match wanted {
        Text::Any => true,
        Text::Configured(all) => all.iter().any(|it| **it == *body),
        Text::Default { is_json: true, id: said } => {
            says(body, format!("{{\"status\":{status},").as_bytes())
                && says(body, &[b"\"request_id\":\"", said.as_slice(), b"\""].concat())
                && body.ends_with(b"}\n")
        }
        Text::Default { is_json: false, id: said } => {
            says(body, format!("<title>{status} ").as_bytes()) && says(body, said)
        }
    };
    if is_right {
        return Ok(());
    }
    let text = String::from_utf8_lossy(body);
    let message = format!("the answer {status} to request {id}: {text:?}, not {wanted:?}");
    breach(GROUP, "RES-7", message)
}

fn says(text: &[u8], what: &[u8]) -> bool {
    text.windows(what.len()).any(|part| part == what)
}
