//! Loading a file to rehearse it: the same keys mean the same, but nothing of the machine that the
//! file is for need be here.
//!
//! The rules are [`load`](super::load)'s, with four exceptions. Keys are never opened, and
//! certificates, authorities, answers and secrets that cannot be read are replaced, with a
//! warning. Server names are not looked up: each gets an address of its own. The machine has one
//! processor and trusts one authority.

use super::outside::{Mode, Outside, Real};
use super::{Loaded, read, source};
use crate::diagnostic::Diagnostic;
use crate::tls::Memory;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// What takes the place of files that are not read.
#[derive(Debug)]
pub struct StandIns {
    /// A certificate in the place of every other.
    pub certificate: CertificateDer<'static>,
    /// Its key.
    pub key: PrivateKeyDer<'static>,
    /// An authority in the place of those that cannot be read, and of the system's.
    pub authority: CertificateDer<'static>,
}

/// A configuration to be rehearsed.
#[derive(Debug)]
pub struct Rehearsed {
    /// What was loaded. Its TLS settings are made of the stand-ins, with the names of those
    /// certificates that could be read; of others the names are none.
    pub loaded: Loaded,
    /// What was written in the file where a server has this address in [`Rehearsed::loaded`].
    pub names: BTreeMap<SocketAddr, String>,
}

/// Reads the configuration file at `path` for a rehearsal. A file that cannot be served is
/// refused in the same words as by [`load`](super::load).
///
/// # Errors
///
/// Every mistake in it, in file order; warnings are among them.
pub fn load_to_rehearse(path: &Path, stand_ins: &StandIns) -> Result<Rehearsed, Vec<Diagnostic>> {
    let (name, text) = source::read_file(path)?;
    let base = path.parent().unwrap_or(Path::new(""));
    let stage = Stage { stand_ins, names: RefCell::default() };
    let loaded = read(&name, &text, base, &stage, &Memory::default())?;
    Ok(Rehearsed { loaded, names: stage.names.into_inner() })
}

/// This machine, without what differs from the one that the file is for.
struct Stage<'a> {
    stand_ins: &'a StandIns,
    names: RefCell<BTreeMap<SocketAddr, String>>,
}

/// Names get addresses from here on: the block that RFC 2544 keeps for tests, 198.18.0.0/15.
const FIRST_ADDRESS: u32 = u32::from_be_bytes([198, 18, 0, 1]);
/// How many there are.
const ADDRESSES_MAX: usize = (1 << 17) - 2;

impl Outside for Stage<'_> {
    fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let mut names = self.names.borrow_mut();
        if names.len() >= ADDRESSES_MAX {
            return Err(io::Error::other("a rehearsal has no address left for it"));
        }
        let ip = Ipv4Addr::from_bits(FIRST_ADDRESS + names.len() as u32);
        let address = SocketAddr::new(ip.into(), port);
        names.insert(address, format!("{host}:{port}"));
        Ok(vec![address])
    }

    fn read(&self, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
        Real.read(path, bytes_max)
    }

    fn variable(&self, name: &str) -> Option<String> {
        Real.variable(name)
    }

    fn processors(&self) -> usize {
        1
    }

    fn absolute(&self, path: &Path) -> PathBuf {
        Real.absolute(path)
    }

    fn mode(&self, _: &Path) -> Mode {
        Mode::Private
    }

    fn now(&self) -> i64 {
        Real.now()
    }

    fn system_roots(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        Ok(vec![self.stand_ins.authority.clone()])
    }

    fn stand_ins(&self) -> Option<&StandIns> {
        Some(self.stand_ins)
    }
}
