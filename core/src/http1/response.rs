//! A response's head: what it says, and the head that is sent on (RES-1, RES-4, REQ-5, REQ-7).

use super::bytes::trim;
use super::fields::{Codings, Connection, FieldSet, Fields, Known, recognise, unparsed};
use super::refusal::Refusal;
use super::request::Framing;
use super::write;
use crate::config::Limits;
use httparse::Header;
use std::mem::MaybeUninit;

/// A response whose head is in order.
#[derive(Debug)]
pub struct Response<'a, 'f> {
    /// 100 to 999, never 101.
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
    /// All fields, as sent.
    pub fields: Fields<'a, 'f>,
    head: &'a [u8],
    dropped: FieldSet,
}

impl Response<'_, '_> {
    /// Whether another head follows: 1xx.
    pub fn is_interim(&self) -> bool {
        self.status < 200
    }
}

/// Parses `head`, exactly the bytes that [`super::HeadScanner`] found complete, as the response
/// to a request that was HEAD or not.
///
/// # Errors
/// What RES-1 and REQ-7 refuse.
pub fn parse_response<'a, 'f>(
    head: &'a [u8],
    fields: &'f mut [MaybeUninit<Header<'a>>],
    limits: &Limits,
    head_request: bool,
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
    if status == 101 {
        return Err(Refusal::UnaskedUpgrade);
    }
    let mut response = Response {
        status,
        reason: reason.strip_prefix(b" ").unwrap_or(reason),
        minor,
        framing: Framing::None,
        length: None,
        persistent: false,
        fields,
        head,
        dropped: FieldSet::default(),
    };
    response.read_fields(head_request)?;
    Ok(response)
}

fn trim_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

impl Response<'_, '_> {
    /// Judges every field once.
    fn read_fields(&mut self, head_request: bool) -> Result<(), Refusal> {
        let mut codings = Codings::default();
        let mut connection = Connection::default();
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
                Known::Hop => {}
                _ => continue,
            }
            self.dropped.insert(index);
        }
        let chunked = codings.chunked(self.minor)?;
        let never_has_one = self.status < 200 || self.status == 204;
        self.length = if never_has_one { None } else { codings.length };
        self.framing = match self.length {
            _ if never_has_one || head_request || self.status == 304 => Framing::None,
            _ if chunked => Framing::Chunked,
            Some(length) => Framing::Length(length),
            None => Framing::UntilClose,
        };
        self.persistent = connection.persists(self.minor) && self.framing != Framing::UntilClose;
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
/// Connection nor cookie.
pub fn write_response(out: &mut Vec<u8>, response: &Response<'_, '_>, returning: &Returning<'_>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(itoa::Buffer::new().format(response.status).as_bytes());
    out.push(b' ');
    out.extend_from_slice(response.reason);
    out.extend_from_slice(b"\r\n");
    write::kept_lines(out, response.head, &response.fields, |index, field| {
        !response.dropped.contains(index)
            && !returning.remove.iter().any(|name| field.name.eq_ignore_ascii_case(name))
    });
    write::via(out, response.minor);
    if !response.is_interim() {
        let length = match returning.body {
            BodyOut::None => response.length,
            BodyOut::Length(length) => Some(length),
            BodyOut::Chunked | BodyOut::UntilClose => None,
        };
        if let Some(length) = length {
            write::number_field(out, "Content-Length", length);
        }
        if returning.body == BodyOut::Chunked {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        }
        if let Some(cookie) = returning.set_cookie {
            write::field(out, "Set-Cookie", cookie.as_bytes());
        }
        write::connection(out, returning.keep_alive, returning.client_minor);
    }
    out.extend_from_slice(b"\r\n");
}
