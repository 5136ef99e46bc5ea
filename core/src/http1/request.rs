//! A request's head: its parts, its framing, and whether it may be served (REQ-2, REQ-4, REQ-10,
//! TUN-3).

use super::bytes::trim;
use super::fields::{Codings, Connection, FieldSet, Fields, Known, Protocols, recognise, unparsed};
use super::host;
use super::json::prefers_json;
use super::refusal::Refusal;
use crate::config::Limits;
use httparse::Header;
use std::mem::MaybeUninit;

/// How a body ends (RFC 9112 6.3).
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Framing {
    /// There is none.
    None,
    /// After this many bytes; 0 when a length of 0 was stated.
    Length(u64),
    /// With its last chunk.
    Chunked,
    /// With the connection; responses only.
    UntilClose,
}

/// A request whose head is in order.
#[derive(Debug)]
pub struct Request<'a, 'f> {
    /// The method, as sent.
    pub method: &'a [u8],
    /// The target, as sent.
    pub target: &'a [u8],
    /// What of the target is sent on: path and query, or `*`. Of an absolute-form without a path
    /// it may begin with `?`; [`Request::path`] and the writers supply the slash.
    pub path_and_query: &'a [u8],
    /// The authority of an absolute-form target, else Host; empty for HTTP/1.0 without either.
    pub authority: &'a [u8],
    /// The minor version, as sent; 2 and above count as 1 (REQ-1).
    pub minor: u8,
    /// How the body ends; never [`Framing::UntilClose`].
    pub framing: Framing,
    /// Whether the client wants its connection to stay open (REQ-10).
    pub persistent: bool,
    /// Whether an HTTP/1.1 client waits for 100 before it sends the body (REQ-7).
    pub expects_continue: bool,
    /// Whether the client asks for WebSocket: a GET of HTTP/1.1 without a body whose Connection
    /// has the option `upgrade` and whose Upgrade names `websocket` (RFC 9110 7.8, RFC 6455 4.1).
    /// [`write_request`](super::write_request) then asks the backend for it, and the response is
    /// to be read with [`Asked::upgrade`](super::Asked). Other upgrades are never passed on.
    pub upgrade: bool,
    /// Whether the client would rather read JSON than HTML (RES-7).
    pub accepts_json: bool,
    /// All fields, as sent.
    pub fields: Fields<'a, 'f>,
    pub(super) head: &'a [u8],
    /// Fields that are not sent on in any case.
    pub(super) dropped: FieldSet,
    /// Fields about which the rewriting decides.
    pub(super) special: FieldSet,
}

impl<'a> Request<'a, '_> {
    /// The path, not empty: `/` when the target has none; `*` for `OPTIONS *`.
    pub fn path(&self) -> &'a [u8] {
        let end = memchr::memchr(b'?', self.path_and_query);
        match &self.path_and_query[..end.unwrap_or(self.path_and_query.len())] {
            b"" => b"/",
            path => path,
        }
    }

    /// Whether the method is HEAD, whose responses have no body.
    pub fn is_head(&self) -> bool {
        self.method == b"HEAD"
    }

    /// The value of the cookie `name`, if the request carries it (RFC 6265 4.2).
    pub fn cookie(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.fields
            .iter()
            .filter(|field| field.name.eq_ignore_ascii_case("cookie"))
            .flat_map(|field| field.value.split(|&byte| byte == b';'))
            .find_map(|pair| trim(pair).strip_prefix(name)?.strip_prefix(b"="))
    }
}

/// Whether a method may be repeated without harm (RFC 9110 9.2.2).
pub fn is_idempotent(method: &[u8]) -> bool {
    matches!(method, b"GET" | b"HEAD" | b"PUT" | b"DELETE" | b"OPTIONS" | b"TRACE")
}

/// Parses `head`, exactly the bytes that [`super::HeadScanner`] found complete.
///
/// On bytes that it did not see, nothing panics, but leniences of httparse show.
///
/// # Errors
/// What REQ-2, REQ-4 and REQ-5 refuse.
pub fn parse_request<'a, 'f>(
    head: &'a [u8],
    fields: &'f mut [MaybeUninit<Header<'a>>],
    limits: &Limits,
) -> Result<Request<'a, 'f>, Refusal> {
    let mut line = httparse::Request::new(&mut []);
    let space = fields.len().min(limits.fields_max);
    let config = httparse::ParserConfig::default();
    let parsed = config.parse_request_with_uninit_headers(&mut line, head, &mut fields[..space]);
    let (method, target, minor, fields) = match parsed {
        Ok(_) => {
            let (Some(method), Some(target), Some(minor)) = (line.method, line.path, line.version)
            else {
                return Err(Refusal::StartLine);
            };
            (method.as_bytes(), target.as_bytes(), minor, Fields::lent(line.headers))
        }
        Err(httparse::Error::Version) => later_version(head)?,
        Err(error) => return Err(unparsed(error)),
    };
    let mut request = Request {
        method,
        target,
        path_and_query: target,
        authority: b"",
        minor,
        framing: Framing::None,
        persistent: false,
        expects_continue: false,
        upgrade: false,
        accepts_json: false,
        fields,
        head,
        dropped: FieldSet::default(),
        special: FieldSet::default(),
    };
    request.read_fields()?;
    request.read_target()?;
    Ok(request)
}

