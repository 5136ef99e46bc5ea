//! Group *PROXY*: a header is there exactly where it is wanted, once and first, and says whom
//! it is for; what follows one is never lost; a bad one leads nowhere.
//!
//! - PP-1: headers are asked for, sent, relayed and refused as configured, and lose no byte
//!   behind them.
//! - SES-3: proxy_header fires in its time.

use super::ledger::{Front, Row};
use super::{Breach, Group, Oracle, Verdict, breach};
use crate::kernel::{Net, front_of};
use crate::refproxy::{self, Header, Read};
use std::net::SocketAddr;
use tidegate_core::time::TICK;

const GROUP: Group = Group::Proxy;

/// The header that a client sends before everything else.
#[derive(Clone, Debug)]
pub struct Announcement {
    /// Its bytes.
    pub len: u64,
    /// Source and destination that it announces.
    pub addresses: Option<(SocketAddr, SocketAddr)>,
    /// Its TLVs that are to be relayed.
    pub tlvs: Vec<u8>,
    /// Whether it is a header, and comes from somebody who may send one.
    pub is_good: bool,
    /// Whether the client may not send any.
    pub is_forbidden: bool,
    /// When the proxy read its last byte.
    pub read_at: Option<u64>,
    /// Whether that read brought bytes behind it.
    pub has_surplus: bool,
}

impl Announcement {
    /// The client's address, if it is announced and believed.
    pub fn source(&self) -> Option<SocketAddr> {
        self.addresses.filter(|_| self.is_good).map(|(source, _)| source)
    }
}

/// The header at the beginning of a connection to a server.
#[derive(Clone, Debug, Default)]
pub struct Preface {
    wanted: Option<u8>,
    partial: Vec<u8>,
    /// What it said, once it is whole.
    pub header: Option<Header>,
    /// Its bytes that were emitted.
    pub len: u64,
}

impl Preface {
    /// A header of this version, or none.
    pub fn expected(wanted: Option<u8>) -> Preface {
        Preface { wanted, ..Preface::default() }
    }

    /// Whether a header is to come, or is not whole yet.
    pub fn is_awaited(&self) -> bool {
        self.wanted.is_some() && self.header.is_none()
    }

    /// Whether a header was begun and not finished.
    pub fn is_partial(&self) -> bool {
        self.wanted.is_some() && self.header.is_none() && self.len > 0
    }

    /// The connection whose client it announces.
    fn front(&self) -> Option<u32> {
        self.header.as_ref()?.addresses.and_then(|(source, _)| front_of(source.port()))
    }
}

/// The proxy wrote `bytes` to a server: takes the header off them; what is left is the peer's.
pub fn take_preface<'a>(oracle: &mut Oracle, back: u32, bytes: &'a [u8]) -> Verdict<&'a [u8]> {
    let preface = &mut oracle.backs[back as usize].preface;
    let Some(version) = preface.wanted.filter(|_| preface.header.is_none()) else {
        return not_another(oracle, back, bytes).map(|()| bytes);
    };
    let before = preface.partial.len();
    preface.partial.extend_from_slice(bytes);
    match refproxy::read(&preface.partial) {
        Read::More => {
            preface.len = preface.partial.len() as u64;
            Ok(&[])
        }
        Read::Bad(why) => {
            let message = format!("connection {back} to a server: {why}");
            breach(GROUP, "PP-1", message)
        }
        Read::Whole(_, header) if header.version != version => {
            let message = format!("connection {back}: a header of version {}", header.version);
            breach(GROUP, "PP-1", message)
        }
        Read::Whole(len, header) => {
            preface.len = len as u64;
            preface.partial.clear();
            preface.header = Some(header);
            oracle.backs[back as usize].reader.offset = len as u64;
            announces(oracle, back)?;
            let rest = &bytes[len - before..];
            not_another(oracle, back, rest).map(|()| rest)
        }
    }
}

/// Behind a header, and where none is wanted, none may come.
fn not_another(oracle: &mut Oracle, back: u32, bytes: &[u8]) -> Verdict {
    let at = &mut oracle.backs[back as usize];
    let begins = at.tunnel.is_none() && at.tag.is_empty() && at.reader.is_between();
    if bytes.len() < 2 || !begins || !refproxy::begins(bytes) {
        return Ok(());
    }
    let message = match at.preface.header {
        Some(_) => format!("connection {back}: a second PROXY header"),
        None => format!("connection {back}: a PROXY header that its cluster does not send"),
    };
    breach(GROUP, "PP-1", message)
}

