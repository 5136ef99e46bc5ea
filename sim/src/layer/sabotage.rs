//! What a peer of the proxy does wrong with its TLS.

/// What one peer does wrong on one connection.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub enum Trouble {
    /// Nothing.
    #[default]
    None,
    /// It sends bytes that are no TLS, this many.
    Garbage(u16),
    /// Its flight so-and-so of the handshake ends after so many hundredths, and so does its
    /// stream.
    Cuts(u8, u8),
    /// Likewise, but it stays.
    Stalls(u8, u8),
    /// One bit of its record number so-and-so is wrong; in the record's header, if told so.
    Flips(u16, bool),
    /// It ends without close_notify.
    Mute,
    /// It sends more behind its close_notify.
    More,
}

impl Trouble {
    /// Whether it keeps the handshake from its end.
    pub fn breaks_handshake(self) -> bool {
        matches!(self, Trouble::Garbage(_) | Trouble::Cuts(..) | Trouble::Stalls(..))
    }
}

/// What was damaged by a flipped bit.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Damage {
    /// A record's header.
    Header,
    /// A record that is not encrypted.
    Clear,
    /// An encrypted record, or its authenticator.
    Sealed,
}

/// Counts records of a stream, and damages one.
#[derive(Default)]
pub(super) struct Records {
    count: u16,
    has_keys: bool,
}

impl Records {
    /// `output` are whole records; flips the bit that `trouble` names if it lies there, and says
    /// where and what.
    pub(super) fn pass(&mut self, output: &mut [u8], trouble: Trouble) -> Option<(u64, Damage)> {
        let Trouble::Flips(wanted, in_header) = trouble else { return None };
        let mut at = 0;
        let mut damaged = None;
        while let Some(&[kind, _, _, high, low]) = output.get(at..at + 5) {
            let length = usize::from(high) << 8 | usize::from(low);
            if self.count == wanted && length > 0 {
                // Of TLS 1.2, everything behind ChangeCipherSpec is sealed; of TLS 1.3, a second
                // hello may follow it, which is longer than any Finished.
                let damage = match (in_header, kind) {
                    (true, _) => Damage::Header,
                    (false, 23) => Damage::Sealed,
                    (false, 22) if self.has_keys && length < 64 => Damage::Sealed,
                    _ => Damage::Clear,
                };
                // Not the claimed version, which nobody has to look at.
                let place = if in_header { at + 3 } else { at + 5 + length * 2 / 3 };
                output[place] ^= 0x10;
                damaged = Some((at as u64, damage));
            }
            self.count = self.count.saturating_add(1);
            // TLS 1.3 sends one for show, and its sealed records are application data.
            self.has_keys |= kind == 20;
            at += 5 + length;
        }
        damaged
    }
}

/// `n` bytes that begin no TLS and no HTTP.
pub(super) fn garbage(n: u16, key: u64) -> Vec<u8> {
    let word = |at: u16| crate::choice::mix(key ^ u64::from(at)) as u8;
    // No upper-case letter first: that is how plaintext is told.
    let first = |word: u8| if word.is_ascii_uppercase() { word ^ 0x20 } else { word };
    (0..n.max(1)).map(|at| if at == 0 { first(word(0)) } else { word(at) }).collect()
}
