//! Clusters and their servers: which one a request goes to, and which are left alone.

pub mod balance;
pub mod health;
pub mod sticky;
