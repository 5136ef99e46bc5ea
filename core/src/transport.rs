//! What lies between a socket and the bytes of its session: a preface that is sent first (the
//! PROXY header for a server), and TLS. A plain socket has none of it.

use crate::input::SocketError;
use crate::proxy::SLICES_MAX;
use crate::tls::{PlayedWrite, Tls};

/// The layers of one socket.
pub(crate) struct Transport {
    /// Bytes that go out before everything else, as they are; what of them was not sent yet.
    preface: Vec<u8>,
    pub(crate) tls: Option<Tls>,
    /// Nothing can be written any more: what is owed stays unsaid.
    is_mute: bool,
}

impl Transport {
    /// Layers, or none if there is nothing to them.
    pub(crate) fn new(preface: Vec<u8>, tls: Option<Tls>) -> Option<Box<Transport>> {
        let has_layers = !preface.is_empty() || tls.is_some();
        has_layers.then(|| Box::new(Transport { preface, tls, is_mute: false }))
    }

    /// Whether bytes of its own are to be sent that do not wait for others.
    pub(crate) fn owes(&self) -> bool {
        !self.is_mute && (!self.preface.is_empty() || self.tls.as_ref().is_some_and(Tls::owes))
    }

    /// The socket takes nothing more: FIN was sent on it, or a write failed.
    pub(crate) fn mute(&mut self) {
        self.is_mute = true;
    }

    /// Whether [`Transport::mute`] was called.
    pub(crate) fn is_mute(&self) -> bool {
        self.is_mute
    }

    /// Whether there is input that no event will tell of: plaintext, or its end.
    pub(crate) fn has_input(&self) -> bool {
        self.tls.as_ref().is_some_and(Tls::has_input)
    }

    /// Whether the preface was not sent whole yet: nothing else may be written before it.
    pub(crate) fn owes_preface(&self) -> bool {
        !self.preface.is_empty()
    }

    /// In a replay: the next write takes `wrote` bytes of the preface and of records, all that
    /// there are or, if `partial`, fewer; and before it TLS leaves `unsealed` bytes of plaintext.
    ///
    /// # Errors
    /// TLS never has so many, in words.
    pub(crate) fn play_write(
        &mut self,
        wrote: usize,
        partial: bool,
        unsealed: usize,
    ) -> Result<(), String> {
        let taken = wrote.saturating_sub(self.preface.len());
        let offered = taken.saturating_add(usize::from(partial));
        let write = PlayedWrite { unsealed, offered };
        self.tls.as_mut().map_or(Ok(()), |tls| tls.play_write(write))
    }

    /// Sends by `send`, once, what goes out next: the preface, and behind it records, or, without
    /// TLS, `plain`. Returns how many bytes of `plain` went, and whether `send` took all that it
    /// was offered. `None`: there was nothing to send.
    ///
    /// # Errors
    /// What `send` says.
    pub(crate) fn send(
        &mut self,
        plain: &[&[u8]],
        mut send: impl FnMut(&[&[u8]]) -> Result<usize, SocketError>,
    ) -> Option<Result<(usize, bool), SocketError>> {
        if self.is_mute {
            return None;
        }
        let Transport { preface, tls, .. } = self;
        let before = preface.len();
        let mut offered = 0;
        let mut with_preface = |slices: &[&[u8]]| {
            let mut all: [&[u8]; SLICES_MAX] = [&[]; SLICES_MAX];
            all[0] = preface;
            let first = usize::from(before == 0);
            let count = slices.len().min(SLICES_MAX - 1);
            all[1..=count].copy_from_slice(&slices[..count]);
            offered = all[first..=count].iter().map(|slice| slice.len()).sum();
            send(&all[first..=count])
        };
        let sent = match tls {
            Some(tls) if !tls.is_flushed() => {
                let mut of_preface = 0;
                let records = tls.write_with(|slices| {
                    let sent = with_preface(slices)?;
                    of_preface = sent.min(before);
                    Ok(sent - of_preface)
                });
                records.map(|n| n + of_preface)
            }
            Some(_) if before == 0 => return None,
            None if before == 0 && plain.is_empty() => return None,
            Some(_) => with_preface(&[]),
            None => with_preface(plain),
        };
        Some(sent.map(|sent| {
            let of_preface = sent.min(before);
            preface.drain(..of_preface);
            let payload = if tls.is_some() { 0 } else { sent - of_preface };
            (payload, sent == offered)
        }))
    }
}
