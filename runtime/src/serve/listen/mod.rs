//! Binding, before the workers need the sockets: every address or none (RUN-1, RUN-6).

#[cfg(test)]
mod tests;
mod unix;

use super::kernel::Wanted;
use super::refusal::Refusal;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};
use std::fmt;
use std::net::SocketAddr;
use tidegate_core::config::Config;
use tidegate_core::input::Address;
use unix::SocketFile;

/// One worker's listening socket for one address of the configuration.
///
/// Dropping it closes the socket, and removes the file of a Unix socket if it is still ours.
pub(crate) struct Bound {
    /// The address as configured.
    pub(crate) at: Address,
    /// The socket; taken out while a kernel's table holds it.
    pub(crate) fd: Option<OwnedFd>,
    /// Its listen backlog.
    pub(crate) backlog: u32,
    /// The address as bound: tells the port when port 0 was configured.
    pub(crate) local: Option<SocketAddr>,
    _file: Option<SocketFile>,
}

/// Why an address cannot be listened on.
#[derive(Debug)]
pub(crate) struct ListenError {
    listener: Box<str>,
    at: Address,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    /// Another socket listens there.
    InUse,
    /// The path of a Unix socket is taken by something else.
    NotASocket,
    System(Errno),
}

impl From<Errno> for Cause {
    fn from(errno: Errno) -> Cause {
        if errno == Errno::ADDRINUSE { Cause::InUse } else { Cause::System(errno) }
    }
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ListenError { listener, at, cause } = self;
        write!(f, "listener \"{listener}\" cannot bind {at}: ")?;
        match cause {
            Cause::InUse if matches!(at, Address::Unix(_)) => f.write_str("a server answers there"),
            Cause::InUse => f.write_str("the address is in use"),
            Cause::NotASocket => f.write_str("the path is taken by something else"),
            Cause::System(_) if self.lacks_privilege() => {
                f.write_str("a port below 1024 needs privileges")
            }
            Cause::System(errno) => f.write_str(&errno.kind_text()),
        }
    }
}

impl ListenError {
    fn lacks_privilege(&self) -> bool {
        matches!(self.cause, Cause::System(Errno::ACCESS | Errno::PERM))
            && matches!(self.at, Address::Ip(at) if at.port() < 1024)
    }

    /// The command that tells more, or helps.
    fn next(&self) -> String {
        match (&self.cause, &self.at) {
            (Cause::InUse, Address::Ip(at)) => format!("ss -ltnp 'sport = :{}'", at.port()),
            (Cause::InUse, Address::Unix(path)) => format!("ss -lxp src {path}"),
            (Cause::NotASocket, Address::Unix(path)) => format!("ls -l {path}"),
            (Cause::System(_), Address::Ip(_)) if self.lacks_privilege() => {
                "setcap cap_net_bind_service=+ep $(command -v tidegate)".into()
            }
            (Cause::System(_), Address::Unix(path)) => format!("ls -ld $(dirname {path})"),
            (Cause::System(_) | Cause::NotASocket, Address::Ip(_)) => "ip addr".into(),
        }
    }
}

/// One refusal of all of them; there is at least one.
pub(crate) fn refusal(errors: &[ListenError]) -> Refusal {
    Refusal::Machine {
        errors: errors.iter().map(ToString::to_string).collect(),
        next: errors.first().map(ListenError::next).unwrap_or_default(),
    }
}

/// The text of an error number.
trait KindText {
    fn kind_text(self) -> String;
}
impl KindText for Errno {
    fn kind_text(self) -> String {
        std::io::Error::from_raw_os_error(self.raw_os_error()).to_string()
    }
}

/// Every address that `config` listens on, with its backlog.
pub(crate) fn wanted(config: &Config) -> Vec<Wanted> {
    let listeners = config.listeners.iter();
    listeners.flat_map(|of| of.binds.iter().map(|at| (at.clone(), of.backlog))).collect()
}