/// The header that was emitted says what it should.
fn announces(oracle: &Oracle, back: u32) -> Verdict {
    let preface = &oracle.backs[back as usize].preface;
    let (Some(header), Some(front)) = (&preface.header, preface.front()) else {
        return breach(GROUP, "PP-1", format!("connection {back}: a header that names nobody"));
    };
    let Some(at) = oracle.fronts.get(front as usize) else {
        return breach(GROUP, "PP-1", format!("connection {back} announces nobody's address"));
    };
    let own = (at.address, crate::gate::listener_socket(at.listener));
    let known = at.announced.as_ref().filter(|known| known.is_good);
    let expected = known.and_then(|known| known.addresses).unwrap_or(own);
    if header.addresses != Some(expected) {
        let got = header.addresses;
        let message = format!("connection {back} announces {got:?}, not {expected:?}");
        return breach(GROUP, "PP-1", message);
    }
    let tlvs = known.map_or(&[][..], |known| known.tlvs.as_slice());
    let tlvs = if header.version == 2 { tlvs } else { &[] };
    if header.tlvs != tlvs {
        let message = format!("connection {back} relays {:?}, not {tlvs:?}", header.tlvs);
        return breach(GROUP, "PP-1", message);
    }
    comes_through(oracle, front)
}

/// Something of the client of `front` reached a server: it must not have announced itself badly.
fn comes_through(oracle: &Oracle, front: u32) -> Verdict {
    let Some(known) = &oracle.fronts[front as usize].announced else { return Ok(()) };
    if !known.is_good || known.read_at.is_none() {
        let what = if known.is_forbidden { "is forbidden" } else { "is bad or unfinished" };
        let message = format!("connection {front}, whose PROXY header {what}, reached a server");
        return breach(GROUP, "PP-1", message);
    }
    Ok(())
}

/// `row` is emitted to the server of `back`: that connection is its client's own.
pub fn request(oracle: &Oracle, back: u32, row: &Row) -> Verdict {
    comes_through(oracle, row.front)?;
    let preface = &oracle.backs[back as usize].preface;
    if preface.header.is_some() && preface.front() != Some(row.front) {
        let (id, front) = (row.ask.id, preface.front());
        let message =
            format!("request {id} on a connection that announced client connection {front:?}");
        return breach(GROUP, "PP-1", message);
    }
    Ok(())
}

/// Bytes of tunnel `id` reached `back`: that connection announces its client.
pub fn tunnel_linked(oracle: &Oracle, id: u32, back: u32) -> Verdict {
    let front = oracle.tunnels[id as usize].front;
    comes_through(oracle, front)?;
    let preface = &oracle.backs[back as usize].preface;
    if preface.header.is_some() && preface.front() != Some(front) {
        let announced = preface.front();
        let message = format!("tunnel {id} of connection {front} announces {announced:?}");
        return breach(GROUP, "PP-1", message);
    }
    Ok(())
}

/// The proxy writes to a client: not before that has announced itself.
pub fn answers(oracle: &Oracle, front: u32) -> Verdict {
    match &oracle.fronts[front as usize].announced {
        Some(known) if !known.is_good || known.read_at.is_none() => {
            breach(GROUP, "PP-1", format!("an answer to connection {front} without its header"))
        }
        _ => Ok(()),
    }
}

/// The proxy read `n` more bytes of a client, `read` in all.
pub fn read(oracle: &mut Oracle, front: u32, n: usize) -> Verdict {
    let now = oracle.now;
    let at = &mut oracle.fronts[front as usize];
    let (read, served) = (at.read, at.served_at.unwrap_or(now));
    let Some(known) = at.announced.as_mut().filter(|a| n > 0 && a.read_at.is_none()) else {
        return Ok(());
    };
    if read < known.len {
        return Ok(());
    }
    known.read_at = Some(now);
    known.has_surplus = read > known.len;
    let (_, high) = oracle.truth.span(served, now, |t| t.proxy_header);
    let slack = TICK.as_nanos() as u64 + oracle.truth.loop_delay_max;
    if now > served.saturating_add(high + slack) && oracle.has_ample_buffers() {
        let took = (now - served) / 1_000_000;
        let message = format!("connection {front} was not closed though its header took {took} ms");
        return breach(GROUP, "SES-3", message);
    }
    Ok(())
}

