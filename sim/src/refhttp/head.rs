//! Heads: a strict parser, and a lenient one that must come to the same result.

use std::ops::Range;

/// Whether a head begins a request or a response.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `GET / HTTP/1.1`
    Request,
    /// `HTTP/1.1 200 OK`
    Response,
}

/// A head, taken apart.
#[derive(Debug)]
pub struct Head {
    bytes: Vec<u8>,
    first: [Range<usize>; 3],
    fields: Vec<(Range<usize>, Range<usize>)>,
}

impl Head {
    /// Method, target and version, or version, status and reason.
    pub fn first(&self, part: usize) -> &[u8] {
        &self.bytes[self.first[part].clone()]
    }

    /// The status code of a response.
    pub fn status(&self) -> u16 {
        self.first(1).iter().fold(0, |n, digit| n * 10 + u16::from(digit - b'0'))
    }

    /// All fields in order: name and value.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let part = |range: &Range<usize>| &self.bytes[range.clone()];
        self.fields.iter().map(move |(name, value)| (part(name), part(value)))
    }

    /// The values of every field called `name`, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.fields()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }

    /// The only value of `name`: `None` if there is none or more than one.
    pub fn only<'a>(&'a self, name: &'a str) -> Option<&'a [u8]> {
        let mut values = self.all(name);
        values.next().filter(|_| values.next().is_none())
    }

    /// Whether some field called `name` lists `token`.
    pub fn lists(&self, name: &str, token: &str) -> bool {
        self.all(name)
            .flat_map(|value| value.split(|&b| b == b','))
            .any(|part| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_value(byte: u8) -> bool {
    byte == b'\t' || (byte >= 0x20 && byte != 0x7f)
}

/// Takes `bytes`, a head with its final empty line, apart by the letter of RFC 9112.
pub fn parse(kind: Kind, bytes: Vec<u8>) -> Result<Head, &'static str> {
    let line_end = find_crlf(&bytes, 0).ok_or("no first line")?;
    let first = match kind {
        Kind::Request => request_line(&bytes, line_end)?,
        Kind::Response => status_line(&bytes, line_end)?,
    };
    let mut fields = Vec::with_capacity(16);
    let mut at = line_end + 2;
    loop {
        let end = find_crlf(&bytes, at).ok_or("a line without CRLF")?;
        if end == at {
            break;
        }
        fields.push(field(&bytes, at, end)?);
        at = end + 2;
    }
    if at + 2 != bytes.len() {
        return Err("bytes behind the empty line");
    }
    Ok(Head { bytes, first, fields })
}

fn find_crlf(bytes: &[u8], from: usize) -> Option<usize> {
    let at = from + bytes[from..].iter().position(|&b| b == b'\r' || b == b'\n')?;
    (bytes[at] == b'\r' && bytes.get(at + 1) == Some(&b'\n')).then_some(at)
}

fn request_line(bytes: &[u8], end: usize) -> Result<[Range<usize>; 3], &'static str> {
    let line = &bytes[..end];
    let one = line.iter().position(|&b| b == b' ').ok_or("no target")?;
    let two = one + 1 + line[one + 1..].iter().position(|&b| b == b' ').ok_or("no version")?;
    if one == 0 || !line[..one].iter().all(|&b| is_token(b)) {
        return Err("a bad method");
    }
    if two == one + 1 || !line[one + 1..two].iter().all(u8::is_ascii_graphic) {
        return Err("a bad target");
    }
    if !matches!(&line[two + 1..], b"HTTP/1.1" | b"HTTP/1.0") {
        return Err("a bad version");
    }
    Ok([0..one, one + 1..two, two + 1..end])
}

fn status_line(bytes: &[u8], end: usize) -> Result<[Range<usize>; 3], &'static str> {
    let line = &bytes[..end];
    if line.len() < 13 || !matches!(&line[..9], b"HTTP/1.1 " | b"HTTP/1.0 ") {
        return Err("a bad status line");
    }
    if !line[9..12].iter().all(u8::is_ascii_digit) || !(b'1'..=b'9').contains(&line[9]) {
        return Err("a bad status");
    }
    if line[12] != b' ' || !line[13..].iter().all(|&b| is_value(b)) {
        return Err("a bad reason");
    }
    Ok([0..8, 9..12, 13..end])
}

fn field(
    bytes: &[u8],
    at: usize,
    end: usize,
) -> Result<(Range<usize>, Range<usize>), &'static str> {
    let line = &bytes[at..end];
    let colon = line.iter().position(|&b| b == b':').ok_or("a field without a colon")?;
    if colon == 0 || !line[..colon].iter().all(|&b| is_token(b)) {
        return Err("a bad field name");
    }
    let value = &line[colon + 1..];
    if !value.iter().all(|&b| is_value(b)) {
        return Err("a bad field value");
    }
    let is_blank = |b: &u8| *b == b' ' || *b == b'\t';
    let from = value.iter().position(|b| !is_blank(b)).unwrap_or(value.len());
    let to = value.iter().rposition(|b| !is_blank(b)).map_or(from, |last| last + 1);
    let base = at + colon + 1;
    Ok((at..at + colon, base + from..base + to))
}

/// Names and values, as a lenient reader sees them.
pub(super) type LooseFields = Vec<(Vec<u8>, Vec<u8>)>;

/// What a server that takes everything would make of a head: first line, and trimmed fields.
///
/// Lines end at any CR or LF, names may carry blanks, a leading blank continues a line. It must
/// see the same as [`parse`], else two servers could read the bytes in two ways.
pub fn lenient_view(bytes: &[u8]) -> (Vec<u8>, LooseFields) {
    let mut lines: Vec<Vec<u8>> = Vec::new();
    for line in bytes.split(|&b| b == b'\n' || b == b'\r') {
        let is_continued = line.first().is_some_and(|&b| b == b' ' || b == b'\t');
        match lines.last_mut() {
            Some(last) if is_continued => last.extend_from_slice(line),
            _ if line.trim_ascii().is_empty() => {}
            _ => lines.push(line.to_vec()),
        }
    }
    let mut lines = lines.into_iter();
    let first = lines.next().unwrap_or_default();
    let fields = lines
        .map(|line| match line.iter().position(|&b| b == b':') {
            Some(colon) => {
                let (name, value) = (&line[..colon], &line[colon + 1..]);
                (name.trim_ascii().to_vec(), value.trim_ascii().to_vec())
            }
            None => (line, Vec::new()),
        })
        .collect();
    (first, fields)
}
