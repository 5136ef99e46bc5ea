//! Signals become messages to the supervisor.

use super::supervise::Message;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;
use std::sync::mpsc::Sender;

/// What an operator's signal asks for.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Signal {
    /// TERM or INT: stop gracefully; the second time: at once.
    Stop,
    /// HUP: reload the configuration.
    Reload,
    /// USR1: reopen log files.
    ReopenLogs,
    /// QUIT: write flight recordings, and go on.
    Record,
}

/// Registers the handlers and starts the thread that passes signals on.
///
/// SIGPIPE needs none: Rust's runtime ignores it from before `main` on (RUN-7), and sockets are
/// written with `MSG_NOSIGNAL`.
pub(crate) fn listen(to: Sender<Message>) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGQUIT])?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for number in signals.forever() {
            let signal = match number {
                SIGHUP => Signal::Reload,
                SIGUSR1 => Signal::ReopenLogs,
                SIGQUIT => Signal::Record,
                _ => Signal::Stop,
            };
            if to.send(Message::Signal(signal)).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}
