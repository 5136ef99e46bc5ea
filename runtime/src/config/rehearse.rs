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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Code, Severity};
    use crate::tls::tests::pems::pems;
    use crate::tls::{chain, key};

    fn stand_ins() -> StandIns {
        let certificate = chain(pems().get("nameless.pem")).expect("a chain").remove(0);
        let key = key(pems().get("nameless.key")).expect("a key");
        StandIns { certificate, key, authority: pems().authority.clone() }
    }

    fn load_text(text: &str) -> Result<Rehearsed, Vec<Diagnostic>> {
        let stand_ins = stand_ins();
        let stage = Stage { stand_ins: &stand_ins, names: RefCell::default() };
        let loaded =
            read("site.toml", text, Path::new("/nowhere/at/all"), &stage, &Memory::default())?;
        Ok(Rehearsed { loaded, names: stage.names.into_inner() })
    }

    const SITE: &str = "\
        sticky_secret = \"file:secret\"\n\
        [listener.web]\n\
        bind = \"127.0.0.1:8443\"\n\
        tls = [{ cert = \"a.pem\", key = \"a.key\", client_ca = \"c.pem\" }, \
               { cert = \"b.pem\", key = \"b.key\" }]\n\
        answers = { 503 = \"503.html\" }\n\
        [cluster.app]\n\
        servers = [\"one.internal:9001\", { addr = \"two.internal:9002\" }]\n\
        tls = true\n\
        sticky = true\n\
        [[route]]\n\
        to = \"app\"\n";

    #[test]
    fn what_is_not_here_is_a_warning() {
        let Rehearsed { loaded, names } = load_text(SITE).expect("good enough to rehearse");
        let warned: Vec<Code> = loaded.warnings.iter().map(|warning| warning.code).collect();
        // The secret; two certificates and an authority, but no key; the answer.
        let unreadable = Code::TlsUnreadable;
        let expected =
            [Code::SecretUnreadable, unreadable, unreadable, unreadable, Code::AnswerUnreadable];
        assert_eq!(warned, expected, "{:#?}", loaded.warnings);
        assert!(loaded.warnings.iter().all(|warning| warning.severity == Severity::Warning));
        let listener = &loaded.config.listeners[0];
        let tls = listener.tls.as_ref().expect("TLS");
        assert!(tls.certificates.names().all(<[_]>::is_empty));
        assert_eq!(tls.certificates.names().count(), 2);
        assert!(loaded.config.clusters[0].tls.is_some() && loaded.workers == 1);
        // RUN-10: names are not looked up here.
        let addresses: Vec<String> = names.keys().map(ToString::to_string).collect();
        assert_eq!(addresses, ["198.18.0.1:9001", "198.18.0.2:9002"]);
        let written: Vec<&str> = names.values().map(|name| &**name).collect();
        assert_eq!(written, ["one.internal:9001", "two.internal:9002"]);
    }

    #[test]
    fn certificates_that_are_here_give_their_names() {
        let file = std::env::temp_dir().join(format!("tidegate-{}.pem", std::process::id()));
        std::fs::write(&file, pems().get("site.pem")).expect("a file");
        let text = SITE.replace("a.pem", &file.to_string_lossy());
        let loaded = load_text(&text).map(|rehearsed| rehearsed.loaded);
        std::fs::remove_file(&file).expect("the file is there");
        let loaded = loaded.expect("good enough to rehearse");
        let tls = loaded.config.listeners[0].tls.as_ref().expect("TLS");
        let names: Vec<&[Box<str>]> = tls.certificates.names().collect();
        assert_eq!(names[0], ["site.example".into(), "*.site.example".into()]);
        assert_eq!(loaded.warnings.len(), 4);
    }

    #[test]
    fn mistakes_stay_mistakes() {
        let found = load_text(&SITE.replace("to = \"app\"", "to = \"ap\"")).expect_err("a mistake");
        assert!(found.iter().any(|item| item.code == Code::UnknownCluster), "{found:#?}");
        let found = load_text(&SITE.replace(", key = \"b.key\"", "")).expect_err("a mistake");
        assert!(found.iter().any(|item| item.code == Code::MissingKey), "{found:#?}");
    }
}
