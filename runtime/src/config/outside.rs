//! What loading a configuration asks of the machine, so that tests can answer instead.

use super::rehearse::StandIns;
use rustls::pki_types::CertificateDer;
use std::io::{self, Read};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;

/// Who may read a file.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Its owner and its group at most.
    Private,
    /// Everybody.
    OthersRead,
}

/// The machine, as far as a configuration can tell.
pub(crate) trait Outside {
    /// Every address of `host`, in any order (RUN-10).
    fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
    /// The whole file, refused when longer than `bytes_max`.
    fn read(&self, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>>;
    /// An environment variable.
    fn variable(&self, name: &str) -> Option<String>;
    /// Processors that this process may use.
    fn processors(&self) -> usize;
    /// `path` as seen from the root.
    fn absolute(&self, path: &Path) -> std::path::PathBuf;
    /// Who may read the file.
    fn mode(&self, path: &Path) -> Mode;
    /// The wall clock, in seconds since 1970.
    fn now(&self) -> i64;
    /// The authorities that this machine trusts, or why there are none.
    fn system_roots(&self) -> Result<Vec<CertificateDer<'static>>, String>;
    /// What takes the place of files that are not there, if the file is loaded to be rehearsed.
    fn stand_ins(&self) -> Option<&StandIns> {
        None
    }
}

/// The machine that this process runs on.
pub(crate) struct Real;

impl Outside for Real {
    fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        (host, port).to_socket_addrs().map(Iterator::collect)
    }

    #[expect(clippy::disallowed_types, reason = "files are the runtime's business")]
    fn read(&self, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
        let file = std::fs::File::open(path)?;
        let mut bytes = Vec::new();
        // One byte more than allowed tells "too long" from "just fits", whatever stat says of
        // a file that grows or is none.
        file.take(bytes_max + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > bytes_max {
            return Err(io::Error::other(format!("larger than {bytes_max} bytes")));
        }
        Ok(bytes)
    }

    #[expect(clippy::disallowed_methods, reason = "sticky_secret may name a variable")]
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn processors(&self) -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }

    fn absolute(&self, path: &Path) -> std::path::PathBuf {
        std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
    }

    fn mode(&self, path: &Path) -> Mode {
        let others = rustix::fs::Mode::ROTH.as_raw_mode();
        match rustix::fs::stat(path) {
            Ok(stat) if stat.st_mode & others != 0 => Mode::OthersRead,
            _ => Mode::Private,
        }
    }

    #[expect(clippy::disallowed_methods, reason = "certificates have days on which they end")]
    fn now(&self) -> i64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
    }

    fn system_roots(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        let found = rustls_native_certs::load_native_certs();
        match found.errors.first() {
            Some(error) if found.certs.is_empty() => Err(error.to_string()),
            _ => Ok(found.certs),
        }
    }
}
