//! What is exchanged with the origins of `origin.rs` over one long connection.

use crate::client::{Exchange, Step, Tally, read, write};
use crate::origin::{ECHO, POUR};
use crate::websocket;
use mio::net::TcpStream;
use std::io;

/// Bytes of a ping-pong message, and of a WebSocket frame's payload.
const MESSAGE_LEN: usize = 64;
/// Reads of one connection before the others have their turn.
const READS_MAX: usize = 16;
const BLOCK_LEN: usize = 64 * 1024;
/// The head of an answer to an upgrade may not be longer.
const HEAD_MAX: usize = 4096;

/// A message there and back, again and again.
#[derive(Default)]
pub(crate) struct PingPong {
    trip: Trip,
}

impl Exchange for PingPong {
    fn open(&mut self) -> io::Result<()> {
        let message = [ECHO; MESSAGE_LEN].to_vec();
        self.trip = Trip { answer: message.clone(), message, ..Trip::default() };
        Ok(())
    }

    fn ready(&mut self, stream: &mut TcpStream, tally: &mut Tally) -> io::Result<Step> {
        self.trip.ready(stream, tally)
    }
}

/// One message under way and the answer that it must get.
#[derive(Default)]
struct Trip {
    message: Vec<u8>,
    answer: Vec<u8>,
    sent: usize,
    got: Vec<u8>,
}

impl Trip {
    fn ready(&mut self, stream: &mut TcpStream, tally: &mut Tally) -> io::Result<Step> {
        loop {
            let unsent = self.sent < self.message.len();
            // Behind a whole message there is nothing to read yet: the answer is a new edge.
            if !write(stream, &self.message, &mut self.sent)? || unsent {
                return Ok(Step::Wait);
            }
            let mut bytes = [0; 2 * MESSAGE_LEN];
            match read(stream, &mut bytes)? {
                None => return Ok(Step::Wait),
                Some(0) => return Err(ended()),
                Some(count) => self.got.extend_from_slice(&bytes[..count]),
            }
            if self.got.len() < self.answer.len() {
                return Ok(Step::Wait);
            }
            if self.got != self.answer {
                return Err(io::Error::other("the echo is not what was sent"));
            }
            tally.units += 1;
            tally.bytes += self.got.len() as u64;
            self.got.clear();
            self.sent = 0;
        }
    }
}

/// Reads what the origin pours.
pub(crate) struct Bulk {
    sent: usize,
    block: Vec<u8>,
}

impl Default for Bulk {
    fn default() -> Self {
        Self { sent: 0, block: vec![0; BLOCK_LEN] }
    }
}

impl Exchange for Bulk {
    fn open(&mut self) -> io::Result<()> {
        self.sent = 0;
        Ok(())
    }

    fn ready(&mut self, stream: &mut TcpStream, tally: &mut Tally) -> io::Result<Step> {
        if !write(stream, &[POUR], &mut self.sent)? {
            return Ok(Step::Wait);
        }
        for _ in 0..READS_MAX {
            match read(stream, &mut self.block)? {
                None => return Ok(Step::Wait),
                Some(0) => return Err(ended()),
                Some(count) => {
                    tally.bytes += count as u64;
                    if count < self.block.len() {
                        return Ok(Step::Wait);
                    }
                }
            }
        }
        Ok(Step::Yield)
    }
}

/// An upgrade, then a masked frame there and its echo back, again and again.
#[derive(Default)]
pub(crate) struct WebSocket {
    sent: usize,
    head: Vec<u8>,
    trip: Option<Trip>,
}

impl WebSocket {
    /// Sends the request for the upgrade and reads the answer's head; true when it is a 101.
    fn upgrade(&mut self, stream: &mut TcpStream) -> io::Result<bool> {
        if !write(stream, websocket::REQUEST, &mut self.sent)? {
            return Ok(false);
        }
        while !self.head.ends_with(b"\r\n\r\n") {
            let mut bytes = [0; 1024];
            match read(stream, &mut bytes)? {
                None => return Ok(false),
                Some(0) => return Err(ended()),
                Some(count) => self.head.extend_from_slice(&bytes[..count]),
            }
            if self.head.len() > HEAD_MAX {
                return Err(io::Error::other("no end of the answer's head"));
            }
        }
        let accepted = websocket::field(&self.head, "sec-websocket-accept")
            .is_some_and(|key| key == websocket::accept_key(websocket::KEY.as_bytes()).as_bytes());
        if !self.head.starts_with(b"HTTP/1.1 101 ") || !accepted {
            let line = self.head.split(|&byte| byte == b'\r').next().unwrap_or_default();
            let line = String::from_utf8_lossy(line);
            return Err(io::Error::other(format!("not upgraded: {line}")));
        }
        Ok(true)
    }
}

impl Exchange for WebSocket {
    fn open(&mut self) -> io::Result<()> {
        *self = Self::default();
        Ok(())
    }

    fn ready(&mut self, stream: &mut TcpStream, tally: &mut Tally) -> io::Result<Step> {
        if self.trip.is_none() {
            if !self.upgrade(stream)? {
                return Ok(Step::Wait);
            }
            let (mut message, mut answer) = (Vec::new(), Vec::new());
            websocket::frame(websocket::BINARY, Some(*b"mask"), &[b'w'; MESSAGE_LEN], &mut message);
            websocket::frame(websocket::BINARY, None, &[b'w'; MESSAGE_LEN], &mut answer);
            self.trip = Some(Trip { message, answer, ..Trip::default() });
        }
        match &mut self.trip {
            Some(trip) => trip.ready(stream, tally),
            None => Ok(Step::Wait),
        }
    }
}

fn ended() -> io::Error {
    io::Error::other("the connection was closed")
}
