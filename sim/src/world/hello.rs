//! ClientHellos of clients whose TLS passes through the proxy undecrypted: with a name or without,
//! in one record or several, and such that are none (TLS-5).

use super::World;
use crate::choice::{Choices, mix};
use crate::mark;
use crate::oracle::passage::{Hello, NAMES_MAX};
use crate::site;
use crate::swarm::{Fault, Rates};
use crate::wire;

/// Bytes of a record's content at most, and of a hello that a proxy reads (RFC 8446 5.1).
const RECORD_MAX: usize = 16 * 1024;
const HANDSHAKE: u8 = 22;
const SERVER_NAME: u16 = 0;
const PADDING: u16 = 21;

impl World {
    /// What client `c` says first on connection `front`, and what of that is known.
    pub(super) fn draw_hello(&mut self, c: u32, front: u32, rates: &Rates) -> (Hello, Vec<u8>) {
        let entity = u64::from(c);
        let most = self.scenario.settings.buffer_bytes;
        let is_bad = self.cx.strikes(Fault::ClientTls, rates, entity);
        let choices = &mut self.cx.choices;
        let name = match choices.oddity(site!("hello/name"), entity, 8) {
            0 => None,
            1 => Some(wire::UNKNOWN_HOST),
            _ => Some(choices.choose(site!("hello/host"), entity, NAMES_MAX) as u16),
        };
        let mut body = body(choices, entity, front, name);
        let mut bytes = match choices.choose(site!("hello/padded"), entity, 8) {
            // As long as fits.
            0 => {
                pad(&mut body, most.min(RECORD_MAX) - 40);
                records(choices, entity, &handshake(&body))
            }
            _ => records(choices, entity, &handshake(&body)),
        };
        let mut hello = Hello { len: bytes.len() as u64, name, is_good: true };
        if is_bad {
            let how = choices.choose(site!("hello/how bad"), entity, 11);
            let stalls = how == 9;
            match stalls {
                true => {
                    let at = choices.choose(site!("hello/stalls at"), entity, hello.len);
                    bytes.truncate(at as usize);
                }
                false => {
                    bytes = spoilt(how, body, most);
                    hello.len = bytes.len() as u64;
                    hello.is_good = false;
                }
            }
            self.cx.mark(match stalls {
                true => mark!("hello: one that stops"),
                false => mark!("hello: a bad one"),
            });
        }
        (hello, bytes)
    }
}

/// The body of a hello: anything but its name is between the client and its server.
fn body(choices: &mut Choices, entity: u64, front: u32, name: Option<u16>) -> Vec<u8> {
    let mut body = vec![3, 3];
    let random = |n: u64| mix(u64::from(front) << 8 | n).to_be_bytes();
    body.extend((0..4).flat_map(random));
    match choices.coin(site!("hello/session"), entity) {
        true => body.push(0),
        false => counted(&mut body, 1, &[0x5e; 32]),
    }
    let suites = 2 * choices.between(site!("hello/suites"), entity, 4, 40) as usize;
    counted(&mut body, 2, &[0x13].repeat(suites));
    counted(&mut body, 1, &[0]);
    let mut all = Vec::new();
    for at in 0..choices.choose(site!("hello/extensions"), entity, 3) {
        extension(&mut all, 0x0a0a + at as u16, &[7; 9]);
    }
    if let Some(name) = name {
        let name = wire::host_name(name);
        let is_loud = choices.choose(site!("hello/loud"), entity, 4) == 3;
        let name = if is_loud { name.to_uppercase() } else { name };
        extension(&mut all, SERVER_NAME, &names(0, name.as_bytes()));
        // Behind the name nothing counts but its length.
        if choices.coin(site!("hello/more"), entity) {
            extension(&mut all, 43, &[2, 3, 4]);
        }
    } else if all.is_empty() && choices.coin(site!("hello/bare"), entity) {
        return body;
    }
    counted(&mut body, 2, &all);
    body
}

/// A list of one name, of this kind.
fn names(kind: u8, name: &[u8]) -> Vec<u8> {
    let mut entry = vec![kind];
    counted(&mut entry, 2, name);
    let mut list = Vec::new();
    counted(&mut list, 2, &entry);
    list
}

/// Lengthens the extensions of `body`, of which there are some, until it has `len` bytes.
fn pad(body: &mut Vec<u8>, len: usize) {
    let at = extensions_at(body);
    if at + 2 > body.len() || body.len() + 4 > len {
        return;
    }
    let more = len - body.len() - 4;
    extension(body, PADDING, &vec![0; more]);
    let all = (body.len() - at - 2) as u16;
    body[at..at + 2].copy_from_slice(&all.to_be_bytes());
}

