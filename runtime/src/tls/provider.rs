//! The cryptography of TLS: aws-lc-rs, or ring where the feature `aws-lc-rs` is off.

#[cfg(feature = "aws-lc-rs")]
use rustls::crypto::aws_lc_rs as chosen;
#[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
use rustls::crypto::ring as chosen;
#[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
compile_error!("TLS needs one of the features `aws-lc-rs` and `ring`");

use rustls::crypto::CryptoProvider;
use rustls::server::ProducesTickets;
use std::sync::{Arc, OnceLock};

/// The provider of every TLS setting. Never the process's default one, which anybody may install.
pub(crate) fn provider() -> &'static Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(chosen::default_provider()))
}

/// New ticket keys, shared by all workers: they rotate every 6 hours, and a ticket is good for 6
/// to 12. On Linux the clock behind this is the wall clock.
pub(super) fn tickets() -> Result<Arc<dyn ProducesTickets>, rustls::Error> {
    chosen::Ticketer::new()
}
