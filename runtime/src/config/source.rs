//! Where a configuration comes from.

use super::outside::{Outside, Real};
use super::samples::{DEMO_PORTS, demo_config, quick_config};
use super::{FILE_BYTES_MAX, Loaded, from_str, load};
use crate::diagnostic::{Code, Diagnostic, SourceText};
use crate::tls::Memory;
use std::path::{Path, PathBuf};

/// What `serve` runs; a reload reads it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// A text made by the command line, under the name that diagnostics show.
    Text {
        /// The name to show.
        name: String,
        /// The TOML text.
        text: String,
    },
    /// The demo: `serve` starts its built-in servers, then loads [`demo_config`] for their ports.
    Demo,
}

impl Source {
    /// The configuration of `serve --from ADDR --to HOST:PORT...`.
    pub fn quick(from: &str, to: &[String]) -> Source {
        Source::Text { name: "(command line)".to_owned(), text: quick_config(from, to) }
    }

    /// Loads the configuration as it stands now; the demo's with [`DEMO_PORTS`].
    ///
    /// # Errors
    ///
    /// As [`load`].
    pub fn load(&self) -> Result<Loaded, Vec<Diagnostic>> {
        let memory = Memory::default();
        match self {
            Source::File(path) => load(path, &memory),
            Source::Text { name, text } => from_str(name, text, &memory),
            Source::Demo => from_str("(demo)", &demo_config(DEMO_PORTS), &memory),
        }
    }

    /// The text of the configuration as it stands now; the demo's with [`DEMO_PORTS`].
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn text(&self) -> Result<String, Vec<Diagnostic>> {
        match self {
            Source::File(path) => Ok(read_file(path)?.1),
            Source::Text { text, .. } => Ok(text.clone()),
            Source::Demo => Ok(demo_config(DEMO_PORTS)),
        }
    }
}

/// Name and text of the file at `path`.
pub(super) fn read_file(path: &Path) -> Result<(String, String), Vec<Diagnostic>> {
    let name = path.display().to_string();
    let bytes = Real.read(path, FILE_BYTES_MAX).map_err(|error| error.to_string());
    match bytes.and_then(utf8) {
        Ok(text) => Ok((name, text)),
        Err(why) => {
            let source = SourceText { name: name.as_str().into(), text: "".into() };
            let message = format!("cannot read {name}: {why}");
            let hint = "name another file with `-c FILE`, or try `tidegate serve --demo`";
            let found = Diagnostic::error(Code::FileUnreadable, &source, None, message).hint(hint);
            Err(vec![found])
        }
    }
}

fn utf8(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..valid].iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("line {line} is not UTF-8")
    })
}
