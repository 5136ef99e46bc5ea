//! TLS between an actor and its socket: the actor goes on in plaintext, the wire has records.
//!
//! What the proxy emits is opened as soon as it is emitted, so that the oracle sees plaintext when
//! it sees a system call; the far end acts on it only once it has read it. Offsets of records and
//! of plaintext are told to the kernel ([`crate::kernel::Net::mark_content`]), which everybody asks
//! who counts bytes of content.

mod facts;
mod lenient;
mod link;
mod sabotage;
mod store;

pub use facts::{Facts, Refused};
pub use lenient::Lenient;
pub use link::Link;
pub use sabotage::{Damage, Trouble};
pub use store::Store;

use crate::cx::Cx;
use crate::kernel::{Ep, Net};
use crate::tls::Peer;
use tidegate_core::input::SocketError;

/// The layers of a run, by connection. An endpoint without one is plain.
#[derive(Default)]
pub struct Layers {
    links: Vec<Option<Box<Link>>>,
    /// By server: whether it speaks TLS.
    pub secure_servers: Vec<bool>,
    /// Room for plaintext, for whoever calls [`Layers::feed`].
    pub scratch: Vec<u8>,
}

impl Layers {
    /// None yet; of the servers, those speak TLS that `secure_servers` says.
    pub fn new(secure_servers: Vec<bool>) -> Layers {
        Layers { secure_servers, ..Layers::default() }
    }

    /// Whether a server speaks TLS.
    pub fn is_secure(&self, server: u16) -> bool {
        self.secure_servers.get(usize::from(server)) == Some(&true)
    }

    /// The layer at the peer's end `ep` of a connection, or at the proxy's end of it.
    pub fn link(&self, ep: Ep) -> Option<&Link> {
        self.links.get(ep as usize / 2)?.as_deref()
    }

    fn link_mut(&mut self, ep: Ep) -> Option<&mut Link> {
        self.links.get_mut(ep as usize / 2)?.as_deref_mut()
    }

    /// Puts a layer at the end `ep`, which is the peer's.
    pub fn insert(&mut self, net: &mut Net, ep: Ep, link: Link) {
        let index = ep as usize / 2;
        if index >= self.links.len() {
            self.links.resize_with(index + 32, || None);
        }
        net.wrap(ep);
        net.wrap(ep ^ 1);
        link.inserted(net, ep);
        self.links[index] = Some(Box::new(link));
    }

    /// The peer at `ep` has accepted: takes in what came before.
    pub fn begin(&mut self, net: &mut Net, ep: Ep, peer: Option<Peer>, facts: Facts, piece: u64) {
        let Some(link) = self.link_mut(ep) else { return };
        link.begin(peer, facts, piece);
        let mut nothing = Vec::new();
        link.digest(net, ep ^ 1, &mut nothing);
        debug_assert!(nothing.is_empty(), "no plaintext comes before a hello is answered");
    }

    /// The proxy wrote `bytes` at its end `ep`; what they carry is appended to `plain`. `None`:
    /// the connection is plain.
    pub fn feed(
        &mut self,
        net: &mut Net,
        ep: Ep,
        bytes: &[u8],
        plain: &mut Vec<u8>,
    ) -> Option<Facts> {
        let link = self.link_mut(ep)?;
        link.partial.extend_from_slice(bytes);
        link.digest(net, ep, plain);
        Some(link.facts())
    }

    /// What the proxy writes at its end `ep` begins with `before` bytes in the clear.
    pub fn follows(&mut self, net: &mut Net, ep: Ep, before: u64) {
        if let Some(link) = self.link_mut(ep) {
            link.follows(net, ep, before);
        }
    }

    /// Writes `bytes` of content. See [`Net::send`]; with a layer, `WouldBlock` stands for the
    /// handshake, too.
    pub fn send(
        &mut self,
        cx: &mut Cx,
        net: &mut Net,
        ep: Ep,
        bytes: &[u8],
    ) -> Result<usize, SocketError> {
        let Some(link) = self.link_mut(ep) else { return net.send(cx, ep, &[bytes]) };
        link.pump(cx, net, ep)?;
        if !link.is_ready(net, ep) {
            return Err(SocketError::WouldBlock);
        }
        let n = link.seal(net, ep, bytes);
        link.pump(cx, net, ep)?;
        Ok(n)
    }

    /// Room for content, in bytes, that surely goes out at once.
    pub fn space(&self, net: &Net, ep: Ep) -> usize {
        let space = net.ep(ep).space();
        match self.link(ep) {
            None => space,
            Some(link) if link.is_ready(net, ep) => space.saturating_sub(64) / 30,
            Some(_) => 0,
        }
    }

    /// Reads what there is, and lets the layer go on. See [`Net::skip`].
    pub fn skip(
        &mut self,
        cx: &mut Cx,
        net: &mut Net,
        ep: Ep,
        room: usize,
    ) -> Result<usize, SocketError> {
        let result = net.skip(cx, ep, room);
        if result.is_ok_and(|n| n > 0) {
            self.pump(cx, net, ep);
        }
        result
    }

    /// Lets the layer at `ep` write what it has to.
    pub fn pump(&mut self, cx: &mut Cx, net: &mut Net, ep: Ep) {
        if let Some(link) = self.link_mut(ep) {
            // An error is seen by whoever uses the socket next.
            let _ = link.pump(cx, net, ep);
        }
    }

    /// Whether everything that was written is with the kernel.
    pub fn is_flushed(&self, ep: Ep) -> bool {
        self.link(ep).is_none_or(Link::is_flushed)
    }

    /// Whether the actor at `ep` may write: at once where there is no layer.
    pub fn is_ready(&self, net: &Net, ep: Ep) -> bool {
        self.link(ep).is_none_or(|link| link.is_ready(net, ep))
    }

    /// Whether the actor at `ep` has seen TLS fail.
    pub fn has_failed(&self, net: &Net, ep: Ep) -> bool {
        self.link(ep).is_some_and(|link| link.has_failed(net, ep))
    }

    /// Finishes writing: close_notify, mostly, then FIN, behind everything.
    pub fn shutdown(&mut self, cx: &mut Cx, net: &mut Net, ep: Ep) {
        match self.link_mut(ep) {
            None => net.shutdown_write(cx, ep),
            Some(link) => link.end(cx, net, ep, link::Ending::Fin),
        }
    }

    /// Closes; politely: close_notify, mostly, and behind everything that was written.
    pub fn close(&mut self, cx: &mut Cx, net: &mut Net, ep: Ep, is_polite: bool) {
        match self.link_mut(ep) {
            Some(link) if is_polite => link.end(cx, net, ep, link::Ending::Close),
            _ => net.close(cx, ep),
        }
    }

    /// The facts of the layer at `ep`.
    pub fn facts(&self, ep: Ep) -> Option<Facts> {
        self.link(ep).map(Link::facts)
    }
}
