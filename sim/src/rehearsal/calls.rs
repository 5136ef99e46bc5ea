//! The system calls of the production driver, answered by the simulated kernel, and counted.

use super::clients::Conn;
use super::measure::{Loss, Meter};
use crate::cx::Cx;
use crate::gate::{SERVER_LINKS, Slot, Sockets};
use crate::kernel::{Acceptor, Ep, Net, Owner, Wire};
use crate::tls::random;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tidegate_core::config::Config;
use tidegate_core::drive::Kernel;
use tidegate_core::effect::Close;
use tidegate_core::id::SocketId;
use tidegate_core::input::{AcceptError, Address, SocketError};

/// The address of the proxy's machine, where a listener is on all addresses.
const MACHINE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);

/// One turn's view of the kernel.
pub(super) struct Calls<'a> {
    pub(super) cx: &'a mut Cx,
    pub(super) net: &'a mut Net,
    pub(super) sockets: &'a mut Sockets,
    pub(super) meter: &'a mut Meter,
    pub(super) conns: &'a [Option<Box<Conn>>],
    /// The configuration in force.
    pub(super) config: &'a Config,
    /// Of connections to servers.
    pub(super) wire: &'a Wire,
}

/// The server at the far end of a connection of the proxy.
pub(super) fn server_of(net: &Net, ep: Ep) -> Option<usize> {
    net.ep(ep).link().checked_sub(SERVER_LINKS).map(|server| server as usize)
}

impl Calls<'_> {
    /// The call met an error: a connection to a server is lost, if this is one.
    fn judge<T>(&mut self, ep: Ep, result: Result<T, SocketError>) -> Result<T, SocketError> {
        if let Err(error) = result
            && error != SocketError::WouldBlock
            && let Some(server) = server_of(self.net, ep)
        {
            let loss = match error {
                SocketError::Refused => Loss::Refused,
                SocketError::TimedOut => Loss::TimedOut,
                _ => Loss::Broken,
            };
            self.meter.lost(server, ep, loss);
        }
        result
    }
}

impl Kernel for Calls<'_> {
    fn accept(
        &mut self,
        listener: SocketId,
        id: SocketId,
    ) -> Result<Option<SocketAddr>, AcceptError> {
        let at = self.sockets.listener(listener);
        let ep = self.net.accept(self.cx, at, Owner::Proxy(id))?;
        random::feed(ep.into());
        self.sockets.put(id, Slot::Endpoint(id.to_bits(), ep));
        let address = self.net.address(self.net.listener(at).address);
        if matches!(address, Address::Unix(_)) {
            return Ok(None);
        }
        // Who has left already has no name here, and is of no interest to anybody.
        let Owner::Client(conn) = self.net.ep(ep ^ 1).owner else { return Ok(None) };
        let conn = self.conns.get(conn as usize).and_then(Option::as_deref);
        let nobody = SocketAddr::new(MACHINE.into(), 1);
        Ok(Some(conn.map_or(nobody, |conn| conn.peer)))
    }

    fn shed(&mut self, listener: SocketId) {
        let at = self.sockets.listener(listener);
        let _ = self.net.shed(self.cx, at);
    }

    fn listen(&mut self, id: SocketId, name: &str, at: &Address) {
        let address = self.net.intern(at, u32::MAX);
        let known = self.config.listeners.iter().find(|listener| &*listener.name == name);
        let backlog = known.map_or(4096, |listener| listener.backlog as usize);
        let listener = self.net.listen(Acceptor::Proxy(id), address, backlog);
        self.sockets.put(id, Slot::Listener(id.to_bits(), listener));
    }

    fn connect(&mut self, id: SocketId, to: &Address) -> Result<(), SocketError> {
        let number = self.net.number_of(to);
        let number = number.expect("every server of every version has a number");
        let link = self.net.link_of(number);
        let ep = self.net.connect(self.cx, Owner::Proxy(id), number, link, self.wire);
        self.net.proxy_sockets += 1;
        self.meter.connecting((link - SERVER_LINKS) as usize);
        self.sockets.put(id, Slot::Endpoint(id.to_bits(), ep));
        Ok(())
    }

    fn recv(&mut self, id: SocketId, into: &mut [&mut [u8]]) -> Result<usize, SocketError> {
        let ep = self.sockets.ep(id);
        random::feed(ep.into());
        let result = self.net.recv(self.cx, ep, into);
        self.judge(ep, result)
    }

    fn send(&mut self, id: SocketId, from: &[&[u8]]) -> Result<usize, SocketError> {
        let ep = self.sockets.ep(id);
        random::feed(ep.into());
        let result = match from {
            [] => self.net.probe(ep).map(|()| 0),
            from => self.net.send(self.cx, ep, from),
        };
        self.judge(ep, result)
    }

    fn local_addr(&mut self, id: SocketId) -> Option<SocketAddr> {
        let ep = self.sockets.ep(id);
        match self.net.address(self.net.ep(ep).address) {
            Address::Ip(address) => {
                let ip: IpAddr = MACHINE.into();
                let ip = if address.ip().is_unspecified() { ip } else { address.ip() };
                Some(SocketAddr::new(ip, address.port()))
            }
            Address::Unix(_) => None,
        }
    }

    fn keep_alive(&mut self, _: SocketId) {}

    fn shutdown_write(&mut self, id: SocketId) {
        let ep = self.sockets.ep(id);
        self.net.shutdown_write(self.cx, ep);
    }

    fn close(&mut self, id: SocketId, how: Close) {
        match self.sockets.take(id) {
            Slot::Free => {}
            Slot::Listener(_, listener) => self.net.close_listener(self.cx, listener),
            Slot::Endpoint(_, ep) => {
                random::forget(ep.into());
                if let Some(server) = server_of(self.net, ep) {
                    if self.net.ep(ep).is_connecting() {
                        self.meter.lost(server, ep, Loss::TimedOut);
                    }
                    self.meter.closed(server, ep);
                }
                match how {
                    Close::Normal => self.net.close(self.cx, ep),
                    Close::Reset => self.net.reset(self.cx, ep),
                }
            }
        }
    }
}