/// Binds every address of `config` that is not in `held`, for `workers` workers, and begins to
/// listen once all are bound. Returns the sockets of each worker, or every error at once; then
/// nothing stays bound and nobody's connection was taken.
pub(crate) fn bind_all(
    config: &Config,
    held: &[Wanted],
    workers: usize,
) -> Result<Vec<Vec<Bound>>, Vec<ListenError>> {
    let mut bound: Vec<Vec<Bound>> = (0..workers).map(|_| Vec::new()).collect();
    let mut errors = Vec::new();
    let all = wanted(config);
    for listener in &config.listeners {
        for at in listener.binds.iter().filter(|at| held.iter().all(|(of, _)| of != *at)) {
            let only_ipv6 = needs_only_ipv6(at, &all);
            if let Err(cause) = bind(at, listener.backlog, only_ipv6, &mut bound) {
                errors.push(ListenError { listener: listener.name.clone(), at: at.clone(), cause });
            }
        }
    }
    if errors.is_empty() {
        for socket in bound.iter().flatten() {
            if let Err(cause) = begin(socket) {
                let at = socket.at.clone();
                let listener = config.listeners.iter().find(|of| of.binds.contains(&at));
                let listener = listener.map_or("".into(), |of| of.name.clone());
                errors.push(ListenError { listener, at, cause });
            }
        }
    }
    if errors.is_empty() { Ok(bound) } else { Err(errors) }
}

/// `[::]` takes IPv4 connections too, unless the configuration also names the IPv4 wildcard of
/// the same port: then each takes its own.
fn needs_only_ipv6(at: &Address, all: &[Wanted]) -> bool {
    let Address::Ip(SocketAddr::V6(v6)) = at else { return false };
    v6.ip().is_unspecified()
        && all.iter().any(|(other, _)| {
            matches!(other, Address::Ip(SocketAddr::V4(v4))
                if v4.ip().is_unspecified() && v4.port() == v6.port())
        })
}

/// Binds one address for every worker; a Unix address for the first (RUN-4).
fn bind(
    at: &Address,
    backlog: u32,
    only_ipv6: bool,
    workers: &mut [Vec<Bound>],
) -> Result<(), Cause> {
    match at {
        Address::Unix(path) => {
            let (fd, file) = unix::bind(path)?;
            let (fd, file) = (Some(fd), Some(file));
            workers[0].push(Bound { at: at.clone(), fd, backlog, local: None, _file: file });
        }
        Address::Ip(addr) => {
            if addr.port() != 0 {
                // RUN-6: bound without SO_REUSEPORT, this fails if anybody listens there, also
                // somebody who would share. Closed at once.
                bind_tcp(addr, false, only_ipv6)?;
            }
            let share = workers.len() > 1;
            let mut addr = *addr;
            for sockets in workers {
                let fd = bind_tcp(&addr, share, only_ipv6)?;
                // With port 0 the first worker's socket draws the port of all.
                addr = SocketAddr::try_from(net::getsockname(&fd)?)?;
                let (local, fd) = (Some(addr), Some(fd));
                sockets.push(Bound { at: at.clone(), fd, backlog, local, _file: None });
            }
        }
    }
    Ok(())
}

fn bind_tcp(addr: &SocketAddr, share: bool, only_ipv6: bool) -> Result<OwnedFd, Cause> {
    let family = if addr.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let fd = net::socket_with(family, SocketType::STREAM, flags, None)?;
    // A restart does not wait for the TIME_WAIT of the last run's connections.
    sockopt::set_socket_reuseaddr(&fd, true)?;
    sockopt::set_socket_reuseport(&fd, share)?;
    if addr.is_ipv6() {
        sockopt::set_ipv6_v6only(&fd, only_ipv6)?;
    }
    // Inherited by every accepted socket (RUN-7).
    sockopt::set_tcp_nodelay(&fd, true)?;
    net::bind(&fd, addr)?;
    Ok(fd)
}

fn begin(bound: &Bound) -> Result<(), Cause> {
    let Some(fd) = &bound.fd else { return Ok(()) };
    net::listen(fd, i32::try_from(bound.backlog).unwrap_or(i32::MAX))?;
    Ok(())
}
