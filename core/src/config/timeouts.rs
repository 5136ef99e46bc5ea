//! How long each timer runs (SES-3).

use std::time::Duration;

macro_rules! timeouts {
    ($($(#[$doc:meta])* $name:ident = $millis:expr,)*) => {
        /// Every timer's span (SES-3).
        #[derive(Copy, Clone, Debug, PartialEq, Eq)]
        pub struct Timeouts {
            $($(#[$doc])* pub $name: Duration,)*
        }

        impl Default for Timeouts {
            fn default() -> Self {
                Timeouts { $($name: Duration::from_millis($millis),)* }
            }
        }

        /// Timeouts that a listener or a cluster sets for itself.
        #[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
        pub struct TimeoutOverrides {
            $($(#[$doc])* pub $name: Option<Duration>,)*
        }

        impl Timeouts {
            /// The names of all timeouts, as the configuration spells them.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name),)*];

            /// These, with what `overrides` sets replaced.
            #[must_use]
            pub fn with(mut self, overrides: &TimeoutOverrides) -> Timeouts {
                $(if let Some(span) = overrides.$name { self.$name = span; })*
                self
            }

            /// The timeout called `name`.
            pub fn get(&self, name: &str) -> Option<Duration> {
                match name {
                    $(stringify!($name) => Some(self.$name),)*
                    _ => None,
                }
            }

            /// Sets the timeout called `name`; false for an unknown name.
            pub fn set(&mut self, name: &str, span: Duration) -> bool {
                match name {
                    $(stringify!($name) => self.$name = span,)*
                    _ => return false,
                }
                true
            }
        }

        impl TimeoutOverrides {
            /// Sets the timeout called `name`; false for an unknown name.
            pub fn set(&mut self, name: &str, span: Duration) -> bool {
                match name {
                    $(stringify!($name) => self.$name = Some(span),)*
                    _ => return false,
                }
                true
            }

            /// The timeout called `name`, if it is set.
            pub fn get(&self, name: &str) -> Option<Duration> {
                match name {
                    $(stringify!($name) => self.$name,)*
                    _ => None,
                }
            }
        }
    };
}

timeouts! {
    /// A connection's start until its PROXY header is complete.
    proxy_header = 3_000,
    /// The end of the steps before it until the TLS handshake is complete, or, where TLS is passed
    /// through, its ClientHello.
    tls_handshake = 10_000,
    /// Deadline of a whole request head, from its first byte.
    request_head = 10_000,
    /// Idle between requests.
    keep_alive = 60_000,
    /// No progress while waiting for the client's body, or for it to read.
    client_idle = 60_000,
    /// Each connection attempt.
    connect = 3_000,
    /// Waiting for a free connection of a limited server (BACK-9).
    backend_queue = 5_000,
    /// Request sent (or waiting for 100) until the complete final response head.
    backend_response = 30_000,
    /// No progress while waiting for the backend's body, or for it to read.
    backend_idle = 30_000,
    /// Idle pooled backend connection.
    backend_keep_alive = 30_000,
    /// No byte in either direction of a tunnel.
    tunnel_idle = 3_600_000,
    /// Reading and discarding after a final answer to an unfinished request (RES-8).
    linger = 2_000,
    /// Graceful stop begun until the session ends.
    drain = 30_000,
}

impl Timeouts {
    /// Those that a listener may override.
    pub const OF_LISTENER: &'static [&'static str] = &[
        "proxy_header",
        "tls_handshake",
        "request_head",
        "keep_alive",
        "client_idle",
        "linger",
        "drain",
    ];
    /// Those that a cluster may override.
    pub const OF_CLUSTER: &'static [&'static str] = &[
        "connect",
        "backend_queue",
        "backend_response",
        "backend_idle",
        "backend_keep_alive",
        "tunnel_idle",
    ];
}
