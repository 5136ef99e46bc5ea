//! The PROXY headers that clients send, good and bad ones (PP-1).

use super::World;
use super::client::Role;
use crate::choice::{Choices, Rate};
use crate::kernel::{Ep, client_address, port_of};
use crate::mark;
use crate::oracle::proxy::Announcement;
use crate::oracle::truth::covers;
use crate::refproxy;
use crate::site;
use crate::story::Who;
use crate::swarm::{Fault, Rates};
use crate::tell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Numbers from which the addresses of healed clients are made: nobody shares or lacks them.
const HEALED: u32 = 64 * 250;
/// Bytes of TLVs that a header may have: what 2,048 leave beside two IPv6 addresses.
const TLV_BYTES_MAX: usize = 2048 - 16 - 36;
/// Bytes of the TLV that holds a header's CRC32C.
const SUM_BYTES: usize = 7;

impl World {
    /// Which listener client `c` connects to, of those that are open.
    pub(super) fn client_listener(&mut self, c: u32, open: &[u16]) -> u16 {
        let tcp = self.net.number_of(&super::desired::listener_address(self.scenario.listeners));
        let first_healed = self.clients.iter().position(|client| client.role == Role::Healed);
        let http: Vec<u16> = open.iter().copied().filter(|&at| Some(at) != tcp).collect();
        // That HTTP is served after healing is what most seeds are to show.
        let wants_http = first_healed == Some(c as usize) && !http.is_empty();
        let among = if wants_http { &http } else { open };
        self.cx.choices.pick(site!("client/listener"), c.into(), among)
    }

    /// Client `c` has begun connection `front` to address number `to`: who it is, and what it will
    /// say of that.
    pub(super) fn client_introduces(&mut self, c: u32, front: u32, to: u16) {
        let listener = (0..self.scenario.all_listeners())
            .find(|&n| self.net.number_of(&super::desired::listener_address(n)) == Some(to))
            .unwrap_or(0);
        let protocols = &self.scenario.protocols;
        let role = self.clients[c as usize].role;
        let number = match protocols.addresses {
            _ if role == Role::Healed => HEALED + c,
            Some(shared) => c % shared,
            None => c,
        };
        let address = client_address(number, front);
        let expects = protocols.expects[listener];
        let at = &mut self.oracle.fronts[front as usize];
        at.listener = listener;
        at.address = address;
        self.clients[c as usize].header.clear();
        let mut is_owed = true;
        let mut len = 0;
        if expects {
            let (known, bytes) = self.draw_announcement(c, front, address, role);
            tell!(self.cx, Who::Client(c), "announces {known:?}");
            len = known.len;
            is_owed = known.is_good && bytes.len() as u64 == len;
            self.oracle.fronts[front as usize].announced = Some(known);
            self.clients[c as usize].header = bytes;
        }
        if Some(listener) == self.scenario.tcp_cluster().map(|_| self.scenario.listeners) {
            self.tcp_client_begins(c, front, len, is_owed);
        }
    }

    fn draw_announcement(
        &mut self,
        c: u32,
        front: u32,
        address: SocketAddr,
        role: Role,
    ) -> (Announcement, Vec<u8>) {
        let protocols = &self.scenario.protocols;
        let from = &protocols.from;
        let is_forbidden = !from.is_empty() && !from.iter().any(|n| covers(n, address.ip()));
        let rates = if self.is_closed() { Rates::NONE } else { self.scenario.swarm.rates };
        let shared = protocols.addresses.unwrap_or(200);
        let choices = &mut self.cx.choices;
        let entity = u64::from(c);
        let number = if role == Role::Healed { HEALED + c } else { c % shared };
        let mut known = draw_good(choices, entity, number, front);
        let mut bytes = std::mem::take(&mut known.1);
        let mut known = known.0;
        if self.cx.strikes(Fault::BadHeader, &rates, entity) {
            spoil(&mut self.cx.choices, entity, &mut bytes);
            known.is_good = false;
            known.len = bytes.len() as u64;
            self.cx.mark(mark!("proxy: a bad header"));
        } else if self.cx.strikes(Fault::StalledHeader, &rates, entity) {
            let at = self.cx.choose(site!("announce/stalls at"), entity, bytes.len() as u64);
            bytes.truncate(at as usize);
            self.cx.mark(mark!("proxy: a header that stops"));
        }
        if is_forbidden {
            known.is_good = false;
            known.is_forbidden = true;
            self.cx.fired(Fault::Strangers);
            self.cx.mark(mark!("proxy: a header from a stranger"));
        }
        (known, bytes)
    }

