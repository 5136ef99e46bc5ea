//! The wires of connections: what buffers and latencies are drawn from.

use crate::cx::{Cx, MS, US};
use crate::kernel::Wire;
use crate::site;

/// Sizes from which the wires of one kind of connection are drawn.
#[derive(Copy, Clone, Debug)]
pub struct WireRange {
    /// Smallest and largest buffer, in bytes.
    pub buffer: (u64, u64),
    /// Smallest and largest latency, in nanoseconds.
    pub latency: (u64, u64),
    /// Most segments each way that are cut to a few bytes.
    pub tiny_max: u64,
}

impl WireRange {
    /// Nothing special.
    pub const HEALTHY: WireRange =
        WireRange { buffer: (16 * 1024, 128 * 1024), latency: (2 * US, MS), tiny_max: 4 };

    /// The same with buffers that a few kilobytes fill.
    pub fn narrow(self) -> WireRange {
        let (low, high) = self.buffer;
        WireRange { buffer: (low.min(512), high.min(4096)), ..self }
    }

    /// One wire out of the range.
    pub fn draw(&self, cx: &mut Cx, entity: u64) -> Wire {
        let buffer = |at: &mut Cx| {
            let (low, high) = self.buffer;
            at.choices.log_between(site!("wire/buffer"), entity, low, high) as usize
        };
        let active_send = buffer(cx);
        let active_recv = buffer(cx);
        let passive_send = buffer(cx);
        let passive_recv = buffer(cx);
        let (low, high) = self.latency;
        let latency = cx.choices.log_between(site!("wire/latency"), entity, low, high);
        let tiny = cx.choices.choose(site!("wire/tiny"), entity, self.tiny_max + 1);
        Wire {
            active_send,
            active_recv,
            passive_send,
            passive_recv,
            latency,
            tiny_segments: tiny as u16,
        }
    }
}
