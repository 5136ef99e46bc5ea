//! Pictures of a story: a timeline in HTML, and a capture of its packets.

mod data;
mod pcap;

pub use data::timeline;
pub use pcap::capture;
