//! Field names that the proxy acts on, sets of fields, and comma-separated lists.

use super::bytes::{is_text, is_token, trim};
use super::refusal::Refusal;
use httparse::Header;
use std::mem::MaybeUninit;
use std::ops::Deref;

/// Fields of a head at most, whatever the configured limit says.
pub const FIELDS_MAX: usize = 256;

/// Options that Connection fields may list at most; each is looked for among all fields.
pub const CONNECTION_OPTIONS_MAX: usize = 32;

/// Room for a head's parsed fields; lives on the stack, and costs nothing to make.
pub type FieldSpace<'a> = [MaybeUninit<Header<'a>>; FIELDS_MAX];

/// An empty [`FieldSpace`].
pub fn field_space<'a>() -> FieldSpace<'a> {
    [const { MaybeUninit::uninit() }; FIELDS_MAX]
}

/// The fields of a head, in order.
#[derive(Debug)]
pub struct Fields<'a, 'f>(Held<'a, 'f>);

#[derive(Debug)]
enum Held<'a, 'f> {
    Lent(&'f [Header<'a>]),
    /// HTTP/1.2 to 1.9, which httparse does not know; nobody sends them but to see what happens.
    Own(Vec<Header<'a>>),
}

impl<'a, 'f> Fields<'a, 'f> {
    pub(super) fn lent(fields: &'f [Header<'a>]) -> Self {
        Fields(Held::Lent(fields))
    }

    /// Parses the field lines behind a start line that httparse does not know.
    pub(super) fn own(lines: &'a [u8]) -> Result<Self, Refusal> {
        let count = memchr::memchr_iter(b'\n', lines).count().min(FIELDS_MAX);
        let mut fields = vec![httparse::EMPTY_HEADER; count];
        let parsed = match httparse::parse_headers(lines, &mut fields).map_err(unparsed)? {
            httparse::Status::Complete((_, parsed)) => parsed.len(),
            httparse::Status::Partial => return Err(Refusal::StartLine),
        };
        fields.truncate(parsed);
        Ok(Fields(Held::Own(fields)))
    }
}

impl<'a> Deref for Fields<'a, '_> {
    type Target = [Header<'a>];

    #[inline]
    fn deref(&self) -> &[Header<'a>] {
        match &self.0 {
            Held::Lent(fields) => fields,
            Held::Own(fields) => fields,
        }
    }
}

/// What httparse finds wrong that the scanner let pass: only a number of fields above the space.
#[cold]
pub(super) fn unparsed(error: httparse::Error) -> Refusal {
    match error {
        httparse::Error::TooManyHeaders => Refusal::TooManyFields,
        httparse::Error::Version => Refusal::Version,
        _ => Refusal::StartLine,
    }
}

/// A field that the proxy acts on.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Known {
    Accept,
    Authorization,
    Connection,
    ContentLength,
    Cookie,
    Expect,
    Forwarded,
    ForwardedFor,
    ForwardedHost,
    ForwardedPort,
    ForwardedProto,
    Host,
    /// Keep-Alive, Proxy-Connection, TE, Trailer: they end here (RFC 9110 7.6.1). So does
    /// HTTP2-Settings, which no client may send without naming it in Connection.
    Hop,
    RequestId,
    TransferEncoding,
    /// It ends here too; of an upgrade that is passed on, the writers write it anew.
    Upgrade,
}

/// A known field's name: `plain` unless it was written with underscores for hyphens, as some
/// servers behind would read it. Such a variant is never believed, and never passed on.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Recognised {
    pub(super) known: Known,
    pub(super) plain: bool,
}

