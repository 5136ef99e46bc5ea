//! A client that is a blocking socket and a reader of responses that takes nothing on trust.

use crate::proxy::PATIENCE;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// How a connection ended, seen by the one who reads.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// A clean end.
    Fin,
    /// A reset.
    Reset,
    /// It did not end: nothing came for as long as the reader waits.
    Open,
}

/// A response that did not come whole.
#[derive(Debug)]
pub(crate) struct Cut {
    /// How the connection ended.
    pub(crate) end: End,
    /// Bytes of the response that had come, head included.
    pub(crate) bytes: usize,
}

/// A whole response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The statuses of the interim responses in front of it.
    pub(crate) interim: Vec<u16>,
}

impl Response {
    /// The field's value, if it stands exactly once.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        let value = values.next();
        assert!(values.next().is_none(), "{name} stands twice in {:?}", self.fields);
        value.map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("text")
    }

    /// Whether the connection ends behind it.
    pub(crate) fn closes(&self) -> bool {
        self.field("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// How a body ends.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
    Close,
}

/// Parses the lines of a head: the start line and the fields.
pub(crate) fn parse_head(head: &[u8]) -> (String, Vec<(String, String)>) {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split("\r\n");
    let start = lines.next().unwrap_or_default().to_string();
    let fields = lines.filter(|line| !line.is_empty()).map(|line| {
        let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("not a field: {line:?}"));
        (name.to_string(), value.trim().to_string())
    });
    (start, fields.collect())
}

/// The framing that the fields of a message state.
pub(crate) fn framing(fields: &[(String, String)], otherwise: Framing) -> Framing {
    let get = |name: &str| {
        let mut values = fields.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} stands twice: {fields:?}");
        value
    };
    match (get("Transfer-Encoding"), get("Content-Length")) {
        (Some(_), Some(_)) => panic!("both framings: {fields:?}"),
        (Some(coding), None) => {
            assert!(coding.eq_ignore_ascii_case("chunked"), "coding {coding:?}");
            Framing::Chunked
        }
        (None, Some(length)) => Framing::Length(length.parse().expect("a length")),
        (None, None) => otherwise,
    }
}

/// A socket with the bytes that were read and not used yet.
pub(crate) struct Wire<S> {
    pub(crate) stream: S,
    held: Vec<u8>,
    /// Bytes taken from the socket so far.
    pub(crate) taken: usize,
}

impl<S: Read + Write> Wire<S> {
    pub(crate) fn over(stream: S) -> Wire<S> {
        Wire { stream, held: Vec::new(), taken: 0 }
    }

    /// Reads once more from the socket.
    fn fill(&mut self) -> Result<(), End> {
        let mut part = [0; 64 * 1024];
        let count = loop {
            match self.stream.read(&mut part) {
                Ok(0) => return Err(End::Fin),
                Ok(count) => break count,
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => return Err(End::Open),
                    _ => return Err(End::Reset),
                },
            }
        };
        self.taken += count;
        self.held.extend_from_slice(&part[..count]);
        Ok(())
    }

    /// Takes everything up to and including `mark`.
    pub(crate) fn until(&mut self, mark: &[u8]) -> Result<Vec<u8>, End> {
        let mut from = 0;
        loop {
            let found = self.held[from..].windows(mark.len()).position(|at| at == mark);
            if let Some(at) = found {
                return Ok(self.held.drain(..from + at + mark.len()).collect());
            }
            from = self.held.len().saturating_sub(mark.len() - 1);
            self.fill()?;
        }
    }

    /// Gives the next `count` bytes to `sink`, in pieces.
    fn exactly(&mut self, mut count: u64, sink: &mut dyn FnMut(&[u8])) -> Result<(), End> {
        while count > 0 {
            if self.held.is_empty() {
                self.fill()?;
            }
            let len = self.held.len().min(usize::try_from(count).unwrap_or(usize::MAX));
            sink(&self.held[..len]);
            self.held.drain(..len);
            count -= len as u64;
        }
        Ok(())
    }

    /// Gives a body to `sink`, checking every byte of its framing.
    pub(crate) fn body(&mut self, how: Framing, sink: &mut dyn FnMut(&[u8])) -> Result<(), End> {
        match how {
            Framing::Length(count) => self.exactly(count, sink),
            Framing::Chunked => loop {
                let line = self.until(b"\r\n")?;
                let digits = std::str::from_utf8(&line[..line.len() - 2]).expect("a chunk size");
                let size = u64::from_str_radix(digits, 16).expect("a bare chunk size");
                self.exactly(size, sink)?;
                assert_eq!(self.until(b"\r\n")?, b"\r\n", "what follows a chunk, or the last one");
                if size == 0 {
                    return Ok(());
                }
            },
            Framing::Close => loop {
                sink(&self.held);
                self.held.clear();
                match self.fill() {
                    Ok(()) => {}
                    Err(End::Fin) => return Ok(()),
                    Err(end) => return Err(end),
                }
            },
        }
    }

    /// Reads on until the connection ends: what came, and how it ended.
    pub(crate) fn rest(&mut self) -> (Vec<u8>, End) {
        loop {
            if let Err(end) = self.fill() {
                return (std::mem::take(&mut self.held), end);
            }
        }
    }
}

