//! Group *tunnels*: bytes at the far end are a prefix of what was sent; ends are passed on
//! behind the last byte, and only when they came; nothing waits that could go on; an upgrade
//! comes after the server's 101.
//!
//! - TUN-1: every byte goes to the peer that it is for, few wait inside, and no client is
//!   turned away without cause.
//! - TUN-2: an end follows the last byte, is passed on, and nothing looks whole that was cut.
//! - TUN-3: a tunnel begins with a 101 that was asked for and sent, and not before it.

use super::ledger::BackFault;
use super::passage::HELLO_TAG_BYTES;
use super::{Group, Oracle, Side, Verdict, breach, progress};
use crate::kernel::{Ep, Net};
use crate::stream::{Speaker, Stream, TAG_BYTES, speaker};
use tidegate_core::event::Ending;

pub(super) const GROUP: Group = Group::Tunnels;

/// One direction of a tunnel.
#[derive(Clone, Debug)]
pub struct Way {
    /// What its source says.
    pub stream: Stream,
    /// Where that begins in what the source writes.
    pub from: u64,
    /// Bytes of it that the proxy wrote to the far end.
    pub bytes: u64,
    /// Bytes that the proxy read from the source, what lies before the stream included.
    pub read: u64,
}

impl Way {
    fn new(stream: Stream, from: u64) -> Way {
        Way { stream, from, bytes: 0, read: 0 }
    }
}

/// How a tunnel ended, as the system calls show it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Over {
    /// Both ways had ended.
    Complete,
    /// `tunnel_idle` was due.
    Idle,
    /// The drain deadline was due.
    Drained,
    /// A side broke off.
    Broken,
    /// The server had ended, and took no more.
    Refused,
}

/// What an access record said of a tunnel.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct TunnelRecord {
    /// When it came.
    pub at: u64,
    /// How the session ended.
    pub ending: Ending,
    /// Connection attempts.
    pub attempts: u8,
}

/// A client's connection and a server's, whose bytes belong together.
#[derive(Clone, Debug)]
pub struct Tunnel {
    /// The client's connection.
    pub front: u32,
    /// The server's, once bytes have told.
    pub back: Option<u32>,
    /// The request that asked for it, if one did.
    pub row: Option<u32>,
    /// From client to server.
    pub up: Way,
    /// From server to client.
    pub down: Way,
    /// When a byte was last read or written, 0 for never.
    pub last_byte_at: u64,
    /// The same, counting ends that were read.
    pub last_moved_at: u64,
    /// When and how the proxy closed it.
    pub over: Option<(u64, Over)>,
    /// What the access log said.
    pub record: Option<TunnelRecord>,
    /// Nothing stands in its way.
    pub must_succeed: bool,
}

impl Oracle {
    /// A client begins to connect to a TCP listener, and will speak behind `from` bytes.
    pub fn tcp_begun(&mut self, front: u32, from: u64) {
        let up = Way::new(Stream::of(Speaker::Front(front)), from);
        let down = Way::new(Stream::of(Speaker::Back(u32::MAX)), 0);
        let id = self.tunnel_begun(front, None, up, down);
        self.fronts[front as usize].is_tcp = true;
        self.fronts[front as usize].tunnel = Some(id);
    }

    fn tunnel_begun(&mut self, front: u32, row: Option<u32>, up: Way, down: Way) -> u32 {
        let id = self.tunnels.len() as u32;
        self.tunnels.push(Tunnel {
            front,
            back: None,
            row,
            up,
            down,
            last_byte_at: 0,
            last_moved_at: 0,
            over: None,
            record: None,
            must_succeed: false,
        });
        id
    }

    fn linked(&mut self, id: u32, back: u32) {
        let now = self.now;
        let tunnel = &mut self.tunnels[id as usize];
        tunnel.back = Some(back);
        (tunnel.last_byte_at, tunnel.last_moved_at) = (now, now);
        self.backs[back as usize].tunnel = Some(id);
        self.live_tunnels.push(id);
    }

