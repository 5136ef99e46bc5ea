//! Which descriptor the core means by an id.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use tidegate_core::id::SocketId;

/// One slot; 12 bytes, for there is one a connection.
#[derive(Default)]
struct Entry {
    generation: u32,
    fd: Option<OwnedFd>,
    registered: bool,
    listener: bool,
}

/// A socket taken out of the table.
pub(super) struct Removed {
    pub(super) fd: OwnedFd,
    pub(super) listener: bool,
}

/// A dense table from [`SocketId::index`] to descriptors. Stale ids find nothing (LOOP-1).
#[derive(Default)]
pub(super) struct Table {
    entries: Vec<Entry>,
}

impl Table {
    /// Puts `fd` under `id`. Whatever an earlier tenant left behind is closed.
    pub(super) fn insert(&mut self, id: SocketId, fd: OwnedFd, listener: bool) {
        if self.entries.len() <= id.index() {
            self.entries.resize_with(id.index() + 1, Entry::default);
        }
        let entry = &mut self.entries[id.index()];
        *entry = Entry { generation: id.generation(), fd: Some(fd), registered: false, listener };
    }

    fn entry(&self, id: SocketId) -> Option<&Entry> {
        self.entries.get(id.index()).filter(|entry| entry.generation == id.generation())
    }

    /// The descriptor of `id`, if it is open.
    #[inline]
    pub(super) fn get(&self, id: SocketId) -> Option<BorrowedFd<'_>> {
        self.entry(id)?.fd.as_ref().map(AsFd::as_fd)
    }

    /// The descriptor of `id`, if it is open and not yet registered with the poll.
    pub(super) fn unregistered(&self, id: SocketId) -> Option<BorrowedFd<'_>> {
        let entry = self.entry(id).filter(|entry| !entry.registered)?;
        entry.fd.as_ref().map(AsFd::as_fd)
    }

    /// Notes that the poll knows `id`.
    pub(super) fn set_registered(&mut self, id: SocketId) {
        if let Some(entry) = self.entries.get_mut(id.index()) {
            entry.registered |= entry.generation == id.generation();
        }
    }

    /// Takes `id` out of the table.
    pub(super) fn remove(&mut self, id: SocketId) -> Option<Removed> {
        let entry = self.entries.get_mut(id.index())?;
        if entry.generation != id.generation() {
            return None;
        }
        let fd = entry.fd.take()?;
        Some(Removed { fd, listener: entry.listener })
    }

    /// Takes every connection out, and leaves the listeners.
    pub(super) fn drain_connections(&mut self) -> impl Iterator<Item = OwnedFd> + '_ {
        let entries = self.entries.iter_mut();
        entries.filter(|entry| !entry.listener).filter_map(|entry| entry.fd.take())
    }
}
