//! As much of HTTP as a browser and a server need here. What the proxy emits is judged by the
//! simulator's oracle, in sweeps; a rehearsal only has to understand it.

/// The head of a response.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Response {
    /// Its bytes.
    pub(super) bytes: usize,
    pub(super) status: u16,
    /// Bytes of the body, if that is told.
    pub(super) length: Option<u64>,
    /// The connection ends behind it.
    pub(super) closes: bool,
    /// The request that a server of ours answers.
    pub(super) answers: Option<u32>,
    /// Cookies to keep, as `NAME=VALUE`.
    pub(super) cookies: Vec<String>,
}

/// The head of a request.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Request {
    /// Its bytes.
    pub(super) bytes: usize,
    /// Nothing is sent behind the head of the answer.
    pub(super) is_head: bool,
    /// Its number.
    pub(super) id: u32,
    /// Bytes of its body.
    pub(super) length: u64,
}

/// The field by which a server of ours says what it answers.
pub(super) const ANSWERS: &str = "X-Rehearsal";
/// What stands before the number of a request, in its query.
pub(super) const NUMBER: &str = "tg=";
/// Bytes of a head at most.
const HEAD_BYTES_MAX: usize = 256 * 1024;

/// The next head in `bytes`: its lines, and its length; `None` while it is not whole.
fn head(bytes: &[u8]) -> Result<Option<(&str, usize)>, String> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return match bytes.len() > HEAD_BYTES_MAX {
            true => Err("a head without end".into()),
            false => Ok(None),
        };
    };
    match std::str::from_utf8(&bytes[..end]) {
        Ok(text) => Ok(Some((text, end + 4))),
        Err(_) => Err("a head that is not text".into()),
    }
}

fn fields(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = text.split("\r\n").skip(1);
    lines.filter_map(|line| line.split_once(':').map(|(name, value)| (name, value.trim())))
}

/// Reads the head of a response; `None` while it is not whole.
pub(super) fn response(bytes: &[u8]) -> Result<Option<Response>, String> {
    let Some((text, end)) = head(bytes)? else { return Ok(None) };
    let first = text.split("\r\n").next().unwrap_or_default();
    let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    let status = status.ok_or_else(|| format!("no status line: {first:?}"))?;
    let mut found = Response { bytes: end, status, ..Response::default() };
    for (name, value) in fields(text) {
        if name.eq_ignore_ascii_case("content-length") {
            found.length = Some(value.parse().map_err(|_| format!("a length of {value:?}"))?);
        } else if name.eq_ignore_ascii_case("connection") {
            found.closes |= value.eq_ignore_ascii_case("close");
        } else if name.eq_ignore_ascii_case(ANSWERS) {
            found.answers = value.parse().ok();
        } else if name.eq_ignore_ascii_case("set-cookie") {
            found.cookies.push(value.split(';').next().unwrap_or_default().to_owned());
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(format!("a body in another framing than it was sent: {value}"));
        }
    }
    Ok(Some(found))
}

/// Reads the head of a request; `None` while it is not whole.
pub(super) fn request(bytes: &[u8]) -> Result<Option<Request>, String> {
    let Some((text, end)) = head(bytes)? else { return Ok(None) };
    let first = text.split("\r\n").next().unwrap_or_default();
    let id = number(first.as_bytes()).ok_or_else(|| format!("not a request of ours: {first:?}"))?;
    let mut found =
        Request { bytes: end, is_head: first.starts_with("HEAD "), id, ..Request::default() };
    for (name, value) in fields(text) {
        if name.eq_ignore_ascii_case("content-length") {
            found.length = value.parse().map_err(|_| format!("a length of {value:?}"))?;
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(format!("a body in another framing than it was sent: {value}"));
        }
    }
    Ok(Some(found))
}

/// The number of the request whose target stands in `text`.
pub(super) fn number(text: &[u8]) -> Option<u32> {
    let at = text.windows(NUMBER.len()).rposition(|window| window == NUMBER.as_bytes())?;
    let digits = text[at + NUMBER.len()..].iter().take_while(|byte| byte.is_ascii_digit());
    let mut number: Option<u32> = None;
    for digit in digits {
        let so_far = number.unwrap_or(0).checked_mul(10)?;
        number = Some(so_far.checked_add(u32::from(digit - b'0'))?);
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_once_they_are_whole() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nSet-Cookie: tg=a; Path=/\r\n\
            connection: close\r\nx-rehearsal: 7\r\n\r\nhello";
        let found = response(text).unwrap().unwrap();
        assert_eq!((found.status, found.length, found.closes), (200, Some(5), true));
        assert_eq!((found.answers, &found.cookies[..]), (Some(7), &["tg=a".to_owned()][..]));
        assert_eq!(&text[found.bytes..], b"hello");
        assert_eq!(response(&text[..40]), Ok(None));
        assert!(response(b"HTTP/1.0 200 OK\r\n\r\n").is_err());
        assert!(response(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
        let ask = request(b"POST /a?tg=12 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc").unwrap();
        assert_eq!(ask.map(|ask| (ask.id, ask.length, ask.is_head)), Some((12, 3, false)));
        assert!(request(b"GET / HTTP/1.1\r\n\r\n").is_err());
    }

    #[test]
    fn numbers_stand_behind_their_name() {
        assert_eq!(number(b"/x?y=1&tg=42 HTTP"), Some(42));
        assert_eq!((number(b"/x?tg="), number(b"/tg=99999999999")), (None, None));
    }
}
