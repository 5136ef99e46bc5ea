//! How clients read: at once, piece by piece, or not at all for a while.

use super::World;
use super::leave::Leaves;
use crate::kernel::Ep;
use crate::mark;
use tidegate_core::input::SocketError;

impl World {
    /// Reads; false when the connection is over.
    pub(super) fn client_read(&mut self, c: u32, ep: Ep) -> bool {
        let Some(room) = self.client_room(c, ep) else { return true };
        let abort = self.clients[c as usize].manner.abort_read;
        match self.layers.skip(&mut self.cx, &mut self.net, ep, room) {
            Ok(0) => {
                self.cx.mark(mark!("client: sees the end"));
                self.client_leave(c, Leaves::SawEnd);
                return false;
            }
            Err(SocketError::WouldBlock) | Ok(_) => {}
            Err(error) => {
                self.cx.mark(if error == SocketError::Refused {
                    mark!("client: refused")
                } else {
                    mark!("client: reset")
                });
                self.client_leave(c, Leaves::SawEnd);
                return false;
            }
        }
        if abort.is_some_and(|at| self.net.ep(ep).read >= at) {
            self.cx.mark(mark!("client: aborts inside a response"));
            self.client_leave(c, Leaves::Aborts);
            return false;
        }
        if self.layers.has_failed(&self.net, ep) {
            self.cx.mark(mark!("tls: client sees TLS fail"));
            self.client_leave(c, Leaves::IsDone);
            return false;
        }
        self.client_rests(c, ep);
        true
    }

    /// How many bytes client `c` reads now; none while it does not read.
    fn client_room(&mut self, c: u32, ep: Ep) -> Option<usize> {
        let client = &mut self.clients[c as usize];
        if self.cx.now < client.not_before_read {
            return None;
        }
        let end = self.net.ep(ep);
        if let Some((at, _)) = client.manner.rests {
            return Some((at - end.read) as usize);
        }
        let Some((piece, delay)) = client.manner.slow_read else { return Some(usize::MAX) };
        if end.unread() > 0 {
            client.not_before_read = self.cx.now + delay;
            self.client_later(c, delay);
        }
        Some(piece)
    }

    /// Client `c` has read as much as it wants for a while: goes on later.
    fn client_rests(&mut self, c: u32, ep: Ep) {
        let client = &mut self.clients[c as usize];
        let read = self.net.ep(ep).read;
        if let Some((_, pause)) = client.manner.rests.take_if(|(at, _)| read >= *at) {
            client.not_before_read = self.cx.now + pause;
            self.client_later(c, pause);
        }
    }
}
