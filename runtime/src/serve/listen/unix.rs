//! Unix listeners and their files.

use super::Cause;
use rustix::fd::OwnedFd;
use rustix::fs::{FileType, Stat, lstat, unlink};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// The file of a Unix listener, removed when dropped: unless somebody put another there since.
pub(super) struct SocketFile {
    path: Box<str>,
    device: u64,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = |file: Stat| file.st_dev == self.device && file.st_ino == self.inode;
        if lstat(&*self.path).is_ok_and(ours) {
            // If it stays, the next start finds it stale and removes it.
            let _ = unlink(&*self.path);
        }
    }
}

fn socket() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

/// Binds `path`. A socket file where nobody answers is removed first; any other file never.
pub(super) fn bind(path: &str) -> Result<(OwnedFd, SocketFile), Cause> {
    let addr = SocketAddrUnix::new(path.as_bytes())?;
    remove_stale(path, &addr)?;
    let fd = socket()?;
    net::bind(&fd, &addr)?;
    let file = lstat(path)?;
    let file = SocketFile { path: path.into(), device: file.st_dev, inode: file.st_ino };
    Ok((fd, file))
}

fn remove_stale(path: &str, addr: &SocketAddrUnix) -> Result<(), Cause> {
    let file = match lstat(path) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(errno.into()),
    };
    if FileType::from_raw_mode(file.st_mode) != FileType::Socket {
        return Err(Cause::NotASocket);
    }
    match net::connect(&socket()?, addr) {
        Err(Errno::CONNREFUSED) => Ok(unlink(path)?),
        // EAGAIN: it listens, and its backlog is full.
        Ok(()) | Err(Errno::AGAIN) => Err(Cause::InUse),
        Err(errno) => Err(errno.into()),
    }
}
