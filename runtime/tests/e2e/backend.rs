//! A scripted backend: a thread a connection, a closure that answers each request.

use crate::client::{Check, End, Framing, Wire, framing, parse_head, pattern};
use crate::proxy::PATIENCE;
use std::io::{Result, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// What a script wants with the connection after an exchange.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// Wait for the next request.
    Keep,
    /// Close it.
    Close,
}

/// One request as a backend got it, and the way to answer it.
pub(crate) struct Exchange<'a> {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) fields: Vec<(String, String)>,
    wire: &'a mut Wire<TcpStream>,
}

impl Exchange<'_> {
    /// The field's value, if it stands exactly once.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        let value = values.next();
        assert!(values.next().is_none(), "{name} stands twice: {:?}", self.fields);
        value.map(|(_, value)| value.as_str())
    }

    /// Reads the whole body; an error when it does not come whole.
    pub(crate) fn body(&mut self, sink: &mut dyn FnMut(&[u8])) -> std::result::Result<(), End> {
        let how = framing(&self.fields, Framing::Length(0));
        self.wire.body(how, sink)
    }

    /// Reads until the proxy closes.
    pub(crate) fn until_closed(&mut self) -> (Vec<u8>, End) {
        self.wire.rest()
    }

    /// Sends bytes as they are.
    pub(crate) fn raw(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        self.wire.stream.write_all(bytes.as_ref())
    }

    /// Sends a 200 with a body and a Content-Length.
    pub(crate) fn ok(&mut self, body: &str) -> Result<Next> {
        self.raw(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()))?;
        Ok(Next::Keep)
    }

    /// Sends a 200 with `size` bytes of the pattern, by length or in chunks.
    pub(crate) fn send_pattern(&mut self, size: u64, chunked: bool) -> Result<Next> {
        if chunked {
            self.raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        } else {
            self.raw(format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n"))?;
        }
        write_pattern(&mut self.wire.stream, size, chunked)?;
        Ok(Next::Keep)
    }

    /// Reads a body that must be the pattern and answers with its size, or with what is wrong.
    pub(crate) fn check_pattern(&mut self) -> Result<Next> {
        let mut check = Check::default();
        if let Err(end) = self.body(&mut |piece| check.feed(piece)) {
            // Nobody waits for an answer to half a request.
            assert_ne!(end, End::Open, "the body stalls");
            return Ok(Next::Close);
        }
        match check.wrong {
            None => self.ok(&format!("{} good bytes", check.offset)),
            Some(at) => self.ok(&format!("byte {at} is wrong")),
        }
    }
}

/// Writes `size` bytes of the pattern, as they are or as a whole chunked body.
pub(crate) fn write_pattern(to: &mut impl Write, size: u64, chunked: bool) -> Result<()> {
    // An odd number of words, so that pieces and buffers do not line up.
    let mut piece = vec![0; 8 * 4999];
    let mut offset = 0;
    while offset < size {
        let left = usize::try_from(size - offset).unwrap_or(usize::MAX);
        let len = piece.len().min(left);
        pattern(offset, &mut piece[..len]);
        if chunked {
            write!(to, "{len:x}\r\n")?;
        }
        to.write_all(&piece[..len])?;
        if chunked {
            to.write_all(b"\r\n")?;
        }
        offset += len as u64;
    }
    if chunked { to.write_all(b"0\r\n\r\n") } else { Ok(()) }
}

#[derive(Default)]
struct Shared {
    stopped: AtomicBool,
    accepted: AtomicUsize,
    requests: AtomicUsize,
    failed: AtomicBool,
    live: Mutex<Vec<TcpStream>>,
}

/// A running backend; dropped, it is killed.
pub(crate) struct Backend {
    pub(crate) port: u16,
    shared: Arc<Shared>,
    listener: Option<thread::JoinHandle<()>>,
}