    /// Writes what is left of the header of client `c`; whether it may go on.
    pub(super) fn client_announces(&mut self, c: u32, ep: Ep) -> bool {
        let client = &mut self.clients[c as usize];
        let Some(known) = &self.oracle.fronts[client.front as usize].announced else { return true };
        let is_cut = self.net.ep(ep).written + (client.header.len() as u64) < known.len;
        while !client.header.is_empty() {
            let mut n = client.header.len();
            let is_piecemeal = self.cx.choices.choose(site!("announce/cuts"), c.into(), 4) == 3;
            if is_piecemeal {
                n = 1 + self.cx.choices.choose(site!("announce/cut"), c.into(), n as u64) as usize;
            }
            match self.net.send(&mut self.cx, ep, &[&client.header[..n]]) {
                Ok(n) => {
                    client.header.drain(..n);
                }
                Err(_) => break,
            }
            if is_piecemeal && !client.header.is_empty() {
                let pause = self.cx.choices.log_between(
                    site!("announce/pause"),
                    c.into(),
                    crate::cx::US,
                    20 * crate::cx::MS,
                );
                self.client_later(c, pause);
                break;
            }
        }
        let client = &mut self.clients[c as usize];
        if client.header.is_empty() && !is_cut {
            // TLS waits for it.
            self.layers.pump(&mut self.cx, &mut self.net, ep);
            return true;
        }
        // Nothing can come yet but the end.
        let is_over = match self.net.skip(&mut self.cx, ep, usize::MAX) {
            Ok(0) => true,
            Ok(_) => false,
            Err(error) => error != tidegate_core::input::SocketError::WouldBlock,
        };
        if is_over {
            self.client_leave(c, super::leave::Leaves::SawEnd);
        } else if self.cx.now >= self.clients[c as usize].give_up_at {
            self.client_leave(c, super::leave::Leaves::Aborts);
        }
        false
    }
}

/// TLVs, and what of them is to be relayed.
fn draw_tlvs(choices: &mut Choices, entity: u64) -> (Vec<u8>, Vec<u8>) {
    let (mut all, mut kept) = (Vec::new(), Vec::new());
    for _ in 0..choices.choose(site!("announce/tlvs"), entity, 4) {
        let kind = choices.pick(site!("announce/tlv"), entity, &[1_u8, 2, 4, 5, 0x30, 0xe0, 0xee]);
        let len = choices.log_between(site!("announce/tlv bytes"), entity, 1, 200) as u16;
        let mut tlv = vec![kind];
        tlv.extend_from_slice(&len.to_be_bytes());
        tlv.extend((0..len).map(|n| n as u8 ^ kind));
        all.extend_from_slice(&tlv);
        if kind != 4 {
            kept.extend_from_slice(&tlv);
        }
    }
    (all, kept)
}

/// Makes TLVs, and what of them is to be relayed, the longest that a header may have.
fn fill(all: &mut Vec<u8>, kept: &mut Vec<u8>, has_sum: bool) {
    let sum = if has_sum { SUM_BYTES } else { 0 };
    let len = TLV_BYTES_MAX - all.len() - sum - 3;
    let mut tlv = vec![0xe1];
    tlv.extend_from_slice(&(len as u16).to_be_bytes());
    tlv.extend((0..len).map(|n| n as u8));
    all.extend_from_slice(&tlv);
    kept.extend_from_slice(&tlv);
}

