//! tidegate-benches.
