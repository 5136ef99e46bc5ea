//! Tidegate's production side: configuration, command line and the workers that drive the core.
//!
//! | module | what it does |
//! |---|---|
//! | [`config`] | a file becomes the core's plain data, or every reason why not |
//! | [`diagnostic`] | those reasons, for people and for machines |
//! | [`cli`] | the command line |
//! | [`tls`] | certificates and keys become settings of rustls |
//! | [`serve`] | workers, sockets, signals, logs |

pub mod cli;
pub mod config;
pub mod diagnostic;
pub mod serve;
pub mod tls;
