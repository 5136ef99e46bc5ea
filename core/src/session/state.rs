//! The states of a session and the only legal moves between them.

use crate::names::names;

/// Where a session stands. See `LIFECYCLE.md` beside this file.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum State {
    /// Just created: its listener says what comes first.
    Open,
    /// Reads the PROXY header.
    ExpectProxy,
    /// The TLS handshake is under way.
    Handshake,
    /// Reads the ClientHello of a connection whose TLS is passed through.
    Hello,
    /// A TCP connection that waits for its buffers.
    Ready,
    /// Between requests, or before the first: holds no buffer.
    Idle,
    /// Part of a request head is here.
    Head,
    /// Every server that could be used has all the connections it may have (BACK-9).
    Queue,
    /// A connection attempt is under way.
    Connect,
    /// Waits before it tries the address again that has just failed.
    Pause,
    /// A backend connection carries the exchange.
    Relay,
    /// Bytes pass both ways as they are.
    Tunnel,
    /// The proxy's own answer is on its way out.
    Answer,
    /// The final answer is out, the request was not wholly read: discards (RES-8).
    Linger,
    /// Gone: every token, buffer, timer and count is released.
    Closed,
}

/// Why a session moves.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Move {
    /// The listener expects a PROXY header.
    Announce,
    /// TLS is terminated here.
    Secure,
    /// TLS is passed through by name.
    Sniff,
    /// Everything below HTTP is done.
    Serve,
    /// Everything below TCP is done.
    Carry,
    /// The first byte of a request came.
    FirstByte,
    /// A request was begun and needs a new backend connection.
    Dial,
    /// A request was begun and an idle backend connection took it.
    Reuse,
    /// No server has room.
    Enqueue,
    /// The only address left has just failed.
    HoldBack,
    /// The backend connection stands.
    Connected,
    /// The backend connection of a TCP session stands.
    Join,
    /// The backend agreed to switch protocols.
    Upgrade,
    /// The proxy answers by itself.
    AnswerItself,
    /// The exchange is complete and the connection is kept.
    Keep,
    /// The same, and the next request's bytes are here already.
    Pipelined,
    /// The answer is out, the rest of the request is discarded.
    Discard,
    /// The end, for whatever reason.
    Close,
}

impl State {
    /// The state after `by`, or `None` where that move is illegal.
    pub const fn after(self, by: Move) -> Option<State> {
        use Move::*;
        use State::*;
        Some(match (self, by) {
            (Closed, _) => return None,
            (_, Close) => Closed,
            (Open, Announce) => ExpectProxy,
            (Open | ExpectProxy, Secure) => Handshake,
            (Open | ExpectProxy, Sniff) => Hello,
            (Open | ExpectProxy | Handshake, Serve) => Idle,
            (Open | ExpectProxy | Handshake | Hello, Carry) => Ready,
            (Idle | Handshake, FirstByte) => Head,
            (Ready | Head | Queue | Connect | Pause | Relay, Dial) => Connect,
            (Head | Queue | Pause | Connect | Relay, Reuse) => Relay,
            (Ready | Head | Connect | Pause | Relay, Enqueue) => Queue,
            (Queue | Connect | Relay, HoldBack) => Pause,
            (Connect, Connected) => Relay,
            (Connect, Join) | (Relay, Upgrade) => Tunnel,
            (Head | Queue | Connect | Pause | Relay, AnswerItself) => Answer,
            (Relay | Answer, Keep) => Idle,
            (Relay | Answer, Pipelined) => Head,
            (Handshake | Relay | Answer, Discard) => Linger,
            _ => return None,
        })
    }
}

names! {
    /// The name that logs use.
    State {
        Open => "open",
        ExpectProxy => "expect_proxy",
        Handshake => "handshake",
        Hello => "hello",
        Ready => "ready",
        Idle => "idle",
        Head => "head",
        Queue => "queue",
        Connect => "connect",
        Pause => "pause",
        Relay => "relay",
        Tunnel => "tunnel",
        Answer => "answer",
        Linger => "linger",
        Closed => "closed",
    }
}

names! {
    /// The name that marks of simulations use.
    Move {
        Announce => "announce",
        Secure => "secure",
        Sniff => "sniff",
        Serve => "serve",
        Carry => "carry",
        FirstByte => "first byte",
        Dial => "dial",
        Reuse => "reuse",
        Enqueue => "enqueue",
        HoldBack => "hold back",
        Connected => "connected",
        Join => "join",
        Upgrade => "upgrade",
        AnswerItself => "answer itself",
        Keep => "keep",
        Pipelined => "pipelined",
        Discard => "discard",
        Close => "close",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table as `LIFECYCLE.md` prints it.
    fn table() -> String {
        let mut table = String::from("| state |");
        for by in Move::ALL {
            table += &format!(" {by:?} |");
        }
        table += &format!("\n|---|{}\n", "---|".repeat(Move::ALL.len()));
        for state in State::ALL {
            table += &format!("| {state:?} |");
            for by in Move::ALL {
                match state.after(by) {
                    Some(next) => table += &format!(" {next:?} |"),
                    None => table += " |",
                }
            }
            table += "\n";
        }
        table
    }

    // SES-2: the table in the document is the table in the code.
    #[test]
    fn the_document_shows_the_table() {
        let document = include_str!("LIFECYCLE.md");
        assert!(document.contains(&table()), "LIFECYCLE.md should hold:\n{}", table());
    }

    // LOOP-2: nothing leaves `Closed`.
    #[test]
    fn closed_is_the_end() {
        for by in Move::ALL {
            assert_eq!(State::Closed.after(by), None);
        }
    }
}