/// Where the length of the extensions stands.
fn extensions_at(body: &[u8]) -> usize {
    let suites = 35 + usize::from(body[34]);
    let length = usize::from(body[suites]) << 8 | usize::from(body[suites + 1]);
    suites + 2 + length + 2
}

fn extension(all: &mut Vec<u8>, kind: u16, content: &[u8]) {
    all.extend_from_slice(&kind.to_be_bytes());
    counted(all, 2, content);
}

/// Appends `content` behind its length, in `width` bytes.
fn counted(to: &mut Vec<u8>, width: usize, content: &[u8]) {
    let length = (content.len() as u64).to_be_bytes();
    to.extend_from_slice(&length[8 - width..]);
    to.extend_from_slice(content);
}

fn handshake(body: &[u8]) -> Vec<u8> {
    let mut message = vec![1];
    counted(&mut message, 3, body);
    message
}

fn record(all: &mut Vec<u8>, content: &[u8]) {
    all.extend_from_slice(&[HANDSHAKE, 3, 1]);
    counted(all, 2, content);
}

/// `message` in one record, or in two or three.
fn records(choices: &mut Choices, entity: u64, message: &[u8]) -> Vec<u8> {
    let (mut all, mut rest) = (Vec::new(), message);
    for n in 0..choices.oddity(site!("hello/cuts"), entity, 4).min(2) {
        let most = rest.len() as u64 - 1;
        if most == 0 {
            break;
        }
        let cut = choices.log_between(site!("hello/cut"), entity << 2 | n, 1, most) as usize;
        let (first, other) = rest.split_at(cut);
        record(&mut all, first);
        rest = other;
    }
    record(&mut all, rest);
    all
}

/// What is no ClientHello once all of it is there, of which a proxy with buffers of `most` bytes
/// reads so many.
fn spoilt(how: u64, mut body: Vec<u8>, most: usize) -> Vec<u8> {
    let mut all = Vec::new();
    match how {
        0 => return b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        1 => return vec![HANDSHAKE, 2, 1, 0, 40],
        2 => return vec![HANDSHAKE, 3, 1, 0, 0],
        3 => return vec![HANDSHAKE, 3, 1, 0x40, 1],
        // Another message, and one that is too long.
        4 => record(&mut all, &[2, 0, 0, 40]),
        5 => record(&mut all, &[1, 0, 0x40, 0]),
        // One byte behind the extensions, or behind what there is instead.
        6 => {
            if extensions_at(&body) == body.len() {
                counted(&mut body, 2, &[]);
            }
            body.push(0);
            record(&mut all, &handshake(&body));
        }
        // Names of another kind, or of no byte.
        7 | 8 => {
            body.truncate(extensions_at(&body));
            let mut wrong = Vec::new();
            let list = if how == 7 { names(1, b"a.example") } else { names(0, b"") };
            extension(&mut wrong, SERVER_NAME, &list);
            counted(&mut body, 2, &wrong);
            record(&mut all, &handshake(&body));
        }
        // Longer than what is read.
        _ => {
            if extensions_at(&body) == body.len() {
                counted(&mut body, 2, &[]);
            }
            pad(&mut body, most.min(RECORD_MAX - 4));
            record(&mut all, &handshake(&body));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare() -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend_from_slice(&[9; 32]);
        counted(&mut body, 1, &[]);
        counted(&mut body, 2, &[0x13, 1]);
        counted(&mut body, 1, &[0]);
        body
    }

    #[test]
    fn a_hello_is_as_long_as_it_says() {
        let mut body = bare();
        assert_eq!(extensions_at(&body), body.len());
        counted(&mut body, 2, &[]);
        pad(&mut body, 500);
        assert_eq!(body.len(), 500);
        assert_eq!(usize::from(body[41]) << 8 | usize::from(body[42]), 500 - 43);
        let mut choices = Choices::from_seed(1);
        let message = handshake(&body);
        for entity in 0..20 {
            let (all, mut rest, mut content) =
                (records(&mut choices, entity, &message), 0, Vec::new());
            while rest < all.len() {
                let len = usize::from(all[rest + 3]) << 8 | usize::from(all[rest + 4]);
                assert!(len > 0 && all[rest] == HANDSHAKE);
                content.extend_from_slice(&all[rest + 5..rest + 5 + len]);
                rest += 5 + len;
            }
            assert_eq!(content, message);
        }
    }
}