    /// The tunnel that request `row` became on `back`, whose 101 the proxy has read.
    fn upgraded(&mut self, net: &Net, row: u32, back: u32, serial: u32) -> u32 {
        let at = &mut self.rows[row as usize];
        if let Some(known) = at.tunnel {
            self.upgraded_again(net, known, back, serial);
            return known;
        }
        let behind = at.behind.clone();
        let front = at.front;
        let from = at.end.unwrap_or(u64::MAX);
        let begins = at.plans[serial as usize].end.unwrap_or(u64::MAX);
        let up = Way::new(Stream::up(row, behind), from);
        let id = self.tunnel_begun(front, Some(row), up, Way::new(Stream::down(row), begins));
        let ends = [self.fronts[front as usize].ep, self.backs[back as usize].ep];
        let tunnel = &mut self.tunnels[id as usize];
        (tunnel.up.read, tunnel.down.read) = (net.content_read(ends[0]), net.content_read(ends[1]));
        let must_succeed = self.rows[row as usize].must_succeed;
        self.tunnels[id as usize].must_succeed = must_succeed;
        self.rows[row as usize].tunnel = Some(id);
        self.linked(id, back);
        // What was taken for the next request are the tunnel's first bytes.
        let later = self.fronts[front as usize].rows.iter().copied().filter(|&other| other > row);
        for other in later.collect::<Vec<_>>() {
            self.rows[other as usize].is_void = true;
            self.rows[other as usize].must_succeed = false;
        }
        id
    }

    /// A later attempt brought a 101, too: the one before it was lost with what came in one read
    /// with it and could not be opened.
    fn upgraded_again(&mut self, net: &Net, id: u32, back: u32, serial: u32) {
        let tunnel = &mut self.tunnels[id as usize];
        let Some(row) = tunnel.row else { return };
        // It may have come by a connection that is older than the one that failed.
        let attempts = &self.rows[row as usize].attempts;
        let place = |back: u32| attempts.iter().rposition(|attempt| attempt.back == back);
        if tunnel.back.is_some_and(|known| place(known) >= place(back)) {
            return;
        }
        let begins = self.rows[row as usize].plans[serial as usize].end.unwrap_or(u64::MAX);
        tunnel.down = Way::new(Stream::down(row), begins);
        tunnel.down.read = net.content_read(self.backs[back as usize].ep);
        tunnel.back = Some(back);
        self.backs[back as usize].tunnel = Some(id);
    }

    /// The client of request `asked`, which is for an upgrade, begins request `next` behind it. If
    /// it was upgraded meanwhile, those bytes are its tunnel's first.
    pub fn follows_upgrade(&mut self, asked: u32, next: u32, bytes: Vec<u8>) {
        if let Some(id) = self.rows[asked as usize].tunnel {
            self.tunnels[id as usize].up.stream = Stream::up(asked, bytes.clone());
            self.rows[next as usize].is_void = true;
            self.rows[next as usize].must_succeed = false;
        }
        self.rows[asked as usize].behind = bytes;
    }

    /// The tunnel of `back`, if it has become one by a 101 that the proxy has read.
    pub fn tunnel_of_back(&mut self, net: &Net, back: u32) -> Option<u32> {
        let at = &self.backs[back as usize];
        if at.tunnel.is_some() {
            return at.tunnel;
        }
        let seen = at.seen.last()?;
        let row = &self.rows[seen.row as usize];
        let serial = row.attempts[seen.attempt].plan?;
        let plan = &row.plans[serial as usize];
        let is_read = plan.end.is_some_and(|end| end <= net.content_read(at.ep));
        let is_agreed = plan.status == 101 && plan.fault == BackFault::None;
        let is_upgraded = row.ask.upgrade && is_agreed && is_read;
        let id = seen.row;
        is_upgraded.then(|| self.upgraded(net, id, back, serial))
    }

    /// A 101 goes to the client of `front`, as the answer to `row` that is marked `serial`.
    pub fn switches(&mut self, net: &Net, row: u32, serial: Option<u32>) -> Verdict {
        let at = &self.rows[row as usize];
        let attempt = at.attempts.iter().find(|a| a.plan == serial && serial.is_some());
        let Some(back) = attempt.map(|attempt| attempt.back).filter(|_| at.ask.upgrade) else {
            return breach(
                GROUP,
                "TUN-3",
                format!("request {row}: a 101 nobody sent or asked for"),
            );
        };
        match self.tunnel_of_back(net, back) {
            Some(id) => {
                let now = self.now;
                let tunnel = &mut self.tunnels[id as usize];
                (tunnel.last_byte_at, tunnel.last_moved_at) = (now, now);
                let front = tunnel.front;
                self.fronts[front as usize].tunnel = Some(id);
                Ok(())
            }
            None => breach(GROUP, "TUN-3", format!("request {row}: a 101 that no server sent")),
        }
    }

