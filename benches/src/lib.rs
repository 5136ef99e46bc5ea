//! Benchmarks of the core (`benches/core.rs`) and of whole proxies (`compare`).
#![forbid(unsafe_code)]
