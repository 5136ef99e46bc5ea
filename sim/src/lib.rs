//! tidegate-sim.