    /// The proxy wrote `bytes` of a tunnel to the server of `back`.
    pub fn tunnel_up(&mut self, net: &Net, back: u32, bytes: &[u8]) -> Verdict {
        let Some(id) = self.backs[back as usize].tunnel else {
            return self.tagged_up(net, back, bytes);
        };
        let read = net.content_read(self.fronts[self.tunnels[id as usize].front as usize].ep);
        let tunnel = &mut self.tunnels[id as usize];
        tunnel.last_byte_at = self.now;
        passed(&mut tunnel.up, bytes, read, "to the server")
    }

    /// The proxy wrote `bytes` of a tunnel to the client of `front`.
    pub fn tunnel_down(&mut self, net: &Net, front: u32, bytes: &[u8]) -> Verdict {
        let Some(id) = self.fronts[front as usize].tunnel else { return Ok(()) };
        let Some(back) = self.tunnels[id as usize].back else {
            return self.tagged_down(net, id, bytes);
        };
        let read = net.content_read(self.backs[back as usize].ep);
        let tunnel = &mut self.tunnels[id as usize];
        // The last words of TLS carry none.
        if !bytes.is_empty() {
            tunnel.last_byte_at = self.now;
        }
        passed(&mut tunnel.down, bytes, read, "to the client")
    }

    /// The first bytes to a server tell whose they are.
    fn tagged_up(&mut self, net: &Net, back: u32, bytes: &[u8]) -> Verdict {
        let is_passage = self.truth.passage.is_some();
        let most = if is_passage { HELLO_TAG_BYTES } else { TAG_BYTES };
        let tag = &mut self.backs[back as usize].tag;
        let n = bytes.len().min(most - tag.len());
        tag.extend_from_slice(&bytes[..n]);
        if tag.len() < most {
            return Ok(());
        }
        let tag = &self.backs[back as usize].tag;
        let found = match speaker(tag) {
            Some(Speaker::Front(front)) => self.fronts.get(front as usize).and_then(|f| f.tunnel),
            _ if is_passage => self
                .fronts
                .iter()
                .rev()
                .filter_map(|front| front.tunnel)
                .find(|&id| self.tunnels[id as usize].up.stream.mismatch(0, tag).is_none()),
            _ => None,
        };
        let Some(id) = found else { return self.untold(back) };
        self.link(net, id, back)?;
        let way = &mut self.tunnels[id as usize].up;
        way.bytes = most as u64;
        passed(way, &bytes[n..], u64::MAX, "to the server")
    }

    /// The first bytes to a client tell whose they are.
    fn tagged_down(&mut self, net: &Net, id: u32, bytes: &[u8]) -> Verdict {
        let front = self.tunnels[id as usize].front;
        let tag = &mut self.fronts[front as usize].tag;
        let n = bytes.len().min(TAG_BYTES - tag.len());
        tag.extend_from_slice(&bytes[..n]);
        if tag.len() < TAG_BYTES {
            return Ok(());
        }
        let found = speaker(tag);
        let back = match found {
            Some(Speaker::Back(back)) if (back as usize) < self.backs.len() => back,
            _ => {
                let message = format!("client of connection {front} got bytes nobody sent it");
                return breach(GROUP, "TUN-1", message);
            }
        };
        self.link(net, id, back)?;
        self.tunnels[id as usize].down.bytes = TAG_BYTES as u64;
        self.tunnel_down(net, front, &bytes[n..])
    }

    fn link(&mut self, net: &Net, id: u32, back: u32) -> Verdict {
        let tunnel = &mut self.tunnels[id as usize];
        if tunnel.back.is_some() || self.backs[back as usize].tunnel.is_some() {
            let message = format!("bytes of two tunnels on connection {back} to a server");
            return breach(GROUP, "TUN-1", message);
        }
        tunnel.down.stream = Stream::of(Speaker::Back(back));
        // What was read before it was known whose it is waited behind a partial tag.
        let tags = [&self.fronts[tunnel.front as usize].tag, &self.backs[back as usize].tag];
        let [down, up] = tags.map(|tag| tag.len() as u64);
        (tunnel.up.bytes, tunnel.down.bytes) = (up, down);
        let ends = [self.fronts[tunnel.front as usize].ep, self.backs[back as usize].ep];
        [tunnel.up.read, tunnel.down.read] = ends.map(|ep| net.content_read(ep));
        let [down, up] = [(&tunnel.down, tags[0]), (&tunnel.up, tags[1])]
            .map(|(way, tag)| way.stream.mismatch(0, tag).is_some());
        if down || up {
            return breach(GROUP, "TUN-1", format!("tunnel {id} began with others' bytes"));
        }
        self.linked(id, back);
        super::passage::linked(self, id, back)?;
        super::proxy::tunnel_linked(self, id, back)
    }

