//! A capture of a run's packets as pcapng, for Wireshark and its kin.
//!
//! The simulated kernel has streams, not packets: each arrival becomes a packet (or several, at the
//! usual segment size) with Ethernet, IPv4 and TCP headers made for it. A packet's time is that of
//! its arrival, and its comment names the event, so that `frame.comment contains "event 1080"`
//! leads from the trace to the packet. Clients' connections and servers' are two interfaces.

use crate::cx::Flight;
use crate::kernel::Ep;
use crate::oracle::{Side, Violation};
use crate::story::{Conn, Fact, Story};
use crate::tls::Clock;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Bytes of a segment.
const SEGMENT_BYTES: usize = 1460;
/// Nanoseconds after 1970 at virtual time 0. The wall clock that the proxy is told begins there,
/// too, but fault clock-jump moves that one: packets keep the time that passes.
const EPOCH_NANOS: u64 = Clock::START_SECS * 1_000_000_000;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;

/// One end of a connection, as the capture sees it.
#[derive(Copy, Clone, Default)]
struct End {
    /// Bytes of its stream that have arrived, its SYN and FIN counted.
    sent: u32,
}

struct Packet<'a> {
    from: SocketAddr,
    to: SocketAddr,
    sequence: u32,
    acknowledged: u32,
    flags: u8,
    payload: &'a [u8],
}

struct Capture {
    out: Vec<u8>,
    ends: Vec<End>,
    identification: u16,
}

/// The packets of `story`, which must have kept their bytes, as a pcapng file; the last comment
/// tells what was broken.
pub fn capture(story: &Story, violation: Option<&Violation>) -> Vec<u8> {
    let ends = vec![End::default(); story.ledger.sides.len() * 2];
    let mut capture = Capture { out: Vec::new(), ends, identification: 0 };
    capture.section();
    capture.interface("clients");
    capture.interface("servers");
    for (event, fact) in &story.facts {
        let Fact::Wire { to, flight, bytes } = fact else { continue };
        let Some((interface, conn)) = conn_of(story, *to) else { continue };
        let at = story.events.get(*event as usize).map_or(0, |event| event.at);
        let mut comment = format!("event {event}");
        if let Some(violation) = violation.filter(|broken| broken.event == u64::from(*event)) {
            let breach = &violation.breach;
            comment += &format!(", where {} was broken: {}", breach.rule, breach.message);
        }
        capture.arrival(conn, (interface, at, &comment), *to, *flight, bytes);
    }
    capture.out
}

fn conn_of(story: &Story, ep: Ep) -> Option<(u32, &Conn)> {
    let ledger = &story.ledger;
    match ledger.sides.get(ep as usize / 2)? {
        Side::Front(front) => Some((0, ledger.fronts.get(*front as usize)?)),
        Side::Back(back) => Some((1, ledger.backs.get(*back as usize)?)),
    }
}

impl Capture {
    fn arrival(
        &mut self,
        conn: &Conn,
        frame: (u32, u64, &str),
        to: Ep,
        flight: Flight,
        bytes: &[u8],
    ) {
        let is_active = to & 1 == 1;
        let (from, dest) = if is_active { (conn.from, conn.to) } else { (conn.to, conn.from) };
        let base = |ep: Ep| 1000 + (ep >> 1) * 7919 + (ep & 1) * 500_000;
        let sender = to ^ 1;
        let sequence = base(sender).wrapping_add(self.ends[sender as usize].sent);
        let acknowledged = base(to).wrapping_add(self.ends[to as usize].sent);
        let mut packet =
            Packet { from, to: dest, sequence, acknowledged, flags: ACK, payload: &[] };
        let grown = match flight {
            Flight::Syn => {
                // Sent again, it is the same SYN.
                (packet.flags, packet.acknowledged, packet.sequence) = (SYN, 0, base(sender));
                self.ends[sender as usize].sent = 1;
                0
            }
            Flight::SynAck => {
                packet.flags = SYN | ACK;
                1
            }
            Flight::Data(_) => return self.segments(packet, frame, sender, bytes),
            Flight::Fin => {
                packet.flags = FIN | ACK;
                1
            }
            Flight::Rst | Flight::Refused => {
                packet.flags = RST | ACK;
                0
            }
        };
        self.ends[sender as usize].sent += grown;
        self.packet(frame, &packet);
        if flight == Flight::SynAck {
            // The third packet of the handshake, which the model's kernel does without.
            let third = Packet {
                from: packet.to,
                to: packet.from,
                sequence: acknowledged,
                acknowledged: sequence.wrapping_add(1),
                flags: ACK,
                payload: &[],
            };
            self.packet(frame, &third);
        }
    }

