//! tidegate-proptests.
