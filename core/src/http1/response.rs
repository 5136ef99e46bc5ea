//! A response's head: what it says, and the head that is sent on (RES-1, RES-4, REQ-5, REQ-7,
//! TUN-3).

use super::answers;
use super::bytes::trim;
use super::fields::{Codings, Connection, FieldSet, Fields, Known, Protocols, recognise, unparsed};
use super::refusal::Refusal;
use super::request::Framing;
use super::write;
use crate::config::Limits;
use httparse::Header;
use std::mem::MaybeUninit;

/// What of a request its response's head depends on.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Asked {
    /// Whether it was HEAD, whose responses have no body.
    pub head_only: bool,
    /// Whether it asked for WebSocket: [`Request::upgrade`](super::Request::upgrade).
    pub upgrade: bool,
}

/// A response whose head is in order.
#[derive(Debug)]
pub struct Response<'a, 'f> {
    /// 100 to 999; 101 only when `upgraded`.
    pub status: u16,
    /// The reason phrase, as sent; may be empty.
    pub reason: &'a [u8],
    /// The minor version, as sent; 2 and above count as 1 (REQ-1).
    pub minor: u8,
    /// How the body ends; [`Framing::None`] for HEAD, 1xx, 204 and 304 (RES-1).
    pub framing: Framing,
    /// The Content-Length, also where it only informs: HEAD and 304.
    pub length: Option<u64>,
    /// Whether the backend keeps its connection open (REQ-10, BACK-7).
    pub persistent: bool,
    /// Whether the backend switched to WebSocket: the 101 that was asked for (REQ-7). It is final,
    /// and all bytes behind its head are the tunnel's (TUN-3).
    pub upgraded: bool,
    /// All fields, as sent.
    pub fields: Fields<'a, 'f>,
    head: &'a [u8],
    dropped: FieldSet,
}

impl Response<'_, '_> {
    /// Whether another head follows: 1xx but 101.
    pub fn is_interim(&self) -> bool {
        self.status < 200 && !self.upgraded
    }
}

/// Parses `head`, exactly the bytes that [`super::HeadScanner`] found complete, as the response
/// to a request that asked for what `asked` tells.
///
/// # Errors
/// What RES-1 and REQ-7 refuse; also a 101 that was not asked for, or that does not switch to
/// WebSocket and to nothing else.
pub fn parse_response<'a, 'f>(
    head: &'a [u8],
    fields: &'f mut [MaybeUninit<Header<'a>>],
    limits: &Limits,
    asked: Asked,
) -> Result<Response<'a, 'f>, Refusal> {
    let mut line = httparse::Response::new(&mut []);
    let space = fields.len().min(limits.fields_max);
    let config = httparse::ParserConfig::default();
    let parsed = config.parse_response_with_uninit_headers(&mut line, head, &mut fields[..space]);
    let line_end = memchr::memchr(b'\n', head).ok_or(Refusal::StartLine)?;
    let status_line = trim_cr(&head[..line_end]);
    let (minor, fields) = match parsed {
        Ok(_) => (line.version.ok_or(Refusal::StartLine)?, Fields::lent(line.headers)),
        Err(httparse::Error::Version) => match status_line {
            [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'2'..=b'9', ..] => {
                (minor - b'0', Fields::own(&head[line_end + 1..])?)
            }
            _ => return Err(Refusal::Version),
        },
        Err(error) => return Err(unparsed(error)),
    };
    let Some((status, reason)) = status_line.get(9..).and_then(|it| it.split_at_checked(3)) else {
        return Err(Refusal::StartLine);
    };
    let status = status.iter().fold(0, |n, byte| n * 10 + u16::from(byte.wrapping_sub(b'0') % 10));
    let mut response = Response {
        status,
        reason: reason.strip_prefix(b" ").unwrap_or(reason),
        minor,
        framing: Framing::None,
        length: None,
        persistent: false,
        upgraded: false,
        fields,
        head,
        dropped: FieldSet::default(),
    };
    response.read_fields(asked)?;
    Ok(response)
}

fn trim_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

