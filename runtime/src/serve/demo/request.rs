//! As much of a request as an origin behind our own proxy needs to understand: the proxy has
//! checked its framing already, and sends heads in lines that end in CRLF.

/// Bytes of a head at most, with what a proxy adds to the largest it lets through.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a chunk-size or trailer line at most.
const LINE_BYTES_MAX: usize = 8 * 1024;

#[derive(Default, PartialEq, Eq)]
enum At {
    #[default]
    Head,
    /// In a body, or a chunk with its CRLF, of so many more bytes.
    Sized {
        left: u64,
        chunked: bool,
    },
    ChunkSize,
    Trailers,
}

/// A request as it arrives.
#[derive(Default)]
pub(super) struct Request {
    at: At,
    head: Vec<u8>,
    line: Vec<u8>,
    body_bytes: u64,
}

/// What came of taking bytes in.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Progress {
    More,
    Complete,
    Broken,
}

impl Request {
    /// Takes bytes up to the request's end: how many, and whether that was reached.
    pub(super) fn take(&mut self, bytes: &[u8]) -> (usize, Progress) {
        let mut taken = 0;
        while taken < bytes.len() {
            let progress = match &mut self.at {
                At::Sized { left, chunked } => {
                    let n = (*left).min((bytes.len() - taken) as u64);
                    *left -= n;
                    taken += n as usize;
                    match (*left, *chunked) {
                        (0, false) => Progress::Complete,
                        (0, true) => {
                            self.at = At::ChunkSize;
                            Progress::More
                        }
                        _ => Progress::More,
                    }
                }
                _ => {
                    taken += 1;
                    self.take_byte(bytes[taken - 1])
                }
            };
            if progress != Progress::More {
                return (taken, progress);
            }
        }
        (taken, Progress::More)
    }

    fn take_byte(&mut self, byte: u8) -> Progress {
        if self.at == At::Head {
            self.head.push(byte);
            return match () {
                () if self.head.ends_with(b"\r\n\r\n") => self.begin_body(),
                () if self.head.len() == HEAD_BYTES_MAX => Progress::Broken,
                () => Progress::More,
            };
        }
        self.line.push(byte);
        if !self.line.ends_with(b"\r\n") {
            let full = self.line.len() == LINE_BYTES_MAX;
            return if full { Progress::Broken } else { Progress::More };
        }
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line[..line.len() - 2]).into_owned();
        if self.at == At::Trailers {
            return if line.is_empty() { Progress::Complete } else { Progress::More };
        }
        let size = line.split(';').next().unwrap_or("").trim();
        match u64::from_str_radix(size, 16).map(|size| (size, size.checked_add(2))) {
            Ok((0, _)) => self.at = At::Trailers,
            Ok((size, Some(left))) => {
                self.body_bytes = self.body_bytes.saturating_add(size);
                self.at = At::Sized { left, chunked: true };
            }
            _ => return Progress::Broken,
        }
        Progress::More
    }

    fn begin_body(&mut self) -> Progress {
        if self.field("transfer-encoding").is_some() {
            self.at = At::ChunkSize;
            return Progress::More;
        }
        match self.field("content-length").map(|length| length.parse()) {
            None | Some(Ok(0)) => Progress::Complete,
            Some(Ok(length)) => {
                self.body_bytes = length;
                self.at = At::Sized { left: length, chunked: false };
                Progress::More
            }
            Some(Err(_)) => Progress::Broken,
        }
    }

    fn head(&self) -> &str {
        // A head that is no UTF-8 has no path that means anything here.
        std::str::from_utf8(&self.head).unwrap_or("")
    }

    fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.head().lines().skip(1).filter_map(|line| line.split_once(':'));
        fields.find(|(of, _)| of.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// The target as sent.
    pub(super) fn path(&self) -> &str {
        self.head().split(' ').nth(1).unwrap_or("")
    }

    pub(super) fn is_head(&self) -> bool {
        self.head.starts_with(b"HEAD ")
    }

    /// Whether the client closes after this request.
    pub(super) fn wants_close(&self) -> bool {
        self.field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// Bytes of the body, without its framing.
    pub(super) fn body_bytes(&self) -> u64 {
        self.body_bytes
    }
}
