//! Which fault met the proxy in which state.

use tidegate_core::reach::Standing;
use tidegate_core::session::state::State;

/// What can happen to a connection of the proxy from outside.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Blow {
    /// A reset arrived.
    Reset,
    /// An end arrived.
    Fin,
    /// What would have arrived is held up by a link on which nothing moves.
    Held,
}

impl Blow {
    /// Every blow, in the order of declaration.
    pub const ALL: [Blow; 3] = [Blow::Reset, Blow::Fin, Blow::Held];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Blow::Reset => "reset",
            Blow::Fin => "end",
            Blow::Held => "stall",
        }
    }
}

/// Where a connection of the proxy stands: the accept queue, its session's state on the client's
/// side or on the server's, or the pool.
pub struct Stand;

const STATES: usize = State::ALL.len();

impl Stand {
    /// How many there are.
    pub const COUNT: usize = 2 * STATES + 2;

    /// The number of `standing`.
    pub fn of(standing: Standing) -> usize {
        match standing {
            Standing::Front(state) => state as usize,
            Standing::Back(state) => STATES + state as usize,
            Standing::Waiting => 2 * STATES,
            Standing::Pooled => 2 * STATES + 1,
        }
    }

    /// The name of number `stand`.
    pub fn name(stand: usize) -> String {
        match stand {
            n if n < STATES => format!("client in {}", State::ALL[n].name()),
            n if n < 2 * STATES => format!("server in {}", State::ALL[n - STATES].name()),
            n if n == 2 * STATES => "a socket in the accept queue".into(),
            _ => "an idle connection".into(),
        }
    }
}
