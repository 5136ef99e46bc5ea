//! Files that a command writes at its end: known to be writable at its beginning, none of them one
//! that it reads, or another of them, and whole or not there.

use super::report::Report;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A file to be written.
#[derive(Debug)]
pub(crate) struct Output {
    path: PathBuf,
    /// The file beside it that becomes it, unless it is no plain file or its directory takes no
    /// other one.
    beside: Option<PathBuf>,
}

impl Output {
    /// The file that `option` wants at `path`; what is there stays for now.
    ///
    /// # Errors
    /// Says in words why nothing can be written there.
    pub(crate) fn new(option: &str, path: &Path) -> Result<Output, String> {
        let say = |error: std::io::Error| format!("{option} {}: {error}", path.display());
        let path = path.to_path_buf();
        // Links lead to devices and pipes, which must not be replaced by files.
        let is_plain = match std::fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => return Err(say(ErrorKind::IsADirectory.into())),
            Ok(found) => Some(found.is_file()),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(say(error)),
        };
        if is_plain == Some(false) {
            return Ok(Output { path, beside: None });
        }
        let beside = beside(&path);
        let tried = std::fs::write(&beside, "").and_then(|()| std::fs::remove_file(&beside));
        match tried {
            Ok(()) => Ok(Output { path, beside: Some(beside) }),
            Err(_) if is_plain.is_some() && is_writable(&path) => Ok(Output { path, beside: None }),
            Err(error) => Err(say(error)),
        }
    }

    /// The same for a file that may be wanted.
    ///
    /// # Errors
    /// Says in words why nothing can be written there.
    pub(crate) fn wanted(option: &str, path: Option<&Path>) -> Result<Option<Output>, String> {
        path.map(|path| Output::new(option, path)).transpose()
    }

    /// Takes an older file away: if this command dies, nobody takes that for what it said.
    pub(crate) fn clear(&self) {
        let is_gone = self.beside.is_some() && std::fs::remove_file(&self.path).is_ok();
        if !is_gone && std::fs::metadata(&self.path).is_ok_and(|found| found.is_file()) {
            let _ = std::fs::write(&self.path, "");
        }
    }

    /// Writes the file.
    ///
    /// # Errors
    /// What the file system says, with the file's name.
    pub(crate) fn write(&self, text: &str) -> Result<(), String> {
        let path = &self.path;
        let replaced = self.beside.as_ref().is_some_and(|beside| {
            let moved = std::fs::write(beside, text).and_then(|()| std::fs::rename(beside, path));
            let _ = moved.is_err() && std::fs::remove_file(beside).is_ok();
            moved.is_ok()
        });
        match replaced {
            true => Ok(()),
            false => {
                std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
            }
        }
    }
}

/// Looks at the files that a command reads and at those that it will write, each with the option
/// that names it, before the first is written.
///
/// # Errors
/// Says which two are one file.
pub(crate) fn distinct(
    inputs: &[(&str, &Path)],
    outputs: &[(&str, Option<&Path>)],
) -> Result<(), String> {
    let mut known: Vec<(&str, PathBuf)> =
        inputs.iter().map(|(name, path)| (*name, place(path))).collect();
    for (name, path) in outputs {
        let Some(path) = path.filter(|path| holds_what_is_written(path)) else { continue };
        let place = place(path);
        if let Some((other, _)) = known.iter().find(|(_, other)| *other == place) {
            let path = path.display();
            return Err(format!("{name} {path}: that is {other}, and would be written over"));
        }
        known.push((name, place));
    }
    Ok(())
}

/// Whether it is a file, or will be one: a device may take the bytes of several.
fn holds_what_is_written(path: &Path) -> bool {
    path.metadata().map_or(true, |about| about.is_file())
}

/// Where `path` leads, by whatever way; of a file that is not there yet, where it will be.
fn place(path: &Path) -> PathBuf {
    let of_dir = || {
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let dir = dir.unwrap_or(Path::new(".")).canonicalize().ok()?;
        Some(dir.join(path.file_name()?))
    };
    path.canonicalize().ok().or_else(of_dir).unwrap_or_else(|| path.to_path_buf())
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    path.with_file_name(name)
}

