//! TLS out of a recording: what rustls came to is told, and nobody shakes hands again.
//!
//! A recording cuts at the plaintext side. Of a connection's TLS it keeps what each call changed
//! that its session could see ([`Told`]), and what stood in the way of a write ([`PlayedWrite`]).

use super::{TlsFailure, TlsVersion};

/// What TLS 1.3 adds to the content of a record: five bytes of header, sixteen of the tag, one of
/// the content's type (RFC 8446 5.2).
const RECORD_OVERHEAD: usize = 5 + 16 + 1;

/// How a call came out, and all that it changed.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Told {
    /// Plaintext bytes that it gave.
    pub(crate) n: usize,
    pub(crate) failure: Option<TlsFailure>,
    /// The version, once the handshake has come to its end.
    pub(crate) version: Option<TlsVersion>,
    /// The peer sent close_notify.
    pub(crate) has_notified: bool,
    /// Bytes are to be sent.
    pub(crate) wants_write: bool,
    /// Plaintext bytes that wait to be read.
    pub(crate) held: usize,
}

impl Told {
    /// In place of a number: it came out as it nearly always does.
    pub(crate) const EXPECTED: u64 = u64::MAX;

    /// What nearly always comes of `bytes` from the socket: they are one record.
    pub(crate) fn with_record(self, bytes: usize) -> Told {
        Told { held: self.held + bytes.saturating_sub(RECORD_OVERHEAD), ..self }
    }

    /// What nearly always comes of a read into `room` bytes: as much as is there.
    pub(crate) fn with_read(self, room: usize) -> Told {
        let n = self.held.min(room);
        Told { n, held: self.held - n, ..self }
    }

    /// As recordings keep it.
    pub(crate) fn number(self, expected: Told) -> u64 {
        if self == expected {
            return Told::EXPECTED;
        }
        let failure = self.failure.map_or(0, |failure| failure as u64 + 1);
        let version = self.version.map_or(0, |version| version as u64 + 1);
        let bits = u64::from(self.has_notified) | u64::from(self.wants_write) << 1;
        let held = (self.held as u64).min(HELD_MAX);
        failure | version << 3 | bits << 5 | held << 7 | (self.n as u64) << 32
    }

    /// What a recording kept, for people.
    pub(crate) fn words(number: u64) -> String {
        if number == Told::EXPECTED {
            return "as expected".into();
        }
        let nothing = Told {
            n: 0,
            failure: None,
            version: None,
            has_notified: false,
            wants_write: false,
            held: 0,
        };
        let told = Told::of(number, nothing);
        let mut words = format!("{} bytes read, {} left", told.n, told.held);
        if let Some(failure) = told.failure {
            words += &format!(", failed: {}", failure.name());
        }
        let facts = [
            (told.version.is_none(), ", handshake goes on"),
            (told.wants_write, ", more to send"),
            (told.has_notified, ", close_notify came"),
        ];
        words.extend(facts.into_iter().filter(|(is_so, _)| *is_so).map(|(_, word)| word));
        words
    }

    /// What a recording kept. Nothing in it is trusted.
    pub(crate) fn of(number: u64, expected: Told) -> Told {
        if number == Told::EXPECTED {
            return expected;
        }
        let failure = (number & 7).checked_sub(1);
        let failure = failure.and_then(|index| TlsFailure::ALL.get(index as usize).copied());
        let version = match number >> 3 & 3 {
            0 => None,
            1 => Some(TlsVersion::Tls12),
            _ => Some(TlsVersion::Tls13),
        };
        Told {
            n: (number >> 32) as usize,
            failure,
            version,
            has_notified: number >> 5 & 1 != 0,
            wants_write: number >> 6 & 1 != 0,
            held: (number >> 7 & HELD_MAX) as usize,
        }
    }
}

/// Bytes of records that one write takes at most, by far: what is sealed at a time, and what a
/// handshake says.
const RECORDS_MAX: usize = 1 << 20;
/// Of [`Told::held`], far more than TLS ever holds.
const HELD_MAX: u64 = (1 << 25) - 1;
const _: () = assert!(TlsFailure::ALL.len() < 8, "three bits name each, and none");