/// Where announced clients went: to the shortest and the longest of addresses and ports, too.
const TO_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(198, 51, 100, 7), Ipv4Addr::new(198, 151, 100, 207), Ipv4Addr::new(8, 8, 8, 8)];
/// See [`TO_V4`].
const TO_V6: [Ipv6Addr; 3] = [
    Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0x2001, 0x1db8, 0x1111, 0x2222, 0x3333, 0x4444, 0x5555, 0x6666),
    Ipv6Addr::LOCALHOST,
];
/// See [`TO_V4`].
const TO_PORTS: [u16; 5] = [443, 443, 0, 9, 65_535];

/// A header that is in order, and its bytes. The client it announces is number `number`.
fn draw_good(
    choices: &mut Choices,
    entity: u64,
    number: u32,
    front: u32,
) -> (Announcement, Vec<u8>) {
    let (port, low) = (port_of(front), (number % 250) as u8 + 1);
    let high = (number / 250) as u8;
    let is_v6 = choices.coin(site!("announce/v6"), entity);
    let (source, destination): (IpAddr, IpAddr) = match is_v6 {
        true => (
            Ipv6Addr::from([0x2001, 0xdb8, 0, 0, 0, 0, u16::from(high), u16::from(low)]).into(),
            choices.pick(site!("announce/to v6"), entity, &TO_V6).into(),
        ),
        false => (
            Ipv4Addr::from([203, 0, 113 ^ high, low]).into(),
            choices.pick(site!("announce/to v4"), entity, &TO_V4).into(),
        ),
    };
    let to_port = choices.pick(site!("announce/to port"), entity, &TO_PORTS);
    let pair = (SocketAddr::new(source, port), SocketAddr::new(destination, to_port));
    let family = if is_v6 { 0x21 } else { 0x11 };
    let (mut tlvs, mut kept) = draw_tlvs(choices, entity);
    let sum = choices.coin(site!("announce/sum"), entity);
    if choices.chance(site!("announce/longest"), entity, Rate::percent(4)) {
        fill(&mut tlvs, &mut kept, sum);
    }
    let none = Vec::new();
    let (bytes, addresses, tlvs) = match choices.choose(site!("announce/form"), entity, 10) {
        0..=2 => (refproxy::line(pair), Some(pair), none),
        3 => (b"PROXY UNKNOWN\r\n".to_vec(), None, none),
        4 => (b"PROXY UNKNOWN ffff::1 whatever 1 2\r\n".to_vec(), None, none),
        5 => (refproxy::binary(0x20, family, Some(pair), &tlvs, false), None, none),
        6 => (refproxy::binary(0x21, 0x00, None, &tlvs, sum), None, kept),
        // UDP is not what the connection is: the addresses do not count (2.2).
        7 => (refproxy::binary(0x21, family + 1, Some(pair), &tlvs, sum), None, kept),
        _ => (refproxy::binary(0x21, family, Some(pair), &tlvs, sum), Some(pair), kept),
    };
    let known = Announcement {
        len: bytes.len() as u64,
        addresses,
        tlvs,
        is_good: true,
        is_forbidden: false,
        read_at: None,
        has_surplus: false,
    };
    (known, bytes)
}

/// Makes a good header a bad one, which nothing that follows can mend.
fn spoil(choices: &mut Choices, entity: u64, bytes: &mut Vec<u8>) {
    let is_line = bytes[0] == b'P';
    match choices.choose(site!("announce/how bad"), entity, 6) {
        0 => bytes.clear(),
        1 => bytes[4] ^= 0x20,
        2 if is_line => bytes.splice(6.., *b"TCP5 1 2 3 4\r\n").for_each(drop),
        2 => bytes[12] = 0x31,
        3 if is_line => bytes.splice(6.., *b"TCP4 192.0.2.300 192.0.2.1 1 2\r\n").for_each(drop),
        3 => bytes[12] = 0x22,
        4 if is_line => bytes.splice(6.., *b"TCP4 192.0.2.3 192.0.2.1 1 02\r\n").for_each(drop),
        4 if bytes[12] == 0x20 => bytes[12] = 0x2f,
        4 => bytes[13] = 0x77,
        5 if is_line => bytes.splice(6.., vec![b'A'; 200]).for_each(drop),
        _ if is_line => bytes.splice(6.., *b"UNKNOWN\rx\n").for_each(drop),
        _ => bytes[14] = 0xff,
    }
}
