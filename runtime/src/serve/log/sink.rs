//! Where access records end: a stream or a file, in large writes. Nothing here ever fails the
//! server; what cannot be written is counted (RUN-8).

use crate::config;
use crate::serve::clock::Origin;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, fstat, open, stat};
use rustix::io::Errno;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tidegate_core::time::Time;

/// How often a file is compared with its path, while there is something to write.
const ROTATION_CHECK: Duration = Duration::from_secs(1);
/// How long a stream that would block (one shared with a program that made it so) is tried.
const STUCK_TRIES: u32 = 200;
const STUCK_PAUSE: Duration = Duration::from_millis(5);

enum To {
    Stdout,
    Stderr,
    Nowhere,
    File { path: PathBuf, fd: OwnedFd, check: Time },
}

pub(super) struct Sink {
    to: To,
    clock: Origin,
    lost: u64,
    /// The last write ended inside a line.
    torn: bool,
}

fn open_file(path: &Path) -> Result<OwnedFd, OpenError> {
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC;
    open(path, flags, Mode::from_raw_mode(0o640))
        .map_err(|errno| OpenError { path: path.to_owned(), errno })
}

/// The access log's file cannot be opened.
#[derive(Debug)]
pub(super) struct OpenError {
    path: PathBuf,
    errno: Errno,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = std::io::Error::from_raw_os_error(self.errno.raw_os_error());
        write!(f, "the access log {} cannot be opened: {why}", self.path.display())
    }
}

impl OpenError {
    /// The command that tells more.
    pub(super) fn next(&self) -> String {
        format!("ls -ld $(dirname {path}) {path}", path = self.path.display())
    }
}

impl Sink {
    /// Opens the log, or says why that is impossible.
    pub(super) fn open(access: &config::Sink) -> Result<Sink, OpenError> {
        let to = match access {
            config::Sink::Stdout => To::Stdout,
            config::Sink::Stderr => To::Stderr,
            config::Sink::Off => To::Nowhere,
            config::Sink::File(path) => {
                let fd = open_file(path)?;
                To::File { path: path.clone(), fd, check: Time::ZERO }
            }
        };
        Ok(Sink { to, clock: Origin::now(), lost: 0, torn: false })
    }

    /// Records lost so far because they could not be written.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// Opens the file again, if it is one; keeps the old one if that fails.
    pub(super) fn reopen(&mut self) -> Result<(), OpenError> {
        let To::File { path, fd, .. } = &mut self.to else { return Ok(()) };
        *fd = open_file(path)?;
        self.torn = false;
        Ok(())
    }

    /// Reopens the file if its path leads to another one now. At most once a second.
    pub(super) fn follow_rotation(&mut self) -> Result<(), OpenError> {
        let now = self.clock.time();
        let To::File { path, fd, check } = &mut self.to else { return Ok(()) };
        if now < *check {
            return Ok(());
        }
        *check = now.after(ROTATION_CHECK);
        let same = match (stat(path.as_path()), fstat(&*fd)) {
            (Ok(named), Ok(open)) => (named.st_dev, named.st_ino) == (open.st_dev, open.st_ino),
            _ => false,
        };
        if same { Ok(()) } else { self.reopen() }
    }

    /// Writes whole lines.
    pub(super) fn write(&mut self, lines: &[u8]) {
        let (stdout, stderr) = (std::io::stdout(), std::io::stderr());
        let fd = match &self.to {
            To::Stdout => stdout.as_fd(),
            To::Stderr => stderr.as_fd(),
            To::Nowhere => return,
            To::File { fd, .. } => fd.as_fd(),
        };
        if self.torn {
            // What was torn off stays a broken line of its own.
            self.torn = write_all(fd, b"\n") == 0;
        }
        if self.torn {
            self.lost += count_lines(lines);
            return;
        }
        let written = write_all(fd, lines);
        if written < lines.len() {
            self.torn = written > 0 && lines[written - 1] != b'\n';
            self.lost += count_lines(&lines[written..]);
        }
    }
}

fn count_lines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|&&byte| byte == b'\n').count() as u64
}

/// Writes as much of `bytes` as can be: how much.
pub(super) fn write_all(fd: BorrowedFd<'_>, bytes: &[u8]) -> usize {
    let (mut written, mut tries) = (0, 0);
    while written < bytes.len() {
        match rustix::io::write(fd, &bytes[written..]) {
            Ok(0) => break,
            Ok(n) => (written, tries) = (written + n, 0),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) if tries < STUCK_TRIES => {
                tries += 1;
                std::thread::park_timeout(STUCK_PAUSE);
            }
            Err(_) => break,
        }
    }
    written
}

#[cfg(test)]
mod tests;