/// The proxy closes a client's connection: in the middle of a header only because that was late.
pub fn closes(oracle: &Oracle, front: u32, has_ended: bool) -> Verdict {
    let at = &oracle.fronts[front as usize];
    let Some(known) = &at.announced else { return Ok(()) };
    let is_open = known.is_good && known.read_at.is_none() && at.served_at.is_some();
    let is_excused = has_ended || at.left_at.is_some() || oracle.truth.stop_at.is_some();
    let Some(from) = at.accepted_at.filter(|_| is_open && !is_excused) else { return Ok(()) };
    let (low, _) = oracle.truth.span(from, oracle.now, |t| t.proxy_header);
    if oracle.now < from.saturating_add(low) {
        let after = (oracle.now - from) / 1_000_000;
        let message = format!("connection {front} was closed after {after} ms, inside its header");
        return breach(GROUP, "SES-3", message);
    }
    Ok(())
}

/// Whether the connection of `front` may be closed for its header.
pub fn may_close(oracle: &Oracle, front: u32) -> bool {
    oracle.fronts[front as usize]
        .announced
        .as_ref()
        .is_some_and(|a| !a.is_good || a.read_at.is_none())
}

/// A breach of another group that bytes explain which came in one read with the end of a header:
/// they were lost.
pub fn blames(oracle: &Oracle, row: &Row, verdict: Verdict) -> Verdict {
    let front = &oracle.fronts[row.front as usize];
    let is_first = front.rows.first() == Some(&row.ask.id);
    let known = front.announced.as_ref().filter(|known| known.is_good && known.has_surplus);
    match (known, verdict) {
        (Some(_), Err(found)) if is_first => {
            let message = format!("bytes behind a PROXY header were lost: {}", found.message);
            Err(Breach { group: GROUP.name(), rule: "PP-1", message })
        }
        (_, verdict) => verdict,
    }
}

/// A server got bytes that begin no stream: perhaps because a stream's beginning was lost behind
/// a PROXY header.
pub fn lost_surplus(oracle: &Oracle, bytes: &[u8]) -> Verdict {
    for (id, front) in oracle.fronts.iter().enumerate().rev() {
        let known = front.announced.as_ref().filter(|known| known.is_good && known.has_surplus);
        let Some((known, tunnel)) = known.zip(front.tunnel) else { continue };
        let stream = &oracle.tunnels[tunnel as usize].up.stream;
        let said = front.read - known.len;
        if (1..said.min(1 << 16)).any(|at| stream.mismatch(at, bytes).is_none()) {
            let message = format!("bytes of connection {id} behind its PROXY header were lost");
            return breach(GROUP, "PP-1", message);
        }
    }
    Ok(())
}

/// A FIN went to a server behind nothing: perhaps because what its client said was lost behind a
/// PROXY header.
pub fn lost_before_end(oracle: &Oracle, net: &Net) -> Verdict {
    let is_lost = |front: &&Front| {
        let known = front.announced.as_ref().filter(|known| known.is_good && known.has_surplus);
        let tunnel = front.tunnel.map(|id| &oracle.tunnels[id as usize]);
        let is_untold = tunnel.is_some_and(|t| t.back.is_none() && t.over.is_none());
        known.is_some() && is_untold && front.closed.is_none() && net.ep(front.ep).has_fin()
    };
    match oracle.fronts.iter().find(is_lost) {
        Some(front) => {
            let client = front.client;
            let message = format!("bytes of client {client} behind its PROXY header were lost");
            breach(GROUP, "PP-1", message)
        }
        None => Ok(()),
    }
}

/// At the end: whoever announced himself badly was turned away.
pub fn turned_away(oracle: &Oracle, front: u32) -> Verdict {
    let at = &oracle.fronts[front as usize];
    let is_bad = at.announced.as_ref().is_some_and(|a| !a.is_good && at.read >= a.len.max(1));
    if is_bad && at.closed.is_none() && at.left_at.is_none() {
        return breach(
            GROUP,
            "PP-1",
            format!("connection {front}, with a bad header, stayed open"),
        );
    }
    Ok(())
}
