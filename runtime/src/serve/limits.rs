//! How many files the process may hold open (RUN-6).

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fmt;

/// Descriptors beside the connections: listeners, polls, logs, resolvers.
const RESERVE: u64 = 64;

/// The limit of open files is too low for the configuration.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooFewFiles {
    max_connections: usize,
    limit: u64,
}

impl fmt::Display for TooFewFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TooFewFiles { max_connections, limit } = self;
        let needed = needed(*max_connections);
        write!(
            f,
            "max_connections = {max_connections} needs {needed} open files, and the limit is \
             {limit}: raise it (LimitNOFILE={needed} in a systemd unit), or set max_connections = {}",
            limit.saturating_sub(RESERVE) / 2
        )
    }
}

impl TooFewFiles {
    /// The command that helps, typed before the next start.
    pub(crate) fn next(&self) -> String {
        format!("ulimit -n {}", needed(self.max_connections))
    }
}

/// Descriptors that `max_connections` need: one a side, and the reserve.
fn needed(max_connections: usize) -> u64 {
    (max_connections as u64).saturating_mul(2).saturating_add(RESERVE)
}

/// Raises the limit of open files to its hard limit; if that is too low for `max_connections`,
/// tries to raise the hard limit too, which needs privileges. Returns the limit reached.
pub(crate) fn raise_open_files(max_connections: usize) -> Result<u64, TooFewFiles> {
    let needed = needed(max_connections);
    let now = getrlimit(Resource::Nofile);
    let (current, hard) = (or_unlimited(now.current), or_unlimited(now.maximum));
    if hard < needed && set(needed).is_ok() {
        return Ok(needed);
    }
    let limit = if current < hard && set(hard).is_ok() { hard } else { current };
    if limit < needed { Err(TooFewFiles { max_connections, limit }) } else { Ok(limit) }
}

/// `None` stands for "no limit".
fn or_unlimited(limit: Option<u64>) -> u64 {
    limit.unwrap_or(u64::MAX)
}

fn set(limit: u64) -> rustix::io::Result<()> {
    let limit = if limit == u64::MAX { None } else { Some(limit) };
    let maximum = match (getrlimit(Resource::Nofile).maximum, limit) {
        (Some(hard), Some(limit)) => Some(hard.max(limit)),
        _ => None,
    };
    setrlimit(Resource::Nofile, Rlimit { current: limit, maximum })
}

#[cfg(test)]
mod tests {
    use super::*;

    // RUN-6
    #[test]
    fn the_limit_is_raised_as_far_as_it_goes() {
        let reached = raise_open_files(1).expect("66 files");
        let now = getrlimit(Resource::Nofile);
        assert_eq!(now.current, now.maximum);
        assert_eq!(or_unlimited(now.current), reached);
    }

    // RUN-6
    #[test]
    fn a_limit_that_is_too_low_refuses_and_says_what_to_type() {
        let limit = or_unlimited(getrlimit(Resource::Nofile).maximum);
        // No kernel has room for so many files.
        let error = raise_open_files(5_000_000_000).expect_err("refused");
        assert!(error.limit <= limit);
        let error = TooFewFiles { max_connections: 600, limit: 1024 };
        let text = error.to_string();
        assert!(text.contains("needs 1264 open files, and the limit is 1024"), "{text}");
        assert_eq!(error.next(), "ulimit -n 1264");
        assert!(text.ends_with("set max_connections = 480"), "{text}");
    }

    // RUN-7: SIGPIPE is ignored from before main on.
    #[test]
    fn writing_to_a_closed_pipe_is_an_error_and_no_death() {
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
        let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let ignored = u64::from_str_radix(ignored.expect("a line").trim(), 16).expect("hex");
        assert_ne!(ignored & (1 << (13 - 1)), 0);
    }
}
