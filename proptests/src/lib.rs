//! Property tests of the core (`tests/`), and what they and the benchmarks drive it with.
//!
//! By default each run draws the same cases, so that a red run is red again. `PROPTEST_RNG_SEED`
//! draws others, and `PROPTEST_CASES` sets how many each property gets; by default they are some
//! thousands. What has failed once is kept beside its test, as `tests/<test>.regressions`, and is
//! tried first in every run.
#![forbid(unsafe_code)]

pub mod memory;
pub mod naive;
pub mod secure;
