//! Property tests of the core (`tests/`), and what they and the benchmarks drive it with.
#![forbid(unsafe_code)]

pub mod memory;
