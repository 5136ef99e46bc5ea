//! Chance, lent to rustls for the length of one call.
//!
//! rustls asks a `&'static dyn SecureRandom` for random bytes, and `'static` groups for key
//! shares: neither can hold a stream of a run. [`Randomness`] therefore holds nothing, and reads
//! what the caller of rustls has lent to its thread:
//!
//! - [`Entropy::lend`] around one call into one connection, for whoever owns the connection;
//! - [`Streams::lend`] around one call into something that owns many (a turn of the core), with
//!   [`feed`] from within that call whenever another connection's bytes come in.
//!
//! A thread-local is safe for determinism where it is only a hand-over: it is empty outside of a
//! guard, a draw then panics, and what is lent goes back to its owner when the guard ends, also
//! by a panic. Guards nest: the inner one is in force until it ends, then the outer one again.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use rustls::crypto::{GetRandomFailed, SecureRandom};
use std::cell::RefCell;
use std::collections::BTreeMap;

thread_local! {
    /// What the innermost guard of this thread lends.
    static LENT: RefCell<Option<Lent>> = const { RefCell::new(None) };
}

enum Lent {
    /// In a box, for it moves at each call, in and out.
    One(Box<ChaCha8Rng>),
    Many(Streams),
}

fn stream(seed: u64, connection: u64) -> ChaCha8Rng {
    let mut key = *b"tidegate simulated TLS ......../";
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[24..].copy_from_slice(&connection.to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

/// Fills `bytes` from what is lent to this thread.
///
/// # Panics
///
/// When nothing is lent.
pub(super) fn draw(bytes: &mut [u8]) {
    LENT.with_borrow_mut(|lent| match lent {
        Some(Lent::One(stream)) => stream.fill_bytes(bytes),
        Some(Lent::Many(streams)) => streams.current().fill_bytes(bytes),
        None => panic!("TLS drew {} random bytes outside of any guard", bytes.len()),
    });
}

/// The random numbers of one connection's TLS: a ChaCha8 stream keyed by (seed, connection).
pub struct Entropy {
    /// `None` while it is lent.
    stream: Option<Box<ChaCha8Rng>>,
}

impl Entropy {
    /// The stream of `connection` under `seed`, from its beginning: to be made once a connection
    /// and kept with it. The two ends of a connection need two numbers.
    pub fn new(seed: u64, connection: u64) -> Entropy {
        Entropy { stream: Some(Box::new(stream(seed, connection))) }
    }

    /// Runs `call` with this stream lent to the thread: every draw of rustls inside of it comes
    /// from here. To be put around everything that may draw: making a connection,
    /// `process_new_packets`, writing, key updates.
    pub fn lend<R>(&mut self, call: impl FnOnce() -> R) -> R {
        let stream = self.stream.take().expect("a stream is lent by one guard at a time");
        let guard = Guard { outer: LENT.replace(Some(Lent::One(stream))), owner: Owner::One(self) };
        let result = call();
        drop(guard);
        result
    }
}

/// The random numbers of many connections' TLS behind one call, such as a turn of the core.
#[derive(Default)]
pub struct Streams {
    seed: u64,
    streams: BTreeMap<u64, ChaCha8Rng>,
    fed: u64,
}

impl Streams {
    /// No streams yet; each begins when its connection first draws.
    pub fn new(seed: u64) -> Streams {
        Streams { seed, streams: BTreeMap::new(), fed: 0 }
    }

    /// Runs `call` with these streams lent to the thread. Draws come from the stream of
    /// `connection` until `call` names another one with [`feed`].
    pub fn lend<R>(&mut self, connection: u64, call: impl FnOnce() -> R) -> R {
        let streams = Streams { fed: connection, ..std::mem::take(self) };
        let outer = LENT.replace(Some(Lent::Many(streams)));
        let guard = Guard { outer, owner: Owner::Many(self) };
        let result = call();
        drop(guard);
        result
    }

    /// How many connections have drawn and were not forgotten.
    pub fn len(&self) -> usize {
        self.streams.len()
    }

    /// Whether no connection has drawn, or all that did were forgotten.
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    fn current(&mut self) -> &mut ChaCha8Rng {
        self.streams.entry(self.fed).or_insert_with(|| stream(self.seed, self.fed))
    }
}

fn with_streams(change: impl FnOnce(&mut Streams)) {
    LENT.with_borrow_mut(|lent| match lent {
        Some(Lent::Many(streams)) => change(streams),
        _ => panic!("a connection was named outside of Streams::lend"),
    });
}

/// Says whose bytes the core is about to see: from now on, draws come from the stream of
/// `connection`. The simulated kernel calls it from within [`Streams::lend`], on every accept,
/// connect, receive and send.
///
/// # Panics
///
/// When the innermost guard is not [`Streams::lend`].
pub fn feed(connection: u64) {
    with_streams(|streams| streams.fed = connection);
}

/// Ends the stream of a closed connection; a number that is used again begins anew. Called from
/// within [`Streams::lend`].
///
/// # Panics
///
/// When the innermost guard is not [`Streams::lend`].
pub fn forget(connection: u64) {
    with_streams(|streams| drop(streams.streams.remove(&connection)));
}

enum Owner<'a> {
    One(&'a mut Entropy),
    Many(&'a mut Streams),
}

/// Gives back what was lent, at the end of the call or of a panic in it.
struct Guard<'a> {
    outer: Option<Lent>,
    owner: Owner<'a>,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        // Nested guards end before this one, so what is there is what this one lent.
        match (LENT.replace(self.outer.take()), &mut self.owner) {
            (Some(Lent::One(stream)), Owner::One(owner)) => owner.stream = Some(stream),
            (Some(Lent::Many(streams)), Owner::Many(owner)) => **owner = streams,
            _ => unreachable!("guards end in the order in which they nest"),
        }
    }
}

/// rustls' source of random bytes: holds nothing, reads what is lent to its thread.
#[derive(Copy, Clone, Debug)]
pub struct Randomness;

impl SecureRandom for Randomness {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        draw(bytes);
        Ok(())
    }
}