#[expect(clippy::disallowed_types, reason = "the command writes files")]
fn is_writable(path: &Path) -> bool {
    std::fs::File::options().write(true).open(path).is_ok()
}

/// Where a report is wanted.
pub(crate) struct Files {
    json: Option<Output>,
    junit: Option<Output>,
}

impl Files {
    /// Of a command that reads `inputs`. Takes away what is there, so that nobody takes it for the
    /// report of a command that dies.
    ///
    /// # Errors
    /// Says in words which of them cannot be written, and why.
    pub(crate) fn new(
        inputs: &[(&str, &Path)],
        json: Option<&Path>,
        junit: Option<&Path>,
    ) -> Result<Files, String> {
        distinct(inputs, &[("--json", json), ("--junit", junit)])?;
        let files = Files {
            json: Output::wanted("--json", json)?,
            junit: Output::wanted("--junit", junit)?,
        };
        files.json.iter().chain(&files.junit).for_each(Output::clear);
        Ok(files)
    }

    /// Writes `report`; what could not be written, in words.
    pub(crate) fn write(&self, report: &Report, missed: &[String]) -> Vec<String> {
        let json = self.json.as_ref().map(|file| file.write(&report.json()));
        let junit = self.junit.as_ref().map(|file| file.write(&super::junit::text(report, missed)));
        [json, junit].into_iter().flatten().filter_map(Result::err).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // What is there stays until it is cleared or replaced, and nothing is left beside it.
    #[test]
    fn a_file_is_checked_cleared_and_replaced() {
        let dir = std::env::temp_dir().join(format!("tidegate-files-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory");
        let (path, link) = (dir.join("report"), dir.join("link"));
        std::fs::write(&path, "old").expect("a file");
        let read = |path: &Path| std::fs::read_to_string(path).ok();
        let output = Output::new("--json", &path).expect("it can be written");
        assert_eq!(read(&path).as_deref(), Some("old"));
        output.write("new").expect("written");
        assert_eq!(read(&path).as_deref(), Some("new"));
        // A link stays one.
        std::os::unix::fs::symlink(&path, &link).expect("a link");
        let linked = Output::new("--json", &link).expect("it can be written");
        linked.clear();
        assert_eq!(read(&path).as_deref(), Some(""));
        linked.write("by the link").expect("written");
        assert_eq!(read(&path).as_deref(), Some("by the link"));
        assert!(std::fs::symlink_metadata(&link).is_ok_and(|found| found.is_symlink()));
        output.clear();
        assert_eq!(read(&path), None);
        assert_eq!(std::fs::read_dir(&dir).map(Iterator::count).ok(), Some(1), "the link alone");
        for wrong in [&dir, &dir.join("no/such/directory")] {
            let error = Output::new("--json", wrong).expect_err("nothing to write to");
            assert!(error.starts_with("--json "), "{error}");
        }
        std::fs::remove_dir_all(&dir).expect("the directory is there");
    }

    #[test]
    fn one_file_by_two_names_is_found() {
        let dir = std::env::temp_dir().join(format!("tidegate-outputs-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory");
        let (here, there) =
            (dir.join("a.case"), dir.join("../").join(dir.file_name().expect("one")));
        std::fs::write(&here, "").expect("a file");
        let there = there.join("a.case");
        let new = dir.join("new");
        let held =
            |outputs: &[(&str, Option<&Path>)]| distinct(&[("what is read", &here)], outputs);
        let refused = held(&[("--html", Some(&there))]).expect_err("the input");
        let twice = held(&[("--html", Some(&new)), ("--pcap", None), ("--record", Some(&new))]);
        let null = Path::new("/dev/null");
        assert_eq!(held(&[("--html", Some(null)), ("--pcap", Some(null))]), Ok(()));
        assert_eq!(held(&[("--html", Some(&new)), ("--pcap", Some(&dir.join("x")))]), Ok(()));
        std::fs::remove_dir_all(&dir).expect("the directory is there");
        assert!(refused.contains("a.case: that is what is read, and would be"), "{refused}");
        assert!(twice.is_err_and(|why| why.contains("--record") && why.contains("is --html")));
    }
}