type Parts<'a, 'f> = (&'a [u8], &'a [u8], u8, Fields<'a, 'f>);

/// Parses a head of HTTP/1.2 to 1.9, which httparse refuses; they count as 1.1 (REQ-1).
#[cold]
fn later_version<'a, 'f>(head: &'a [u8]) -> Result<Parts<'a, 'f>, Refusal> {
    let mut lines = head.splitn(2, |&byte| byte == b'\n');
    let mut words = lines.next().unwrap_or_default().splitn(3, |&byte| byte == b' ');
    let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next())
    else {
        return Err(Refusal::StartLine);
    };
    let [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'2'..=b'9', b'\r'] = version else {
        return Err(Refusal::Version);
    };
    Ok((method, target, minor - b'0', Fields::own(lines.next().unwrap_or_default())?))
}

impl<'a> Request<'a, '_> {
    /// Judges every field once.
    fn read_fields(&mut self) -> Result<(), Refusal> {
        let mut codings = Codings::default();
        let mut connection = Connection::default();
        let mut protocols = Protocols::default();
        let mut host = None;
        let mut expect = None;
        for (index, field) in self.fields.iter().enumerate() {
            let Some(found) = recognise(field.name.as_bytes()) else { continue };
            if !found.plain {
                self.dropped.insert(index);
                continue;
            }
            match found.known {
                Known::Host if host.is_some() => return Err(Refusal::HostRepeated),
                Known::Host => host = Some(trim(field.value)),
                Known::ContentLength => codings.content_length(trim(field.value))?,
                Known::TransferEncoding => codings.transfer_encoding(field.value)?,
                Known::Connection => {
                    connection.read(field.value, &self.fields, &mut self.dropped)?;
                }
                Known::Expect if self.minor == 0 => {}
                Known::Expect => {
                    if trim(field.value).eq_ignore_ascii_case(b"100-continue") {
                        expect = Some(index);
                    }
                    continue;
                }
                Known::Accept => {
                    self.accepts_json |= prefers_json(field.value);
                    continue;
                }
                Known::Authorization => continue,
                Known::Upgrade => protocols.read(field.value),
                Known::Hop => {}
                Known::Cookie
                | Known::Forwarded
                | Known::ForwardedFor
                | Known::ForwardedHost
                | Known::ForwardedPort
                | Known::ForwardedProto
                | Known::RequestId => {
                    self.special.insert(index);
                    continue;
                }
            }
            self.dropped.insert(index);
        }
        self.framing = match (codings.chunked(self.minor)?, codings.length) {
            (true, _) => Framing::Chunked,
            (false, Some(length)) => Framing::Length(length),
            (false, None) => Framing::None,
        };
        self.persistent = connection.persists(self.minor);
        self.upgrade = connection.upgrade && protocols.websocket && self.may_upgrade();
        // An Expect that Connection names ends here: nobody will answer it.
        self.expects_continue = expect.is_some_and(|index| !self.dropped.contains(index));
        match host {
            Some(host) if host::is_valid(host) => self.authority = host,
            Some(_) => return Err(Refusal::HostInvalid),
            None if self.minor >= 1 => return Err(Refusal::HostMissing),
            None => {}
        }
        Ok(())
    }

    /// Whether an upgrade that this request asks for may be passed on. Behind a body, two servers
    /// could see the tunnel begin in two places.
    fn may_upgrade(&self) -> bool {
        let has_body = !matches!(self.framing, Framing::None | Framing::Length(0));
        self.method == b"GET" && self.minor >= 1 && !has_body
    }

    /// Judges the target's form (RFC 9112 3.2).
    fn read_target(&mut self) -> Result<(), Refusal> {
        if self.method == b"CONNECT" {
            return Err(Refusal::Connect);
        }
        match self.target {
            [b'/', ..] => Ok(()),
            b"*" if self.method == b"OPTIONS" => Ok(()),
            target => self.read_absolute(strip_scheme(target).ok_or(Refusal::TargetForm)?),
        }
    }

    /// Takes apart what stands behind the `//` of an absolute-form target (REQ-4).
    fn read_absolute(&mut self, rest: &'a [u8]) -> Result<(), Refusal> {
        let end = memchr::memchr2(b'/', b'?', rest).unwrap_or(rest.len());
        let (authority, path_and_query) = rest.split_at(end);
        if !host::is_valid(authority) {
            return Err(Refusal::HostInvalid);
        }
        self.authority = authority;
        self.path_and_query = match path_and_query {
            b"" if self.method == b"OPTIONS" => b"*",
            b"" => b"/",
            path_and_query => path_and_query,
        };
        Ok(())
    }
}

fn strip_scheme(target: &[u8]) -> Option<&[u8]> {
    for scheme in [b"http://".as_slice(), b"https://"] {
        if let Some((head, rest)) = target.split_at_checked(scheme.len())
            && head.eq_ignore_ascii_case(scheme)
        {
            return Some(rest);
        }
    }
    None
}
