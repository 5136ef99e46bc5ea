//! The origins: one that echoes or pours over TCP, one that echoes WebSocket frames.

use crate::client::{Step, read, rearm, write};
use crate::websocket;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

/// The first byte of a TCP connection that wants all it sends back, this byte included.
pub(crate) const ECHO: u8 = b'e';
/// The first byte of a TCP connection that wants bytes without end.
pub(crate) const POUR: u8 = b'p';

const LISTENER: Token = Token(usize::MAX);
const EVENTS: usize = 1024;
const BLOCK: &[u8] = &[b'.'; 64 * 1024];
/// Reads or blocks of one connection before the others have their turn.
const TURNS_MAX: usize = 16;
const HEAD_MAX: usize = 16 * 1024;
/// Ends where the value of Sec-WebSocket-Accept begins.
const UPGRADE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
Upgrade: websocket\r\nSec-WebSocket-Accept: ";
const REFUSAL: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// Which origin is served.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Tcp,
    WebSocket,
}

enum Role {
    /// TCP before its first byte.
    Undecided,
    Echo,
    Pour,
    /// WebSocket before the whole head of the request.
    Head,
    Frames,
}

struct Connection {
    stream: TcpStream,
    role: Role,
    /// What no answer was made of yet: less than a head or a frame.
    input: Vec<u8>,
    output: Vec<u8>,
    sent: usize,
    /// Closed once `output` is sent.
    closing: bool,
}

impl Connection {
    fn ready(&mut self) -> io::Result<Step> {
        let mut bytes = [0; 16 * 1024];
        for _ in 0..TURNS_MAX {
            if !self.flush()? {
                return Ok(Step::Wait);
            }
            if self.closing {
                return Ok(Step::Close);
            }
            if matches!(self.role, Role::Pour) {
                if !write(&mut self.stream, BLOCK, &mut self.sent)? {
                    return Ok(Step::Wait);
                }
                self.sent = 0;
                continue;
            }
            let Some(count) = read(&mut self.stream, &mut bytes)? else { return Ok(Step::Wait) };
            self.closing = count == 0;
            self.take(&bytes[..count])?;
            if 0 < count && count < bytes.len() && self.flush()? && !self.closing {
                return Ok(if matches!(self.role, Role::Pour) { Step::Yield } else { Step::Wait });
            }
        }
        Ok(Step::Yield)
    }

    /// Sends the output; true when all of it is sent.
    fn flush(&mut self) -> io::Result<bool> {
        if self.output.is_empty() {
            return Ok(true);
        }
        let whole = write(&mut self.stream, &self.output, &mut self.sent)?;
        if whole {
            self.output.clear();
            self.sent = 0;
        }
        Ok(whole)
    }

    /// Makes output of what was read.
    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        if matches!(self.role, Role::Undecided) {
            self.role = match bytes.first() {
                None => return Ok(()),
                Some(&ECHO) => Role::Echo,
                Some(&POUR) => Role::Pour,
                Some(_) => return Err(io::Error::other("neither echo nor pour")),
            };
        }
        match self.role {
            Role::Undecided | Role::Pour => Ok(()),
            Role::Echo => {
                self.output.extend_from_slice(bytes);
                Ok(())
            }
            Role::Head | Role::Frames => {
                self.input.extend_from_slice(bytes);
                self.answer()
            }
        }
    }

    fn answer(&mut self) -> io::Result<()> {
        if matches!(self.role, Role::Head) {
            let Some(end) = self.input.windows(4).position(|four| four == b"\r\n\r\n") else {
                let long = self.input.len() > HEAD_MAX;
                return if long { Err(io::Error::other("no end of the head")) } else { Ok(()) };
            };
            let head: Vec<u8> = self.input.drain(..end + 4).collect();
            let upgrade = websocket::field(&head, "upgrade").unwrap_or_default();
            let key = websocket::field(&head, "sec-websocket-key");
            let (true, Some(key)) = (upgrade.eq_ignore_ascii_case(b"websocket"), key) else {
                // What asked for it did not get through the proxy.
                self.output.extend_from_slice(REFUSAL);
                self.closing = true;
                return Ok(());
            };
            self.output.extend_from_slice(UPGRADE);
            self.output.extend_from_slice(websocket::accept_key(key).as_bytes());
            self.output.extend_from_slice(b"\r\n\r\n");
            self.role = Role::Frames;
        }
        while !self.closing
            && let Some((first, payload)) = websocket::take_frame(&mut self.input)?
        {
            websocket::frame(first, None, &payload, &mut self.output);
            self.closing = first & 0x0f == websocket::CLOSE;
        }
        Ok(())
    }
}

/// Serves until the process is ended.
pub(crate) fn serve(port: u16, kind: Kind) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(EVENTS);
    let mut listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut connections = BTreeMap::new();
    let mut next = 0;
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for event in &events {
            let token = event.token();
            if token == LISTENER {
                accept(&listener, kind, &poll, &mut connections, &mut next)?;
            } else if let Some(connection) = connections.get_mut(&token) {
                // A connection that fails is closed; the load sees it and says so.
                match connection.ready().unwrap_or(Step::Close) {
                    Step::Wait => {}
                    Step::Yield => rearm(&mut connection.stream, &poll, token)?,
                    Step::Close => drop(connections.remove(&token)),
                }
            }
        }
    }
}

fn accept(
    listener: &TcpListener,
    kind: Kind,
    poll: &Poll,
    connections: &mut BTreeMap<Token, Connection>,
    next: &mut usize,
) -> io::Result<()> {
    loop {
        let mut stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            // The peer is gone before it was accepted.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(error) => return Err(error),
        };
        stream.set_nodelay(true)?;
        let token = Token(*next);
        *next += 1;
        poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        let role = match kind {
            Kind::Tcp => Role::Undecided,
            Kind::WebSocket => Role::Head,
        };
        let (input, output) = (Vec::new(), Vec::new());
        let connection = Connection { stream, role, input, output, sent: 0, closing: false };
        connections.insert(token, connection);
    }
}
