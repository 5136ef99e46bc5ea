//! Files that a command is told to write: none of them is one that it reads, or another of them.

use std::path::{Path, PathBuf};

/// Looks at the files that a command reads and at those that it will write, each with the option
/// that names it, before the first is written.
///
/// # Errors
/// Says which two are one file.
pub(super) fn distinct(
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

#[cfg(test)]
mod tests {
    use super::*;

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
