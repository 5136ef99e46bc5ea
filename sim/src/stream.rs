//! What the peers of a tunnel say: a short beginning, then bytes that are a function of their
//! offset, so that any range can be checked anywhere.

use crate::body::{BodyKey, Direction, difference};

/// Bytes of the tag that a TCP stream begins with.
pub const TAG_BYTES: usize = 8;

/// Whose stream a tag names.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Speaker {
    /// The client of this connection.
    Front(u32),
    /// The server of this connection.
    Back(u32),
}

/// One direction of a tunnel, without end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stream {
    beginning: Vec<u8>,
    key: BodyKey,
}

impl Stream {
    /// What `speaker` says on a TCP connection: its tag, then its bytes.
    pub fn of(speaker: Speaker) -> Stream {
        let (side, id, direction) = match speaker {
            Speaker::Front(id) => (b'u', id, Direction::TunnelUp),
            Speaker::Back(id) => (b'd', id, Direction::TunnelDown),
        };
        let [a, b, c, d] = id.to_be_bytes();
        let check = side ^ a ^ b ^ c ^ d;
        Stream {
            beginning: vec![b'T', b'G', side, a, b, c, d, check],
            key: BodyKey::new(id, direction),
        }
    }

    /// What the client of connection `front` says that begins with `hello`, in which it is not
    /// named otherwise than by what is random in it.
    pub fn hello(front: u32, hello: Vec<u8>) -> Stream {
        Stream { beginning: hello, key: BodyKey::new(front, Direction::TunnelUp) }
    }

    /// What the client of request `row` says once that was upgraded, beginning with what it sent
    /// right behind the request.
    pub fn up(row: u32, behind: Vec<u8>) -> Stream {
        Stream { beginning: behind, key: BodyKey::new(row ^ 1 << 31, Direction::TunnelUp) }
    }

    /// What the server says that upgraded request `row`.
    pub fn down(row: u32) -> Stream {
        let key = BodyKey::new(row ^ 1 << 31, Direction::TunnelDown);
        Stream { beginning: Vec::new(), key }
    }

    /// Bytes from `offset` on, at most `max` of them and at least 1 if `max` allows.
    pub fn at(&self, offset: u64, max: usize) -> &[u8] {
        let known = self.beginning.len() as u64;
        if offset >= known {
            return self.key.at(offset - known, max);
        }
        let rest = &self.beginning[offset as usize..];
        &rest[..rest.len().min(max)]
    }

    /// The first position where `bytes`, which stand at `offset`, differ from this stream.
    pub fn mismatch(&self, offset: u64, bytes: &[u8]) -> Option<u64> {
        difference(offset, bytes, |at, max| self.at(at, max))
    }
}

/// Whom a tag names; `None`: it is none.
pub fn speaker(tag: &[u8]) -> Option<Speaker> {
    let &[b'T', b'G', side, a, b, c, d, check] = tag else { return None };
    let id = u32::from_be_bytes([a, b, c, d]);
    match side {
        _ if check != side ^ a ^ b ^ c ^ d => None,
        b'u' => Some(Speaker::Front(id)),
        b'd' => Some(Speaker::Back(id)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_names_its_speaker_and_can_be_checked_anywhere() {
        for who in [Speaker::Front(7), Speaker::Back(70_000)] {
            let stream = Stream::of(who);
            assert_eq!(speaker(stream.at(0, TAG_BYTES)), Some(who));
            let mut bytes = stream.at(0, TAG_BYTES).to_vec();
            bytes.extend_from_slice(stream.at(8, 100));
            assert_eq!(stream.mismatch(0, &bytes), None);
            assert_eq!(stream.mismatch(5, &bytes[5..]), None);
            bytes[50] ^= 1;
            assert_eq!(stream.mismatch(5, &bytes[5..]), Some(50));
            bytes[3] ^= 1;
            assert_eq!(speaker(&bytes[..TAG_BYTES]), None);
        }
        assert_eq!(Stream::up(1, b"GET".to_vec()).at(1, 99), b"ET");
        assert_ne!(Stream::down(1).at(0, 9), Stream::up(1, Vec::new()).at(0, 9));
    }
}
