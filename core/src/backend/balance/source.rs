//! `balance = "source"`: each client has a server of its own, as long as that can be used
//! (BACK-1).
//!
//! Weighted rendezvous hashing. Each server draws a number from the client's address and its own
//! key, and the best number wins. What one server draws depends on no other: a server that goes
//! takes only its own clients along, which spread over the rest, and one that comes takes its
//! share from everybody. Workers, restarts and other proxies agree, since there is no state and
//! the functions below are fixed: changing one moves every client of every user. All is done in
//! integers, so that machines agree too.
//!
//! # Weights
//!
//! Of n numbers `-log2(u) / weight`, with each `u` uniform in (0, 1], a server's is the least with
//! the probability of its weight: they are waiting times, and its rate is its weight. Servers of
//! one weight compare by `u` alone, which is the same order.

use super::ServerLoad;
use crate::config::Server;
use std::cmp::Ordering;
use std::net::IpAddr;

/// Bits of a logarithm behind the point.
const FRACTION_BITS: u32 = 48;
/// Sets what is hashed to mean a client apart from what names a server.
const CLIENT: u64 = 0x636c_6965_6e74_2d31;
const SERVER: u64 = 0x7365_7276_6572_2d31;

/// What stands for `server` when clients choose: a hash of its `id`, else of its address. A server
/// that keeps its id keeps its clients wherever it moves. Computed when a configuration is
/// applied, and kept with the server.
pub fn server_key(server: &Server) -> u64 {
    match &server.id {
        Some(id) => hash(SERVER, id.as_bytes()),
        None => hash(SERVER, server.addr.to_string().as_bytes()),
    }
}

/// The index of the server that belongs to `client`, among those that may be chosen; `None` when
/// there is none. An IPv4-mapped address counts as IPv4; all clients without an address, which
/// come over Unix sockets, count as one. Looks at each server once and allocates nothing.
pub fn by_source(client: Option<IpAddr>, servers: &[ServerLoad]) -> Option<usize> {
    let client = client_key(client);
    let mut best: Option<(usize, Ticket)> = None;
    for (index, server) in servers.iter().enumerate() {
        if !server.is_open() {
            continue;
        }
        let mut ticket = Ticket::new(mix(client ^ server.key), server.weight);
        if best.as_mut().is_none_or(|(_, best)| ticket.beats(best)) {
            best = Some((index, ticket));
        }
    }
    best.map(|(index, _)| index)
}

fn client_key(client: Option<IpAddr>) -> u64 {
    match client.map(|addr| addr.to_canonical()) {
        Some(IpAddr::V4(addr)) => hash(CLIENT, &addr.octets()),
        Some(IpAddr::V6(addr)) => hash(CLIENT, &addr.octets()),
        None => hash(CLIENT, &[]),
    }
}

/// What one server drew for one client.
struct Ticket {
    /// `u` is one more than this, of 2^64.
    draw: u64,
    weight: u32,
    /// `-log2(u)`, once it was needed.
    score: Option<u64>,
}

impl Ticket {
    fn new(draw: u64, weight: u32) -> Ticket {
        Ticket { draw, weight, score: None }
    }

    /// Whether this one wins: a less score for its weight, exactly, since a/w < b/v iff
    /// a * v < b * w; then the greater draw.
    fn beats(&mut self, other: &mut Ticket) -> bool {
        if self.weight == other.weight {
            return self.draw > other.draw;
        }
        let theirs = u128::from(other.score()) * u128::from(self.weight);
        // Most lose by far; a logarithm costs as much as many hashes.
        if u128::from(self.score_min()) * u128::from(other.weight) > theirs {
            return false;
        }
        let mine = u128::from(self.score()) * u128::from(other.weight);
        match mine.cmp(&theirs) {
            Ordering::Less => true,
            Ordering::Equal => self.draw > other.draw,
            Ordering::Greater => false,
        }
    }

    fn score(&mut self) -> u64 {
        *self.score.get_or_insert_with(|| minus_log2(self.draw))
    }

    /// No more than the score, at a glance: -log2(u) is at least 1 - u.
    fn score_min(&self) -> u64 {
        !self.draw >> (64 - FRACTION_BITS)
    }
}

/// `-log2((draw + 1) / 2^64)`, from 0 to 64, with [`FRACTION_BITS`] behind the point. It never
/// rises with `draw`.
fn minus_log2(draw: u64) -> u64 {
    let Some(number) = draw.checked_add(1) else { return 0 };
    let zeros = number.leading_zeros();
    // From 1 to below 2, with 63 bits behind the point: each squaring doubles its logarithm, whose
    // bits come out one by one.
    let mut power = number << zeros;
    let mut fraction = 0;
    for _ in 0..FRACTION_BITS {
        let square = (u128::from(power) * u128::from(power)) >> 63;
        let bit = (square >> 64) as u64;
        power = (square >> bit) as u64;
        fraction = fraction << 1 | bit;
    }
    (u64::from(zeros + 1) << FRACTION_BITS) - fraction
}

/// Hashes `bytes`, eight at a time, the last ones padded by zeros; their number counts too.
fn hash(purpose: u64, bytes: &[u8]) -> u64 {
    let mut state = mix(purpose ^ bytes.len() as u64);
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        state = mix(state ^ u64::from_le_bytes(word)).wrapping_add(purpose);
    }
    mix(state)
}

/// A permutation of all numbers in which each bit depends on every other (the last steps of
/// SplitMix64).
fn mix(mut word: u64) -> u64 {
    word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

#[cfg(test)]
mod tests;