    fn segments(&mut self, head: Packet<'_>, frame: (u32, u64, &str), sender: Ep, bytes: &[u8]) {
        let mut sequence = head.sequence;
        for payload in bytes.chunks(SEGMENT_BYTES) {
            self.packet(frame, &Packet { sequence, flags: PSH | ACK, payload, ..head });
            sequence = sequence.wrapping_add(payload.len() as u32);
        }
        self.ends[sender as usize].sent += bytes.len() as u32;
    }

    fn packet(&mut self, (interface, at, comment): (u32, u64, &str), packet: &Packet<'_>) {
        let frame = self.frame(packet);
        let nanos = EPOCH_NANOS + at;
        let mut body = Vec::with_capacity(frame.len() + comment.len() + 40);
        body.extend(interface.to_le_bytes());
        body.extend(((nanos >> 32) as u32).to_le_bytes());
        body.extend((nanos as u32).to_le_bytes());
        body.extend((frame.len() as u32).to_le_bytes());
        body.extend((frame.len() as u32).to_le_bytes());
        body.extend(&frame);
        pad(&mut body);
        option(&mut body, 1, comment.as_bytes());
        option(&mut body, 0, &[]);
        self.block(6, &body);
    }

    fn frame(&mut self, packet: &Packet<'_>) -> Vec<u8> {
        let (from, to) = (v4(packet.from), v4(packet.to));
        let mut tcp = Vec::with_capacity(40 + packet.payload.len());
        tcp.extend(packet.from.port().to_be_bytes());
        tcp.extend(packet.to.port().to_be_bytes());
        tcp.extend(packet.sequence.to_be_bytes());
        tcp.extend(packet.acknowledged.to_be_bytes());
        // A SYN tells the segment size and that windows are in units of 128 bytes.
        let options: &[u8] = match packet.flags & SYN {
            0 => &[],
            _ => &[2, 4, (SEGMENT_BYTES >> 8) as u8, SEGMENT_BYTES as u8, 1, 3, 3, 7],
        };
        tcp.push(((20 + options.len()) as u8 / 4) << 4);
        tcp.push(packet.flags);
        tcp.extend(u16::MAX.to_be_bytes());
        tcp.extend([0; 4]);
        tcp.extend(options);
        tcp.extend(packet.payload);
        let mut pseudo = Vec::with_capacity(12 + tcp.len());
        pseudo.extend(from.octets());
        pseudo.extend(to.octets());
        pseudo.extend([0, 6]);
        pseudo.extend((tcp.len() as u16).to_be_bytes());
        pseudo.extend(&tcp);
        let sum = checksum(&pseudo);
        tcp[16..18].copy_from_slice(&sum.to_be_bytes());
        self.identification = self.identification.wrapping_add(1);
        let mut ip = vec![0x45, 0];
        ip.extend((20 + tcp.len() as u16).to_be_bytes());
        ip.extend(self.identification.to_be_bytes());
        ip.extend([0x40, 0, 64, 6, 0, 0]);
        ip.extend(from.octets());
        ip.extend(to.octets());
        let sum = checksum(&ip);
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
        // Locally administered addresses that end like the IP addresses.
        let mac = |ip: Ipv4Addr| {
            let [a, b, c, d] = ip.octets();
            [2, 0, a, b, c, d]
        };
        [&mac(to)[..], &mac(from), &[8, 0], &ip, &tcp].concat()
    }

    fn section(&mut self) {
        let mut body = 0x1a2b_3c4d_u32.to_le_bytes().to_vec();
        body.extend([1, 0, 0, 0]);
        body.extend(u64::MAX.to_le_bytes());
        option(&mut body, 4, b"tidegate-sim");
        option(&mut body, 0, &[]);
        self.block(0x0a0d_0d0a, &body);
    }

    fn interface(&mut self, name: &str) {
        // Ethernet, no limit, nanoseconds.
        let mut body = vec![1, 0, 0, 0, 0, 0, 0, 0];
        option(&mut body, 2, name.as_bytes());
        option(&mut body, 9, &[9]);
        option(&mut body, 0, &[]);
        self.block(1, &body);
    }

    fn block(&mut self, kind: u32, body: &[u8]) {
        let len = (body.len() as u32 + 12).to_le_bytes();
        self.out.extend(kind.to_le_bytes());
        self.out.extend(len);
        self.out.extend(body);
        self.out.extend(len);
    }
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = &value[..value.len().min(4096)];
    body.extend(code.to_le_bytes());
    body.extend((value.len() as u16).to_le_bytes());
    body.extend(value);
    pad(body);
}

fn pad(body: &mut Vec<u8>) {
    while !body.len().is_multiple_of(4) {
        body.push(0);
    }
}

fn v4(at: SocketAddr) -> Ipv4Addr {
    match at.ip() {
        IpAddr::V4(ip) => ip,
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
    }
}

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests;