impl Backend {
    /// Starts one whose every request is answered by `script`.
    pub(crate) fn start(
        script: impl Fn(&mut Exchange<'_>) -> Result<Next> + Send + Sync + 'static,
    ) -> Backend {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        Backend::on(listener, script)
    }

    /// Starts one on a port that may have been another's.
    pub(crate) fn start_at(
        port: u16,
        script: impl Fn(&mut Exchange<'_>) -> Result<Next> + Send + Sync + 'static,
    ) -> Backend {
        Backend::on(TcpListener::bind(("127.0.0.1", port)).expect("the port"), script)
    }

    fn on(
        listener: TcpListener,
        script: impl Fn(&mut Exchange<'_>) -> Result<Next> + Send + Sync + 'static,
    ) -> Backend {
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared::default());
        let (theirs, script) = (Arc::clone(&shared), Arc::new(script));
        let accepts = move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { continue };
                if theirs.stopped.load(Ordering::SeqCst) {
                    return;
                }
                theirs.accepted.fetch_add(1, Ordering::SeqCst);
                let copy = stream.try_clone().expect("a descriptor");
                theirs.live.lock().expect("no panic while held").push(copy);
                let (shared, script) = (Arc::clone(&theirs), Arc::clone(&script));
                thread::spawn(move || serve(stream, &shared, &*script));
            }
        };
        Backend { port, shared, listener: Some(thread::spawn(accepts)) }
    }

    /// One that answers every request with `body`.
    pub(crate) fn says(body: &'static str) -> Backend {
        Backend::start(move |exchange| {
            exchange.body(&mut |_| {}).expect("a whole request");
            exchange.ok(body)
        })
    }

    /// One that answers with the target it was asked for.
    pub(crate) fn echo() -> Backend {
        Backend::start(|exchange| {
            exchange.body(&mut |_| {}).expect("a whole request");
            let target = exchange.target.clone();
            exchange.ok(&target)
        })
    }

    /// Connections accepted so far.
    pub(crate) fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Request heads read so far.
    pub(crate) fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// Ends it as a killed process ends: the port refuses, live connections are shut both ways.
    pub(crate) fn kill(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        if let Some(thread) = self.listener.take() {
            // Wakes the accept, which then drops the listener.
            let _ = TcpStream::connect(("127.0.0.1", self.port));
            thread.join().expect("the listener's thread");
        }
        self.close_connections();
    }

    /// Shuts every live connection both ways; the port goes on.
    pub(crate) fn close_connections(&self) {
        for stream in self.shared.live.lock().expect("no panic while held").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.kill();
        if !thread::panicking() {
            assert!(!self.shared.failed.load(Ordering::SeqCst), "a backend's script panicked");
        }
    }
}

/// Marks the backend as failed when a script panics.
struct Alarm<'a>(&'a Shared);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.failed.store(true, Ordering::SeqCst);
        }
    }
}

fn serve(stream: TcpStream, shared: &Shared, script: &dyn Fn(&mut Exchange<'_>) -> Result<Next>) {
    let _alarm = Alarm(shared);
    stream.set_read_timeout(Some(PATIENCE * 2)).expect("a timeout");
    stream.set_nodelay(true).expect("an option");
    let mut wire = Wire::over(stream);
    while let Ok(head) = wire.until(b"\r\n\r\n") {
        shared.requests.fetch_add(1, Ordering::SeqCst);
        let (start, fields) = parse_head(&head);
        let mut words = start.split(' ').map(String::from);
        let mut word = || words.next().unwrap_or_else(|| panic!("request line {start:?}"));
        let (method, target) = (word(), word());
        assert_eq!(word(), "HTTP/1.1", "requests go to backends as 1.1 (REQ-10)");
        let mut exchange = Exchange { method, target, fields, wire: &mut wire };
        match script(&mut exchange) {
            Ok(Next::Keep) => {}
            Ok(Next::Close) | Err(_) => break,
        }
    }
    // The copy in `live` would hold the connection open.
    let _ = wire.stream.shutdown(Shutdown::Both);
}