    /// What a server got first names no client. Bytes that were read with the end of a PROXY
    /// header and are missing are that group's.
    fn untold(&self, back: u32) -> Verdict {
        let tag = &self.backs[back as usize].tag;
        super::proxy::lost_surplus(self, tag)?;
        breach(GROUP, "TUN-1", format!("connection {back}: a server got {tag:?}, nobody's bytes"))
    }

    /// A socket of the proxy gave bytes, or its end.
    pub fn tunnel_read(&mut self, net: &Net, ep: Ep) -> Verdict {
        let Some(id) = self.tunnel_of(net, ep) else { return Ok(()) };
        let is_front = matches!(self.side(ep), Side::Front(_));
        let tunnel = &mut self.tunnels[id as usize];
        let way = if is_front { &mut tunnel.up } else { &mut tunnel.down };
        let read = net.content_read(ep);
        let is_byte = read > std::mem::replace(&mut way.read, read);
        let held = read.saturating_sub(way.from + way.bytes);
        self.moved(id, is_byte)?;
        let at = &self.tunnels[id as usize];
        let server = at.back.and_then(|back| self.backs[back as usize].facts());
        let has_tls = server.is_some() || self.fronts[at.front as usize].tls.is_some();
        if held > progress::held_max(self, has_tls) {
            let message = format!("tunnel {id}: {held} bytes wait inside the proxy");
            return breach(GROUP, "TUN-1", message);
        }
        Ok(())
    }

    /// The proxy wrote to a socket.
    pub fn tunnel_wrote(&mut self, net: &Net, ep: Ep) -> Verdict {
        match self.tunnel_of(net, ep) {
            // A goodbye of TLS is no byte of the tunnel: those are seen when they are opened.
            Some(id) => self.moved(id, self.facts(ep).is_none()),
            None => Ok(()),
        }
    }

    /// The tunnel that an end of the proxy belongs to, if it is known which server's and which
    /// client's connection that joins.
    pub(super) fn tunnel_of(&mut self, net: &Net, ep: Ep) -> Option<u32> {
        let found = match self.side(ep) {
            Side::Front(front) => self.fronts[front as usize].tunnel,
            Side::Back(back) => self.tunnel_of_back(net, back),
        };
        found.filter(|&id| self.tunnels[id as usize].back.is_some())
    }
}

/// `bytes` of a direction were written, of whose source `read` were read.
fn passed(way: &mut Way, bytes: &[u8], read: u64, whither: &str) -> Verdict {
    if let Some(at) = way.stream.mismatch(way.bytes, bytes) {
        let message = format!("byte {at} of a tunnel {whither} is not its peer's");
        return breach(GROUP, "TUN-2", message);
    }
    way.bytes += bytes.len() as u64;
    if way.from.saturating_add(way.bytes) > read {
        let message = format!("{} bytes of a tunnel went {whither}, {read} were read", way.bytes);
        return breach(GROUP, "TUN-1", message);
    }
    Ok(())
}

/// The proxy writes to a server that was asked for an upgrade, and has not agreed to it.
pub fn before_the_101(oracle: &Oracle, net: &Net, back: u32) -> Verdict {
    let at = &oracle.backs[back as usize];
    let Some(seen) = at.seen.last().filter(|seen| seen.end.is_some()) else { return Ok(()) };
    let row = &oracle.rows[seen.row as usize];
    // Whose other answer was read to its end may have the next request, before the client has taken
    // that answer.
    let plan = row.plan_of(seen.attempt);
    let has_declined = plan
        .filter(|plan| plan.status != 101)
        .is_some_and(|plan| plan.end.is_some_and(|end| end <= net.content_read(at.ep)));
    if row.ask.upgrade && row.answer.is_none() && !has_declined {
        let id = row.ask.id;
        let message = format!("bytes behind request {id} reached a server before its 101");
        return breach(GROUP, "TUN-3", message);
    }
    Ok(())
}
