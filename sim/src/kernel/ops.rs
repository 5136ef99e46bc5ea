//! What applications do to their sockets.

use super::endpoint::State;
use super::{Ep, Net, Owner};
use crate::cx::{Cx, Flight};
use crate::mark;
use crate::site;
use crate::swarm::Fault;
use tidegate_core::input::SocketError;

impl Net {
    /// Writes from `from`, in order, as much as fits.
    ///
    /// After a reset the first call takes the error with it, and later ones meet a broken pipe.
    pub fn send(&mut self, cx: &mut Cx, ep: Ep, from: &[&[u8]]) -> Result<usize, SocketError> {
        let short_writes = self.faults.short_writes;
        let end = self.ep_mut(ep);
        if let Some(error) = end.error.take() {
            return Err(error);
        }
        match end.state {
            State::Unborn | State::Connecting => return Err(SocketError::WouldBlock),
            State::Dead => return Err(SocketError::Reset),
            State::Open if end.shut => return Err(SocketError::Reset),
            State::Open => {}
        }
        let offered: usize = from.iter().map(|part| part.len()).sum();
        let mut room = end.space().min(offered);
        if room == 0 {
            end.nospace = true;
            return Err(SocketError::WouldBlock);
        }
        if room > 1
            && matches!(end.owner, Owner::Proxy(_))
            && cx.choices.chance(site!("kernel/short write"), ep.into(), short_writes)
        {
            cx.fired(Fault::ShortWrites);
            room = 1 + cx.choices.choose(site!("kernel/short write at"), ep.into(), room as u64)
                as usize;
        }
        end.nospace |= room < offered;
        let mut left = room;
        for part in from {
            let n = part.len().min(left);
            end.out.extend(&part[..n]);
            left -= n;
        }
        end.written += room as u64;
        self.transmit(cx, ep);
        Ok(room)
    }

    /// A `send` of no bytes: tells whether a connection stands, and takes its error.
    pub fn probe(&mut self, ep: Ep) -> Result<(), SocketError> {
        let end = self.ep_mut(ep);
        match (end.error.take(), end.state) {
            (Some(error), _) => Err(error),
            (None, State::Unborn | State::Connecting) => Err(SocketError::WouldBlock),
            (None, State::Dead) => Err(SocketError::Reset),
            (None, State::Open) if end.shut => Err(SocketError::Reset),
            (None, State::Open) => Ok(()),
        }
    }

    /// Reads into `into`, in order; `Ok(0)` is the end of the stream.
    ///
    /// After a reset: what was queued, then the error once unless a write took it or a FIN had
    /// come before it, then the end.
    pub fn recv(
        &mut self,
        cx: &mut Cx,
        ep: Ep,
        into: &mut [&mut [u8]],
    ) -> Result<usize, SocketError> {
        let room = into.iter().map(|part| part.len()).sum();
        self.take(cx, ep, room, |chunk, at| {
            let mut chunk = chunk;
            let mut skip = at;
            for part in into.iter_mut() {
                if skip >= part.len() {
                    skip -= part.len();
                    continue;
                }
                let n = chunk.len().min(part.len() - skip);
                part[skip..skip + n].copy_from_slice(&chunk[..n]);
                chunk = &chunk[n..];
                skip = 0;
                if chunk.is_empty() {
                    break;
                }
            }
        })
    }

    /// Reads up to `room` bytes and forgets them, for peers who know what must stand there.
    pub fn skip(&mut self, cx: &mut Cx, ep: Ep, room: usize) -> Result<usize, SocketError> {
        self.take(cx, ep, room, |_, _| {})
    }

    fn take(
        &mut self,
        cx: &mut Cx,
        ep: Ep,
        room: usize,
        mut give: impl FnMut(&[u8], usize),
    ) -> Result<usize, SocketError> {
        let end = self.ep_mut(ep);
        if matches!(end.state, State::Unborn | State::Connecting) {
            return Err(SocketError::WouldBlock);
        }
        if end.recv.is_empty() {
            // A FIN that came first hides the error of a reset: only a send meets it.
            if end.fin_in {
                return Ok(0);
            }
            let is_over = end.state == State::Dead;
            return match end.error.take() {
                Some(error) => Err(error),
                None if end.aborted => Err(SocketError::Reset),
                None if is_over => Ok(0),
                None => Err(SocketError::WouldBlock),
            };
        }
        let n = room.min(end.recv.len());
        let (front, back) = end.recv.as_slices();
        let first = n.min(front.len());
        give(&front[..first], 0);
        if n > first {
            give(&back[..n - first], first);
        }
        end.recv.drain(..n);
        end.read += n as u64;
        self.open_window(cx, ep);
        Ok(n)
    }

