//! Tests of loading: values, decoding, the table of keys, printing, and every diagnostic.

mod decoding;
mod diagnostics;
mod keys;
mod printing;
mod shares;
mod speech;
mod tls;
mod values;

use super::outside::{Mode, Outside};
use super::{Loaded, read};
use crate::diagnostic::{Code, Diagnostic};
use crate::tls::Memory;
use crate::tls::tests::pems::{NOW, pems};
use rustls::pki_types::CertificateDer;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// A machine with two names, three files, those of [`pems()`], one variable and four processors.
struct Machine {
    has_authorities: bool,
}

impl Outside for Machine {
    fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let addrs: &[[u8; 4]] = match host {
            "one.test" => &[[10, 0, 0, 1]],
            "two.test" => &[[10, 0, 0, 3], [10, 0, 0, 2], [10, 0, 0, 3]],
            "none.test" => &[],
            _ => {
                let words = "failed to lookup address information: Name or service not known";
                return Err(io::Error::other(words));
            }
        };
        Ok(addrs.iter().map(|addr| SocketAddr::from((*addr, port))).collect())
    }

    fn read(&self, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
        let bytes: &[u8] = match path.to_str() {
            Some("/etc/tg/503.html") => b"<p>later</p>",
            Some("/etc/tg/404.json") => b"{}",
            Some("/etc/tg/key") => b"a secret of 24 bytes....\n",
            Some("/etc/tg/empty") => b" \n",
            Some(path) if pems().files.contains_key(path) => &pems().files[path],
            _ => return Err(io::Error::new(io::ErrorKind::NotFound, "no such file")),
        };
        assert!(bytes.len() as u64 <= bytes_max);
        Ok(bytes.to_vec())
    }

    fn variable(&self, name: &str) -> Option<String> {
        (name == "STICKY").then(|| "from the environment".to_owned())
    }

    fn processors(&self) -> usize {
        4
    }

    fn absolute(&self, path: &Path) -> PathBuf {
        Path::new("/").join(path)
    }

    fn mode(&self, path: &Path) -> Mode {
        if path.ends_with("open.key") { Mode::OthersRead } else { Mode::Private }
    }

    fn now(&self) -> i64 {
        NOW
    }

    fn system_roots(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        if self.has_authorities {
            Ok(vec![pems().authority.clone()])
        } else {
            Err("no such directory".to_owned())
        }
    }
}

/// Reads `text` as `/etc/tg/tidegate.toml` of [`Machine`].
fn try_load(text: &str) -> Result<Loaded, Vec<Diagnostic>> {
    try_load_with(text, &Memory::default())
}

/// As [`try_load`], with what an earlier load left.
fn try_load_with(text: &str, memory: &Memory) -> Result<Loaded, Vec<Diagnostic>> {
    let machine = Machine { has_authorities: true };
    read("tidegate.toml", text, Path::new("/etc/tg"), &machine, memory)
}

/// [`try_load`] of a text that is good.
#[track_caller]
fn load(text: &str) -> Loaded {
    try_load(text).unwrap_or_else(|found| panic!("{text}\n{found:#?}"))
}

/// The codes found in `text`, in order, with line and column.
fn codes(text: &str) -> Vec<(Code, usize, usize)> {
    let found = match try_load(text) {
        Ok(loaded) => loaded.warnings,
        Err(found) => found,
    };
    let place = |diagnostic: &Diagnostic| diagnostic.position().unwrap_or((0, 0));
    found.iter().map(|item| (item.code, place(item).0, place(item).1)).collect()
}

/// The least that can be served.
const SITE: &str = "\
[listener.web]
bind = \"127.0.0.1:8080\"
[cluster.app]
servers = [\"127.0.0.1:9001\"]
[[route]]
to = \"app\"
";
