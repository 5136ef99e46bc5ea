//! Streams that carry another one inside, such as TLS: which offset of the outer stream stands for
//! which of the inner one. Who talks of a stream's content asks here, and gets plain offsets where
//! nothing lies in between.

use super::{Ep, Net};

/// What one end's stream carries.
#[derive(Default)]
pub(super) struct Carried {
    /// (outer, inner): whoever has the first so many bytes of the stream has so many of its
    /// content. Both grow.
    marks: Vec<(u64, u64)>,
    /// Bytes of content that were written, whether they can be read at the far end or not.
    written: u64,
}

impl Carried {
    fn inner_at(&self, outer: u64) -> u64 {
        let at = self.marks.partition_point(|&(end, _)| end <= outer);
        at.checked_sub(1).map_or(0, |at| self.marks[at].1)
    }
}

impl Net {
    /// From now on, what `ep` writes carries something else.
    pub fn wrap(&mut self, ep: Ep) {
        let index = ep as usize;
        if index >= self.carried.len() {
            self.carried.resize_with(index + 32, || None);
        }
        self.carried[index] = Some(Box::default());
    }

    fn carried(&self, ep: Ep) -> Option<&Carried> {
        self.carried.get(ep as usize)?.as_deref()
    }

    fn carried_mut(&mut self, ep: Ep) -> &mut Carried {
        let carried = self.carried.get_mut(ep as usize).and_then(Option::as_deref_mut);
        carried.expect("a stream that was wrapped")
    }

    /// Whoever has the first `outer` bytes that `ep` wrote has `inner` bytes of content.
    pub fn mark_content(&mut self, ep: Ep, outer: u64, inner: u64) {
        let marks = &mut self.carried_mut(ep).marks;
        debug_assert!(marks.last().is_none_or(|&(o, i)| o <= outer && i <= inner));
        marks.push((outer, inner));
    }

    /// `ep` has written `inner` bytes of content in all.
    pub fn count_content(&mut self, ep: Ep, inner: u64) {
        self.carried_mut(ep).written = inner;
    }

    /// Bytes of content that the application of `ep` wrote.
    pub fn content_written(&self, ep: Ep) -> u64 {
        self.carried(ep).map_or(self.ep(ep).written, |carried| carried.written)
    }

    /// Those of them that reached the peer's receive buffer, as far as they can be read there.
    pub fn content_arrived(&self, ep: Ep) -> u64 {
        let arrived = self.ep(ep).arrived;
        self.carried(ep).map_or(arrived, |carried| carried.inner_at(arrived))
    }

    /// Bytes of content that the application of `ep` read.
    pub fn content_read(&self, ep: Ep) -> u64 {
        let read = self.ep(ep).read;
        self.carried(ep ^ 1).map_or(read, |carried| carried.inner_at(read))
    }

    /// Bytes of content that wait to be read at `ep`.
    pub fn content_unread(&self, ep: Ep) -> u64 {
        self.content_arrived(ep ^ 1) - self.content_read(ep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice::Choices;
    use crate::cx::Cx;
    use crate::kernel::{Owner, Wire};
    use tidegate_core::input::Address;

    #[test]
    fn content_is_there_once_its_mark_is() {
        let mut cx = Cx::new(1, Choices::from_seed(1));
        let mut net = Net::default();
        let at = net.intern(&Address::Unix("x".into()), 0);
        let ep = net.connect(&mut cx, Owner::Client(0), at, 0, &Wire::default());
        net.ep_mut(ep ^ 1).read = 7;
        assert_eq!(net.content_read(ep ^ 1), 7, "nothing in between");
        net.wrap(ep);
        net.mark_content(ep, 30, 10);
        net.mark_content(ep, 60, 15);
        net.count_content(ep, 20);
        let read = [0, 29, 30, 59, 60, 99].map(|read| {
            net.ep_mut(ep ^ 1).read = read;
            net.content_read(ep ^ 1)
        });
        assert_eq!(read, [0, 0, 10, 10, 15, 15]);
        assert_eq!((net.content_written(ep), net.content_arrived(ep)), (20, 0));
    }
}
