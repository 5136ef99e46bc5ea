//! Why a message is refused.

use crate::names::names;

/// Why a message cannot be served or forwarded (REQ-2, REQ-3, RES-1).
///
/// [`Refusal::status`] is what a client gets for its request. A response that is refused is the
/// backend's fault whatever the cause: the session answers 502 (RES-1).
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Refusal {
    /// The first bytes are no HTTP message at all.
    NotHttp,
    /// The request or status line is not of the grammar's form.
    StartLine,
    /// The request target holds a byte that no target may hold.
    TargetByte,
    /// The request target has none of the forms that its method allows.
    TargetForm,
    /// The request target is longer than its limit.
    TargetTooLong,
    /// A major version other than 1.
    Version,
    /// The head is longer than its limit.
    HeadTooLarge,
    /// The head has more fields than its limit.
    TooManyFields,
    /// A carriage return without a line feed.
    BareCr,
    /// A line feed without a carriage return.
    BareLf,
    /// NUL or another control byte.
    Control,
    /// A line that begins with white space: an obsolete folded line.
    ObsFold,
    /// White space between a field's name and its colon.
    SpaceBeforeColon,
    /// An empty field name, or one with a byte that no name may hold.
    FieldName,
    /// HTTP/1.1 without a Host.
    HostMissing,
    /// More than one Host.
    HostRepeated,
    /// A Host, or the authority of an absolute target, that is none.
    HostInvalid,
    /// More than one Content-Length, equal or not.
    LengthRepeated,
    /// A Content-Length that is not a decimal number below 2^63.
    LengthMalformed,
    /// Both Content-Length and Transfer-Encoding.
    LengthAndCoding,
    /// A Transfer-Encoding that is no list of codings.
    CodingMalformed,
    /// A transfer coding that the proxy does not know.
    CodingUnknown,
    /// A list of transfer codings that does not end with its only `chunked`.
    CodingNotFinal,
    /// A Transfer-Encoding in an HTTP/1.0 message.
    CodingInOldVersion,
    /// A Connection that names a field which must not be removed, or too many of them.
    ConnectionOption,
    /// CONNECT, which a reverse proxy does not serve.
    Connect,
    /// An empty or malformed chunk size, or one above 16 digits.
    ChunkSize,
    /// A malformed chunk extension.
    ChunkExtension,
    /// A chunk-size line longer than its limit.
    ChunkLineTooLong,
    /// A chunk's bytes do not end with CR LF.
    ChunkEnd,
    /// A trailer section longer than its limit.
    TrailersTooLarge,
    /// A body longer than `max_body`; the session's own finding (REQ-3).
    BodyTooLarge,
    /// A 101 that nobody asked for, or that switches to something else (REQ-7).
    UnaskedUpgrade,
}

impl Refusal {
    /// The status that a client gets for such a request.
    pub fn status(self) -> u16 {
        match self {
            Refusal::TargetTooLong => 414,
            Refusal::HeadTooLarge | Refusal::TooManyFields => 431,
            Refusal::BodyTooLarge => 413,
            Refusal::Version => 505,
            Refusal::CodingUnknown | Refusal::Connect => 501,
            _ => 400,
        }
    }
}

names! {
    /// The cause in words, as logs spell it.
    Refusal {
        NotHttp => "not HTTP",
        StartLine => "malformed start line",
        TargetByte => "invalid byte in target",
        TargetForm => "invalid form of target",
        TargetTooLong => "target too long",
        Version => "unsupported version",
        HeadTooLarge => "head too large",
        TooManyFields => "too many fields",
        BareCr => "bare CR",
        BareLf => "bare LF",
        Control => "control byte",
        ObsFold => "folded line",
        SpaceBeforeColon => "space before colon",
        FieldName => "invalid field name",
        HostMissing => "missing Host",
        HostRepeated => "repeated Host",
        HostInvalid => "invalid Host",
        LengthRepeated => "repeated Content-Length",
        LengthMalformed => "malformed Content-Length",
        LengthAndCoding => "both Content-Length and Transfer-Encoding",
        CodingMalformed => "malformed Transfer-Encoding",
        CodingUnknown => "unknown transfer coding",
        CodingNotFinal => "chunked is not the last coding",
        CodingInOldVersion => "Transfer-Encoding in HTTP/1.0",
        ConnectionOption => "forbidden Connection option",
        Connect => "CONNECT",
        ChunkSize => "malformed chunk size",
        ChunkExtension => "malformed chunk extension",
        ChunkLineTooLong => "chunk line too long",
        ChunkEnd => "malformed end of chunk",
        TrailersTooLarge => "trailers too large",
        BodyTooLarge => "body too large",
        UnaskedUpgrade => "101 that was not asked for",
    }
}
