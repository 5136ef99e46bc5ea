//! The server: workers around the core, and what surrounds them.

mod clock;
mod kernel;
mod limits;
mod listen;
mod log;