/// Which known field `name` is, if any; case does not count (RFC 9110 5.1).
#[inline]
pub(super) fn recognise(name: &[u8]) -> Option<Recognised> {
    let is = |lower: &[u8]| folds_to(name, lower);
    let known = match (name.len(), name.first()? | 0x20) {
        (2, b't') if is(b"te") => Known::Hop,
        (4, b'h') if is(b"host") => Known::Host,
        (6, b'a') if is(b"accept") => Known::Accept,
        (6, b'c') if is(b"cookie") => Known::Cookie,
        (6, b'e') if is(b"expect") => Known::Expect,
        (7, b't') if is(b"trailer") => Known::Hop,
        (7, b'u') if is(b"upgrade") => Known::Upgrade,
        (9, b'f') if is(b"forwarded") => Known::Forwarded,
        (10, b'c') if is(b"connection") => Known::Connection,
        (10, b'k') if is(b"keep-alive") => Known::Hop,
        (12, b'x') if is(b"x-request-id") => Known::RequestId,
        (13, b'a') if is(b"authorization") => Known::Authorization,
        (14, b'c') if is(b"content-length") => Known::ContentLength,
        (14, b'h') if is(b"http2-settings") => Known::Hop,
        (15, b'x') if is(b"x-forwarded-for") => Known::ForwardedFor,
        (16, b'p') if is(b"proxy-connection") => Known::Hop,
        (16, b'x') if is(b"x-forwarded-host") => Known::ForwardedHost,
        (16, b'x') if is(b"x-forwarded-port") => Known::ForwardedPort,
        (17, b't') if is(b"transfer-encoding") => Known::TransferEncoding,
        (17, b'x') if is(b"x-forwarded-proto") => Known::ForwardedProto,
        _ => return None,
    };
    Some(Recognised { known, plain: !name.contains(&b'_') })
}

/// Whether `name` is `lower` but for case and underscores in place of hyphens.
#[inline]
fn folds_to(name: &[u8], lower: &[u8]) -> bool {
    name.len() == lower.len()
        && name.iter().zip(lower).all(|(&byte, &lower)| {
            byte.to_ascii_lowercase() == lower || byte == b'_' && lower == b'-'
        })
}

/// A set of a head's fields, by index.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct FieldSet([u64; FIELDS_MAX / 64]);

impl FieldSet {
    #[inline]
    pub(super) fn insert(&mut self, index: usize) {
        if let Some(word) = self.0.get_mut(index / 64) {
            *word |= 1 << (index % 64);
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0 == [0; FIELDS_MAX / 64]
    }

    #[inline]
    pub(super) fn contains(&self, index: usize) -> bool {
        self.0.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }
}

/// The elements of a comma-separated list, trimmed; empty ones too.
pub(super) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim)
}

/// What the Connection fields of a head say.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Connection {
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    pub(super) upgrade: bool,
    options: usize,
}

impl Connection {
    /// Reads one Connection value, and marks in `dropped` every field that it names.
    ///
    /// Refused are options that name a field which must stay (REQ-5).
    pub(super) fn read(
        &mut self,
        value: &[u8],
        fields: &[Header<'_>],
        dropped: &mut FieldSet,
    ) -> Result<(), Refusal> {
        for option in list(value) {
            self.options += 1;
            if self.options > CONNECTION_OPTIONS_MAX {
                return Err(Refusal::ConnectionOption);
            }
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                self.upgrade = true;
            } else if !option.is_empty() {
                name_dropped(option, fields, dropped)?;
            }
        }
        Ok(())
    }

    /// Whether a message of this minor version leaves its connection open (REQ-10).
    pub(super) fn persists(&self, minor: u8) -> bool {
        !self.close && (minor >= 1 || self.keep_alive)
    }
}

