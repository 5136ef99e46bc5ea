//! The states of a session and the only legal moves between them.

/// Where a session stands. See `LIFECYCLE.md` beside this file.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum State {
    /// Between requests, or before the first: holds no buffer.
    Idle,
    /// Part of a request head is here.
    Head,
    /// A connection attempt is under way.
    Connect,
    /// Waits before it tries the address again that has just failed.
    Pause,
    /// A backend connection carries the exchange.
    Relay,
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
    /// The first byte of a request came.
    FirstByte,
    /// A request was begun and needs a new backend connection.
    Dial,
    /// A request was begun and an idle backend connection took it.
    Reuse,
    /// The only address left has just failed.
    HoldBack,
    /// The backend connection stands.
    Connected,
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
    /// All states, in order.
    pub const ALL: [State; 8] = [
        State::Idle,
        State::Head,
        State::Connect,
        State::Pause,
        State::Relay,
        State::Answer,
        State::Linger,
        State::Closed,
    ];

    /// The state after `by`, or `None` where that move is illegal.
    pub fn after(self, by: Move) -> Option<State> {
        use Move::*;
        use State::*;
        Some(match (self, by) {
            (Closed, _) => return None,
            (_, Close) => Closed,
            (Idle, FirstByte) => Head,
            (Head | Connect | Pause | Relay, Dial) => Connect,
            (Head | Pause | Connect | Relay, Reuse) => Relay,
            (Connect | Relay, HoldBack) => Pause,
            (Connect, Connected) => Relay,
            (Head | Connect | Pause | Relay, AnswerItself) => Answer,
            (Relay | Answer, Keep) => Idle,
            (Relay | Answer, Pipelined) => Head,
            (Relay | Answer, Discard) => Linger,
            _ => return None,
        })
    }

    /// The name that logs use.
    pub fn name(self) -> &'static str {
        match self {
            State::Idle => "idle",
            State::Head => "head",
            State::Connect => "connect",
            State::Pause => "pause",
            State::Relay => "relay",
            State::Answer => "answer",
            State::Linger => "linger",
            State::Closed => "closed",
        }
    }
}

impl Move {
    /// All moves, in order.
    pub const ALL: [Move; 10] = [
        Move::FirstByte,
        Move::Dial,
        Move::Reuse,
        Move::HoldBack,
        Move::Connected,
        Move::AnswerItself,
        Move::Keep,
        Move::Pipelined,
        Move::Discard,
        Move::Close,
    ];
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