    /// Lets the peer send on once a fair part of the window, or room for all it has, is free.
    fn open_window(&mut self, cx: &mut Cx, ep: Ep) {
        let sender = self.ep(ep ^ 1);
        let unsent = sender.out.len() - sender.inflight;
        if unsent == 0 || sender.state != State::Open {
            return;
        }
        let receiver = self.ep(ep);
        let free = receiver.recv_cap.saturating_sub(receiver.recv.len() + sender.inflight);
        if free >= unsent || free * 4 >= receiver.recv_cap {
            self.transmit(cx, ep ^ 1);
        }
    }

    /// Finishes writing: FIN behind the last byte. Gives up an attempt to connect. An edge to
    /// oneself in any case.
    pub fn shutdown_write(&mut self, cx: &mut Cx, ep: Ep) {
        let end = self.ep_mut(ep);
        match end.state {
            State::Open => {
                end.shut = true;
                self.transmit(cx, ep);
            }
            State::Connecting => {
                cx.mark(mark!("kernel: shutdown while connecting"));
                end.state = State::Dead;
                end.aborted = true;
                end.error = Some(SocketError::Reset);
                self.answer_by_reset(cx, ep);
            }
            State::Unborn | State::Dead => {}
        }
        self.wake(ep);
    }

    /// `close(2)`: FIN behind the last byte, or a reset if unread bytes wait.
    pub fn close(&mut self, cx: &mut Cx, ep: Ep) {
        let end = self.ep_mut(ep);
        if end.closed {
            return;
        }
        if end.state == State::Open && !end.recv.is_empty() {
            cx.mark(mark!("kernel: close with unread data resets"));
            self.reset(cx, ep);
            return;
        }
        self.let_go(ep);
        let end = self.ep_mut(ep);
        match end.state {
            State::Open => {
                end.shut = true;
                self.transmit(cx, ep);
            }
            State::Connecting => {
                end.state = State::Dead;
                self.answer_by_reset(cx, ep);
            }
            State::Unborn | State::Dead => {}
        }
        self.recycle(ep);
    }

    /// Closes with a reset; what was written and did not fly is gone.
    pub fn reset(&mut self, cx: &mut Cx, ep: Ep) {
        let overtake = self.faults.resets_overtake;
        if self.ep(ep).closed {
            return;
        }
        self.let_go(ep);
        let end = self.ep_mut(ep);
        let was = std::mem::replace(&mut end.state, State::Dead);
        end.recv.clear();
        let inflight = end.inflight;
        end.out.truncate(inflight);
        if was == State::Open {
            if inflight > 0 && cx.chance(site!("kernel/reset overtakes"), ep.into(), overtake) {
                cx.fired(Fault::Overtake);
                cx.mark(mark!("kernel: RST before the data in flight"));
                let end = self.ep_mut(ep);
                end.out.clear();
                end.inflight = 0;
            }
            self.fly(cx, ep ^ 1, Flight::Rst);
        } else if was == State::Connecting {
            self.answer_by_reset(cx, ep);
        }
        self.recycle(ep);
    }

    /// `ep` gave up connecting: a far end that is established already hears of it.
    fn answer_by_reset(&mut self, cx: &mut Cx, ep: Ep) {
        if self.ep(ep ^ 1).state == State::Open {
            cx.mark(mark!("kernel: connect given up after it was answered"));
            self.fly(cx, ep ^ 1, Flight::Rst);
        }
    }

    fn let_go(&mut self, ep: Ep) {
        let end = self.ep_mut(ep);
        end.closed = true;
        if matches!(end.owner, Owner::Proxy(_)) {
            self.proxy_sockets -= 1;
        }
    }
}
