//! The trace hash, rolled over logical fields, the readable trace, and the story.

use crate::story::{Fact, Story, Who};

/// Events between two checkpoints of the hash.
pub const CHECKPOINT_EVENTS: u64 = 1024;

/// Takes the readable trace, line by line.
pub type Sink = Box<dyn FnMut(&str)>;

/// The rolling hash of a run; two runs of a seed must agree at every checkpoint.
#[derive(Default)]
pub struct Trace {
    hash: u64,
    /// Over ciphertext, which differs from one provider to another where all else is the same.
    cipher: u64,
    events: u64,
    /// Whether the first event has begun.
    has_begun: bool,
    checkpoints: Vec<u64>,
    each: Option<Vec<u64>>,
    sink: Option<Sink>,
    story: Option<Box<Story>>,
}

impl Trace {
    /// Keeps the hash after every event, to find the first that differs.
    pub fn keep_each(&mut self) {
        self.each = Some(Vec::new());
    }

    /// Hands every line of the readable trace to `sink`.
    pub fn set_sink(&mut self, sink: Sink) {
        self.sink = Some(sink);
    }

    /// Folds one logical fact into the hash.
    #[inline]
    pub fn fold(&mut self, kind: u64, a: u64, b: u64) {
        let word = self.hash ^ kind ^ a.rotate_left(16) ^ b.rotate_left(40);
        let wide = u128::from(!word) * u128::from(0x9e37_79b9_7f4a_7c15_u64);
        self.hash = (wide >> 64) as u64 ^ wide as u64;
    }

    /// Folds bytes of ciphertext, each of them.
    #[inline]
    pub fn fold_cipher(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            let word = self.cipher.rotate_left(5) ^ u64::from_le_bytes(word) ^ part.len() as u64;
            self.cipher = word.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }

    /// An event begins: what is told from now on belongs to it.
    #[inline]
    pub fn begin_event(&mut self) {
        self.has_begun = true;
    }

    /// Closes one event: counts it, and keeps a checkpoint when one is due.
    #[inline]
    pub fn end_event(&mut self) {
        self.events += 1;
        if self.events.is_multiple_of(CHECKPOINT_EVENTS) {
            self.checkpoints.push(self.hash());
        }
        let hash = self.hash();
        if let Some(each) = &mut self.each {
            each.push(hash);
        }
    }

    /// Keeps the story from now on; with `bytes`, facts of the wire carry theirs.
    pub fn keep_story(&mut self, bytes: bool) {
        self.story = Some(Box::new(Story { keeps_bytes: bytes, ..Story::default() }));
    }

    /// The story, if one is kept.
    #[inline]
    pub fn story(&mut self) -> Option<&mut Story> {
        self.story.as_deref_mut()
    }

    /// The story, which is over.
    pub fn take_story(&mut self) -> Option<Box<Story>> {
        self.story.take()
    }

    /// Whether somebody reads the trace, or keeps the story.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.sink.is_some() || self.story.is_some()
    }

    /// Whether the bytes on the wire are wanted.
    pub fn wants_bytes(&self) -> bool {
        self.story.as_ref().is_some_and(|story| story.keeps_bytes)
    }

    /// Adds a fact to the story, and a line to the readable trace. Called by [`crate::fact!`].
    #[cold]
    pub fn tell(&mut self, now: u64, fact: Fact) {
        if let Some(sink) = &mut self.sink {
            // Before the first event the world is made.
            let number = if self.has_begun { self.events.to_string() } else { "-".into() };
            sink(&format!("{number:>8} {:>12}us {fact}", now / 1000));
        }
        if let Some(story) = &mut self.story {
            story.tell(fact);
        }
    }

    /// Somebody did something, in words. Called by [`crate::tell!`].
    #[cold]
    pub fn say(&mut self, now: u64, who: Who, text: std::fmt::Arguments<'_>) {
        self.tell(now, Fact::Said(who, text.to_string()));
    }

    /// The hash so far, ciphertext included.
    pub fn hash(&self) -> u64 {
        self.hash ^ self.cipher
    }

    /// The hash so far without ciphertext.
    pub fn hash_without_cipher(&self) -> u64 {
        self.hash
    }

    /// Events so far.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The hash after each 1,024th event.
    pub fn checkpoints(&self) -> &[u64] {
        &self.checkpoints
    }

    /// The hash after each event, if it was kept.
    pub fn each(&self) -> &[u64] {
        self.each.as_deref().unwrap_or_default()
    }
}

/// Tells a [`Fact`], and costs a branch when nobody wants it.
#[macro_export]
macro_rules! fact {
    ($cx:expr, $fact:expr) => {
        if $cx.trace.is_on() {
            let fact = $fact;
            $cx.trace.tell($cx.now, fact);
        }
    };
}

/// Tells what somebody ([`Who`]) did, in words.
#[macro_export]
macro_rules! tell {
    ($cx:expr, $who:expr, $($text:tt)*) => {
        if $cx.trace.is_on() {
            let who = $who;
            $cx.trace.say($cx.now, who, format_args!($($text)*));
        }
    };
}

/// Tells what happened to nobody in particular, in words.
#[macro_export]
macro_rules! trace {
    ($cx:expr, $($text:tt)*) => { $crate::tell!($cx, $crate::story::Who::World, $($text)*) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_fields_matter() {
        let run = |facts: &[(u64, u64, u64)]| {
            let mut trace = Trace::default();
            facts.iter().for_each(|&(k, a, b)| trace.fold(k, a, b));
            trace.hash()
        };
        let base = run(&[(1, 2, 3), (4, 5, 6)]);
        assert_eq!(base, run(&[(1, 2, 3), (4, 5, 6)]));
        assert_ne!(base, run(&[(4, 5, 6), (1, 2, 3)]));
        assert_ne!(base, run(&[(1, 3, 2), (4, 5, 6)]));
    }

    // The number in front is the one that violations, explanations and captures speak of.
    #[test]
    fn a_line_begins_with_the_number_of_its_event() {
        let mut trace = Trace::default();
        let lines = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let sink = lines.clone();
        trace.set_sink(Box::new(move |line| sink.borrow_mut().push(line.to_string())));
        trace.say(0, Who::World, format_args!("made"));
        for at in [5_000, 7_000] {
            trace.begin_event();
            trace.say(at, Who::Proxy, format_args!("wakes"));
            trace.end_event();
        }
        let told = |number: &str, at: u64, what: &str| format!("{number:>8} {at:>12}us {what}");
        let all =
            [told("-", 0, "made"), told("0", 5, "proxy: wakes"), told("1", 7, "proxy: wakes")];
        assert_eq!(*lines.borrow(), all);
    }

    #[test]
    fn a_checkpoint_every_1024_events() {
        let mut trace = Trace::default();
        trace.keep_each();
        for i in 0..3000 {
            trace.fold(1, i, 0);
            trace.end_event();
        }
        assert_eq!(trace.checkpoints().len(), 2);
        assert_eq!(trace.checkpoints()[1], trace.each()[2047]);
    }
}