impl Response<'_, '_> {
    /// Judges every field once.
    fn read_fields(&mut self, asked: Asked) -> Result<(), Refusal> {
        let mut codings = Codings::default();
        let mut connection = Connection::default();
        let mut protocols = Protocols::default();
        for (index, field) in self.fields.iter().enumerate() {
            let Some(found) = recognise(field.name.as_bytes()) else { continue };
            match found.known {
                Known::ContentLength | Known::TransferEncoding | Known::Connection
                    if !found.plain => {}
                Known::ContentLength => codings.content_length(trim(field.value))?,
                Known::TransferEncoding => codings.transfer_encoding(field.value)?,
                Known::Connection => {
                    connection.read(field.value, &self.fields, &mut self.dropped)?;
                }
                Known::Upgrade => protocols.read(field.value),
                Known::Hop => {}
                _ => continue,
            }
            self.dropped.insert(index);
        }
        if self.status == 101 {
            // Nothing else was offered, so nothing else may be switched to (RFC 9110 7.8).
            let switched = connection.upgrade && protocols.websocket && !protocols.others;
            if !asked.upgrade || !switched || self.minor == 0 {
                return Err(Refusal::UnaskedUpgrade);
            }
            self.upgraded = true;
        }
        let chunked = codings.chunked(self.minor)?;
        let never_has_one = self.status < 200 || self.status == 204;
        self.length = if never_has_one { None } else { codings.length };
        self.framing = match self.length {
            _ if never_has_one || asked.head_only || self.status == 304 => Framing::None,
            _ if chunked => Framing::Chunked,
            Some(length) => Framing::Length(length),
            None => Framing::UntilClose,
        };
        let ends_here = self.framing == Framing::UntilClose || self.upgraded;
        self.persistent = connection.persists(self.minor) && !ends_here;
        Ok(())
    }
}

/// How the body is sent on.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum BodyOut {
    /// There is none; a Content-Length that informs (HEAD, 304) is kept.
    None,
    /// With this Content-Length.
    Length(u64),
    /// Chunked; HTTP/1.1 clients only.
    Chunked,
    /// Until the connection closes; needs `keep_alive` to be false.
    UntilClose,
}

/// What the proxy decides about a response's head.
#[derive(Copy, Clone, Debug)]
pub struct Returning<'a> {
    /// The minor version of the request.
    pub client_minor: u8,
    /// Whether the client's connection stays open.
    pub keep_alive: bool,
    /// How the body is sent on.
    pub body: BodyOut,
    /// The value of a Set-Cookie to add (BACK-8).
    pub set_cookie: Option<&'a str>,
    /// Fields that the route removes.
    pub remove: &'a [Box<str>],
}

/// Appends the head that is sent to the client. An interim response (1xx) gets neither framing,
/// Connection nor cookie. One that [upgraded](Response::upgraded) has no framing either, and its
/// Connection and Upgrade say so, whatever `returning` says of the connection and the body.
pub fn write_response(out: &mut Vec<u8>, response: &Response<'_, '_>, returning: &Returning<'_>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(itoa::Buffer::new().format(response.status).as_bytes());
    out.push(b' ');
    let reason = match response.upgraded {
        true => answers::reason(response.status).as_bytes(),
        false => response.reason,
    };
    out.extend_from_slice(reason);
    out.extend_from_slice(b"\r\n");
    write::kept_lines(out, response.head, &response.fields, |index, field| {
        !response.dropped.contains(index)
            && !returning.remove.iter().any(|name| field.name.eq_ignore_ascii_case(name))
    });
    write::via(out, response.minor);
    if !response.is_interim() {
        if !response.upgraded {
            write_framing(out, response, returning.body);
        }
        if let Some(cookie) = returning.set_cookie {
            write::field(out, "Set-Cookie", cookie.as_bytes());
        }
        if response.upgraded {
            write::upgrade(out);
        } else {
            write::connection(out, returning.keep_alive, returning.client_minor);
        }
    }
    out.extend_from_slice(b"\r\n");
}

fn write_framing(out: &mut Vec<u8>, response: &Response<'_, '_>, body: BodyOut) {
    let length = match body {
        BodyOut::None => response.length,
        BodyOut::Length(length) => Some(length),
        BodyOut::Chunked | BodyOut::UntilClose => None,
    };
    if let Some(length) = length {
        write::number_field(out, "Content-Length", length);
    }
    if body == BodyOut::Chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
}