/// One client connection.
pub(crate) struct Client {
    pub(crate) wire: Wire<TcpStream>,
}

impl Client {
    /// Connects to 127.0.0.1:`port`.
    pub(crate) fn connect(port: u16) -> Client {
        Client::try_connect(port).expect("the proxy accepts")
    }

    /// Connects, or says why not.
    pub(crate) fn try_connect(port: u16) -> std::io::Result<Client> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Client { wire: Wire::over(stream) })
    }

    /// How long a read waits.
    pub(crate) fn patience(&self, span: Duration) {
        self.wire.stream.set_read_timeout(Some(span)).expect("a timeout");
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes.as_ref()).expect("the proxy reads");
    }

    /// Sends bytes, or says why not.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.wire.stream.write_all(bytes)
    }

    /// Finishes writing.
    pub(crate) fn finish(&self) {
        self.wire.stream.shutdown(Shutdown::Write).expect("a live socket");
    }

    /// Sends a GET for `target` at host `app.example`.
    pub(crate) fn get(&mut self, target: &str) {
        self.send(get(target));
    }

    /// Reads a response whose body is collected.
    pub(crate) fn response(&mut self) -> Result<Response, Cut> {
        let mut body = Vec::new();
        let mut response = self.response_to("GET", &mut |piece| body.extend_from_slice(piece))?;
        response.body = body;
        Ok(response)
    }

    /// Reads a response to `method` whose body goes to `sink`.
    pub(crate) fn response_to(
        &mut self,
        method: &str,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<Response, Cut> {
        let before = self.wire.taken - self.wire.held.len();
        let mut interim = Vec::new();
        let result = loop {
            let head = match self.wire.until(b"\r\n\r\n") {
                Ok(head) => head,
                Err(end) => break Err(end),
            };
            let (start, fields) = parse_head(&head);
            let (version, rest) = start.split_once(' ').expect("a status line");
            assert!(version.starts_with("HTTP/1."), "{start}");
            let status: u16 = rest[..3].parse().expect("a status");
            if status < 200 {
                interim.push(status);
                continue;
            }
            let bodyless = method == "HEAD" || status == 204 || status == 304;
            let how = if bodyless { Framing::Length(0) } else { framing(&fields, Framing::Close) };
            break self.wire.body(how, sink).map(|()| Response {
                status,
                fields,
                body: Vec::new(),
                interim: std::mem::take(&mut interim),
            });
        };
        result.map_err(|end| Cut { end, bytes: self.wire.taken - before })
    }

    /// Reads until the end: the connection must end cleanly, without another byte.
    pub(crate) fn expect_closed(&mut self) {
        let (bytes, end) = self.wire.rest();
        assert_eq!((String::from_utf8_lossy(&bytes).as_ref(), end), ("", End::Fin));
    }

    /// Nothing comes, and the connection stays, for `span`.
    pub(crate) fn expect_silence(&mut self, span: Duration) {
        self.patience(span);
        let (bytes, end) = self.wire.rest();
        assert_eq!((String::from_utf8_lossy(&bytes).as_ref(), end), ("", End::Open));
        self.patience(PATIENCE);
    }
}

/// A GET for `target` at host `app.example`.
pub(crate) fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: app.example\r\n\r\n")
}

/// One GET on a connection of its own.
pub(crate) fn get_once(port: u16, target: &str) -> Result<Response, Cut> {
    let mut client = Client::connect(port);
    client.send(format!("GET {target} HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n\r\n"));
    client.response()
}

/// Sends raw bytes on a connection of their own and reads the one response.
pub(crate) fn raw_once(port: u16, bytes: impl AsRef<[u8]>) -> Result<Response, Cut> {
    let mut client = Client::connect(port);
    client.send(bytes);
    client.response()
}

/// The body that tests send both ways: each byte depends on its offset, so a lost, repeated or
/// displaced one shows.
pub(crate) fn pattern(offset: u64, into: &mut [u8]) {
    assert_eq!(offset % 8, 0, "pieces start on words");
    for (index, word) in into.chunks_mut(8).enumerate() {
        let value = (offset / 8 + index as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        word.copy_from_slice(&value.to_le_bytes()[..word.len()]);
    }
}

/// Checks pieces of the pattern as they come.
#[derive(Default)]
pub(crate) struct Check {
    /// Bytes seen.
    pub(crate) offset: u64,
    /// The first byte that differs.
    pub(crate) wrong: Option<u64>,
}

impl Check {
    /// The next piece.
    pub(crate) fn feed(&mut self, mut piece: &[u8]) {
        let mut expected = [0; 4096];
        while !piece.is_empty() {
            let skip = (self.offset % 8) as usize;
            let len = piece.len().min(expected.len() - skip);
            pattern(self.offset - skip as u64, &mut expected[..skip + len]);
            if piece[..len] != expected[skip..skip + len] && self.wrong.is_none() {
                self.wrong = Some(self.offset);
            }
            self.offset += len as u64;
            piece = &piece[len..];
        }
    }
}
