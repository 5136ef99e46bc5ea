//! A naive reader of HTTP/1.1 messages, written apart from the product: slow, simple, and from the
//! start again each time it is asked.

/// A message, or as much of it as is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// The start line, without CR LF.
    pub start: String,
    /// Names in lower case, with their values.
    pub fields: Vec<(String, String)>,
    /// The payload, out of its chunks.
    pub body: Vec<u8>,
    /// Whether the body's end was seen.
    pub is_whole: bool,
    /// Whether the body was chunked.
    pub is_chunked: bool,
    /// How many bytes it took.
    pub len: usize,
}

impl Message {
    /// The values of the field `name`, which is in lower case.
    pub fn values(&self, name: &str) -> Vec<&str> {
        let of = self.fields.iter().filter(|(field, _)| field == name);
        of.map(|(_, value)| &**value).collect()
    }

    /// A response's status.
    pub fn status(&self) -> u16 {
        self.start[9..12].parse().expect("a status")
    }

    /// A request's target.
    pub fn target(&self) -> &str {
        self.start.split(' ').nth(1).expect("a target")
    }
}

/// The request at the front of `bytes`: `None` while its head is not whole.
///
/// # Panics
/// On bytes that the proxy must never send to a server.
pub fn request(bytes: &[u8]) -> Option<Message> {
    let mut message = head(bytes)?;
    let words: Vec<&str> = message.start.split(' ').collect();
    assert!(words.len() == 3 && words[2] == "HTTP/1.1", "{:?}", message.start);
    assert_eq!(message.values("host").len(), 1, "{message:?}");
    read_body(&mut message, bytes, Some(0));
    Some(message)
}

/// The response at the front of `bytes`, to a HEAD request or not: `None` while its head is not
/// whole. `at_end` tells that no more will come.
///
/// # Panics
/// On bytes that the proxy must never send to a client.
pub fn response(bytes: &[u8], to_head: bool, at_end: bool) -> Option<Message> {
    let mut message = head(bytes)?;
    assert!(message.start.starts_with("HTTP/1.1 "), "{:?}", message.start);
    let status = message.status();
    if to_head || status < 200 || status == 204 || status == 304 {
        message.is_whole = true;
        return Some(message);
    }
    read_body(&mut message, bytes, None);
    let sized = message.is_chunked || !message.values("content-length").is_empty();
    if !sized {
        message.is_whole = at_end;
    }
    Some(message)
}

/// All responses in `bytes`, to requests that were HEAD or not, interim ones among them.
///
/// # Panics
/// On bytes that the proxy must never send to a client.
pub fn responses(mut bytes: &[u8], to_head: &[bool], at_end: bool) -> Vec<Message> {
    let mut all: Vec<Message> = Vec::new();
    let mut finals = 0;
    while !bytes.is_empty() {
        let to_head = to_head.get(finals).copied().unwrap_or_default();
        let Some(message) = response(bytes, to_head, at_end) else {
            panic!("no head: {:?}", String::from_utf8_lossy(bytes));
        };
        finals += usize::from(message.status() >= 200);
        bytes = &bytes[message.len..];
        all.push(message);
    }
    all
}

fn head(bytes: &[u8]) -> Option<Message> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let text: String = bytes[..end].iter().map(|&byte| char::from(byte)).collect();
    let mut lines = text.split("\r\n");
    let start = lines.next().expect("a first line").to_string();
    assert!(!text.replace("\r\n", "").contains(['\r', '\n', '\0']), "{text:?}");
    let field = |line: &str| {
        let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("no colon: {line:?}"));
        assert!(!name.is_empty() && !name.contains([' ', '\t']), "{line:?}");
        (name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_string())
    };
    let fields = lines.map(field).collect();
    let (body, len) = (Vec::new(), end + 4);
    Some(Message { start, fields, body, is_whole: false, is_chunked: false, len })
}

/// Reads the body; without any framing it has `unframed` bytes, or all there are.
fn read_body(message: &mut Message, bytes: &[u8], unframed: Option<usize>) {
    let rest = &bytes[message.len..];
    let codings = message.values("transfer-encoding");
    let lengths = message.values("content-length");
    assert!(codings.len() + lengths.len() <= 1, "{message:?}");
    let length = lengths.first().map(|length| length.parse().expect("a length"));
    let is_chunked = codings == ["chunked"];
    assert!(is_chunked || codings.is_empty(), "{message:?}");
    message.is_chunked = is_chunked;
    if is_chunked {
        let (body, used, whole) = dechunk(rest);
        message.body = body;
        message.is_whole = whole;
        message.len += used;
        return;
    }
    let length: usize = length.or(unframed).unwrap_or(rest.len());
    message.body = rest[..length.min(rest.len())].to_vec();
    message.is_whole = rest.len() >= length;
    message.len += message.body.len();
}

/// Takes chunks apart: the payload, the bytes used, and whether the last chunk was there.
///
/// # Panics
/// On anything but what RFC 9112 7.1 allows, without extensions and trailers.
pub fn dechunk(bytes: &[u8]) -> (Vec<u8>, usize, bool) {
    let (mut payload, mut at) = (Vec::new(), 0);
    loop {
        let rest = &bytes[at..];
        let Some(line) = rest.windows(2).position(|pair| pair == b"\r\n") else {
            return (payload, bytes.len(), false);
        };
        let digits = std::str::from_utf8(&rest[..line]).expect("ASCII");
        assert!(!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit()), "{digits:?}");
        let size = usize::from_str_radix(digits, 16).expect("a size");
        let rest = &rest[line + 2..];
        let end = &rest[size.min(rest.len())..];
        payload.extend_from_slice(&rest[..size.min(rest.len())]);
        assert!(b"\r\n".starts_with(&end[..end.len().min(2)]), "a chunk ends with CR LF");
        if end.len() < 2 {
            return (payload, bytes.len(), false);
        }
        at += line + 2 + size + 2;
        if size == 0 {
            return (payload, at, true);
        }
    }
}