/// What one write comes to.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct PlayedWrite {
    /// Plaintext bytes that are offered, and not made records of.
    pub(crate) unsealed: usize,
    /// Bytes of records that it offers to the socket: all that there are.
    pub(crate) offered: usize,
}

/// In place of a rustls connection.
pub(crate) struct PlayedTls {
    pub(super) is_server: bool,
    /// Once the handshake has come to its end.
    pub(super) version: Option<TlsVersion>,
    pub(super) wants_write: bool,
    /// The goodbye, or the alert of a failure, was said: it is said once.
    pub(super) has_ended: bool,
    /// The next write.
    pub(super) write: PlayedWrite,
    /// In place of records.
    pub(super) zeros: Vec<u8>,
}

impl PlayedTls {
    /// The side of a connection that is begun now; a client owes its ClientHello.
    pub(super) fn begin(is_server: bool) -> PlayedTls {
        PlayedTls {
            is_server,
            version: None,
            wants_write: !is_server,
            has_ended: false,
            write: PlayedWrite::default(),
            zeros: Vec::new(),
        }
    }

    /// The next write comes to this. What a file says of it is not trusted.
    pub(super) fn expect_write(&mut self, write: PlayedWrite) -> Result<(), String> {
        if write.offered > RECORDS_MAX {
            return Err(format!("{} bytes were written; TLS never has so many", write.offered));
        }
        self.write = write;
        Ok(())
    }

    pub(super) fn seal(&mut self, offered: usize) -> usize {
        let sealed = offered.saturating_sub(self.write.unsealed);
        self.wants_write |= sealed > 0;
        sealed
    }

    pub(super) fn write_with<E>(
        &mut self,
        mut send: impl FnMut(&[&[u8]]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        self.zeros.resize(self.write.offered, 0);
        let sent = send(&[&self.zeros])?;
        self.wants_write = sent < self.write.offered;
        Ok(sent)
    }

    pub(super) fn close_notify(&mut self) {
        self.wants_write |= !std::mem::replace(&mut self.has_ended, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A file that tells of an enormous write costs no memory.
    #[test]
    fn a_write_larger_than_any_is_refused() {
        let mut played = PlayedTls::begin(true);
        let write = |offered| PlayedWrite { unsealed: 0, offered };
        assert_eq!(played.expect_write(write(RECORDS_MAX)), Ok(()));
        assert!(played.expect_write(write(usize::MAX)).is_err());
        assert_eq!(played.write_with(|slices| Ok::<_, ()>(slices[0].len())), Ok(RECORDS_MAX));
    }

    // Whatever a call came to is read from a recording as it was, and what is usual costs nothing.
    #[test]
    fn what_is_told_is_read_again() {
        let usual = Told {
            n: 0,
            failure: None,
            version: Some(TlsVersion::Tls13),
            has_notified: false,
            wants_write: false,
            held: 100,
        };
        let expected = usual.with_record(1022);
        assert_eq!(expected.held, 1100);
        assert_eq!(expected.number(expected), Told::EXPECTED);
        let read = expected.with_read(600);
        assert_eq!((read.n, read.held), (600, 500));
        let mut failures: Vec<_> = TlsFailure::ALL.iter().copied().map(Some).collect();
        failures.push(None);
        for failure in failures {
            for version in [None, Some(TlsVersion::Tls12), Some(TlsVersion::Tls13)] {
                for (n, held) in [(0, 0), (1, 8191), (70_000, 33_000)] {
                    for (has_notified, wants_write) in [(true, false), (false, true)] {
                        let told = Told { n, failure, version, has_notified, wants_write, held };
                        assert_eq!(Told::of(told.number(expected), expected), told);
                    }
                }
            }
        }
        assert_eq!(Told::of(Told::EXPECTED, read), read);
        let failed = Told { failure: Some(TlsFailure::Protocol), has_notified: true, ..read };
        let words = "600 bytes read, 500 left, failed: protocol, close_notify came";
        assert_eq!(Told::words(failed.number(expected)), words);
    }
}