fn name_dropped(
    option: &[u8],
    fields: &[Header<'_>],
    dropped: &mut FieldSet,
) -> Result<(), Refusal> {
    match recognise(option).map(|found| found.known) {
        Some(
            Known::Host
            | Known::ContentLength
            | Known::TransferEncoding
            | Known::Authorization
            | Known::Cookie,
        ) => return Err(Refusal::ConnectionOption),
        Some(Known::Hop) => return Ok(()),
        _ => {}
    }
    for (index, field) in fields.iter().enumerate() {
        if field.name.as_bytes().eq_ignore_ascii_case(option) {
            dropped.insert(index);
        }
    }
    Ok(())
}

/// The protocols that the Upgrade fields of a head name (RFC 9110 7.8).
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Protocols {
    /// WebSocket, without a version (RFC 6455 4.1).
    pub(super) websocket: bool,
    pub(super) others: bool,
}

impl Protocols {
    /// Reads one Upgrade; several make one list.
    pub(super) fn read(&mut self, value: &[u8]) {
        for protocol in list(value).filter(|it| !it.is_empty()) {
            if protocol.eq_ignore_ascii_case(b"websocket") {
                self.websocket = true;
            } else {
                self.others = true;
            }
        }
    }
}

/// The length and coding fields of a head, gathered one by one (RFC 9112 6).
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Codings {
    pub(super) length: Option<u64>,
    seen: bool,
    chunked: bool,
    others: bool,
    unknown: bool,
    misplaced: bool,
}

impl Codings {
    /// Reads one Content-Length.
    pub(super) fn content_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.length.is_some() {
            return Err(Refusal::LengthRepeated);
        }
        self.length = Some(decimal(value).ok_or(Refusal::LengthMalformed)?);
        Ok(())
    }

    /// Reads one Transfer-Encoding; several make one list.
    pub(super) fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        self.seen = true;
        for coding in list(value) {
            if coding.is_empty() || !coding.iter().all(|&byte| is_token(byte)) {
                return Err(Refusal::CodingMalformed);
            }
            self.misplaced |= self.chunked;
            if coding.eq_ignore_ascii_case(b"chunked") {
                self.chunked = true;
            } else {
                self.others = true;
                self.unknown |= !KNOWN_CODINGS.iter().any(|it| coding.eq_ignore_ascii_case(it));
            }
        }
        Ok(())
    }

    /// Whether the body is chunked; `None` when no Transfer-Encoding is there (REQ-2).
    pub(super) fn chunked(&self, minor: u8) -> Result<bool, Refusal> {
        if !self.seen {
            return Ok(false);
        }
        if self.length.is_some() {
            Err(Refusal::LengthAndCoding)
        } else if minor == 0 {
            Err(Refusal::CodingInOldVersion)
        } else if self.misplaced {
            // Before the unknown ones: what goes on behind `chunked` can be read in two ways.
            Err(Refusal::CodingNotFinal)
        } else if self.unknown {
            Err(Refusal::CodingUnknown)
        } else if !self.chunked {
            Err(Refusal::CodingNotFinal)
        } else if self.others {
            // Well-formed, but the proxy can neither decode nor vouch for a compressed transfer.
            Err(Refusal::CodingUnknown)
        } else {
            Ok(true)
        }
    }
}

const KNOWN_CODINGS: [&[u8]; 5] = [b"gzip", b"x-gzip", b"compress", b"x-compress", b"deflate"];

/// A decimal number below 2^63: digits and nothing else (RFC 9110 8.6).
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    let mut number: u64 = 0;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    i64::try_from(number).is_ok().then_some(number)
}

/// Whether `name` can be a field's name; for configurations.
pub fn is_field_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|&byte| is_token(byte))
}

/// Whether `value` can be a field's value; for configurations.
pub fn is_field_value(value: &[u8]) -> bool {
    value.iter().all(|&byte| is_text(byte))
}

/// Whether the proxy writes or removes the field `name` by its own rules, so that no
/// configuration may set or remove it: framing and hop-by-hop fields.
pub fn is_reserved(name: &[u8]) -> bool {
    recognise(name).is_some_and(|found| {
        matches!(
            found.known,
            Known::Connection
                | Known::ContentLength
                | Known::Hop
                | Known::TransferEncoding
                | Known::Upgrade
        )
    })
}
