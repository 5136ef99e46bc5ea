//! One end of a connection, of a client or of a server: bytes go in and out, through TLS where
//! the connection has it.

use crate::cx::Cx;
use crate::kernel::{Ep, Net};
use crate::tls::Peer;
use tidegate_core::input::SocketError;

/// What became of reading all that there was.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Read {
    /// More may come.
    Open,
    /// The stream has ended.
    Ended,
    /// The connection is broken, or its TLS is.
    Broken(SocketError),
}

/// One end.
pub(super) struct Line {
    pub(super) ep: Ep,
    tls: Option<Box<Peer>>,
    out: Vec<u8>,
    /// How much of `out` the kernel has.
    taken: usize,
}

impl Line {
    pub(super) fn new(ep: Ep) -> Line {
        Line { ep, tls: None, out: Vec::new(), taken: 0 }
    }

    /// From here on, both ways are TLS.
    pub(super) fn secure(&mut self, peer: Peer) {
        self.tls = Some(Box::new(peer));
        self.collect();
    }

    /// Puts `bytes` behind what waits to be written.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        match &mut self.tls {
            None => self.out.extend_from_slice(bytes),
            Some(peer) => {
                peer.send(bytes);
                self.collect();
            }
        }
    }

    fn collect(&mut self) {
        if let Some(peer) = &mut self.tls {
            peer.take_output(&mut self.out);
        }
    }

    /// Writes what the kernel takes. An error shows itself to whoever reads next, too.
    pub(super) fn flush(&mut self, cx: &mut Cx, net: &mut Net) {
        while self.taken < self.out.len() {
            match net.send(cx, self.ep, &[&self.out[self.taken..]]) {
                Ok(n) => self.taken += n,
                Err(SocketError::WouldBlock) => return,
                Err(_) => break,
            }
        }
        self.out.clear();
        self.taken = 0;
    }

    /// Whether the kernel has everything that was written.
    pub(super) fn is_flushed(&self) -> bool {
        self.out.is_empty()
    }

    /// Appends all that can be read to `into`, and answers what TLS has to answer.
    pub(super) fn read(
        &mut self,
        cx: &mut Cx,
        net: &mut Net,
        scratch: &mut [u8],
        into: &mut Vec<u8>,
    ) -> Read {
        loop {
            match net.recv(cx, self.ep, &mut [scratch]) {
                Ok(0) => return Read::Ended,
                Ok(n) => {
                    if let Err(broken) = self.take_in(&scratch[..n], into) {
                        self.flush(cx, net);
                        return broken;
                    }
                }
                Err(SocketError::WouldBlock) => {
                    self.flush(cx, net);
                    return Read::Open;
                }
                Err(error) => return Read::Broken(error),
            }
        }
    }

    /// Takes in bytes of the wire that were read already.
    pub(super) fn take_in(&mut self, bytes: &[u8], into: &mut Vec<u8>) -> Result<(), Read> {
        let Some(peer) = &mut self.tls else {
            into.extend_from_slice(bytes);
            return Ok(());
        };
        let result = peer.receive(bytes);
        into.append(peer.received());
        self.collect();
        result.map_err(|_| Read::Broken(SocketError::Other))
    }

    /// Says goodbye and closes; what is not written then never is.
    pub(super) fn close(&mut self, cx: &mut Cx, net: &mut Net) {
        if let Some(peer) = &mut self.tls {
            peer.close();
            self.collect();
        }
        self.flush(cx, net);
        net.close(cx, self.ep);
    }
}
