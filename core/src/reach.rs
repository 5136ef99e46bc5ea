//! What the core decided, counted for simulations: `tidegate-sim` turns the counts into marks,
//! and fails where too few seeds reach one. Without the feature `sim` nothing is kept, and every
//! method here is empty.

mod decision;

pub use decision::Decision;

use crate::config::ANSWER_STATUSES;
use crate::event::Timer;
use crate::http1::Refusal;
#[cfg(feature = "sim")]
use crate::id::SocketId;
use crate::names::names;
#[cfg(feature = "sim")]
use crate::proxy::Proxy;
use crate::session::state::{Move, State};
#[cfg(feature = "sim")]
use crate::sockets::Owner;

/// One kind of thing that is counted.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Part {
    /// [`Decision`]s.
    Decided,
    /// Why requests were refused.
    RequestRefused,
    /// Why responses were refused.
    ResponseRefused,
    /// Timers that fired.
    Fired,
    /// Statuses of the proxy's own answers.
    Answered,
    /// Moves of sessions along their table: how many sessions made one.
    Moved,
}

names! {
    /// What marks of this part begin with.
    Part {
        Decided => "decision",
        RequestRefused => "request refused",
        ResponseRefused => "response refused",
        Fired => "fired",
        Answered => "answered",
        Moved => "move",
    }
}

/// Every legal move, in the order of the table.
const MOVES: [(State, Move); count_moves()] = {
    let mut moves = [(State::Open, Move::Close); count_moves()];
    let (mut found, mut at) = (0, 0);
    while at < State::ALL.len() * Move::ALL.len() {
        let (state, by) = cell(at);
        if state.after(by).is_some() {
            moves[found] = (state, by);
            found += 1;
        }
        at += 1;
    }
    moves
};

/// The place of each cell of the table in [`MOVES`].
#[cfg(any(test, feature = "sim"))]
const RANKS: [u8; State::ALL.len() * Move::ALL.len()] = {
    let mut ranks = [u8::MAX; State::ALL.len() * Move::ALL.len()];
    let mut rank = 0;
    while rank < MOVES.len() {
        let (state, by) = MOVES[rank];
        ranks[state as usize * Move::ALL.len() + by as usize] = rank as u8;
        rank += 1;
    }
    ranks
};

const _: () = assert!(MOVES.len() <= u128::BITS as usize, "a trail has a bit for each move");

const fn cell(at: usize) -> (State, Move) {
    (State::ALL[at / Move::ALL.len()], Move::ALL[at % Move::ALL.len()])
}

const fn count_moves() -> usize {
    let (mut count, mut at) = (0, 0);
    while at < State::ALL.len() * Move::ALL.len() {
        let (state, by) = cell(at);
        count += state.after(by).is_some() as usize;
        at += 1;
    }
    count
}

impl Part {
    /// How many things of this kind there are.
    pub const fn count(self) -> usize {
        match self {
            Part::Decided => Decision::ALL.len(),
            Part::RequestRefused | Part::ResponseRefused => Refusal::ALL.len(),
            Part::Fired => Timer::ALL.len(),
            Part::Answered => ANSWER_STATUSES.len(),
            Part::Moved => MOVES.len(),
        }
    }

    /// The name of thing number `index`.
    pub fn name_of(self, index: usize) -> String {
        match self {
            Part::Decided => Decision::ALL[index].name().into(),
            Part::RequestRefused | Part::ResponseRefused => Refusal::ALL[index].name().into(),
            Part::Fired => Timer::ALL[index].name().into(),
            Part::Answered => ANSWER_STATUSES[index].to_string(),
            Part::Moved => {
                let (state, by) = MOVES[index];
                format!("{} by {}", state.name(), by.name())
            }
        }
    }

    #[cfg(feature = "sim")]
    const fn start(self) -> usize {
        let (mut start, mut part) = (0, 0);
        while part < self as usize {
            start += Part::ALL[part].count();
            part += 1;
        }
        start
    }
}

/// Counts of everything that there is.
#[derive(Default)]
pub struct Reach {
    #[cfg(feature = "sim")]
    cells: Vec<u32>,
}

impl Reach {
    #[inline]
    fn hit(&mut self, part: Part, index: usize) {
        #[cfg(feature = "sim")]
        {
            if self.cells.is_empty() {
                self.cells = vec![0; Part::Moved.start() + Part::Moved.count()];
            }
            self.cells[part.start() + index] += 1;
        }
        let _ = (part, index);
    }

    #[inline]
    pub(crate) fn decided(&mut self, decision: Decision) {
        self.hit(Part::Decided, decision as usize);
    }

    /// As [`Reach::decided`], where `condition` holds.
    #[inline]
    pub(crate) fn decided_if(&mut self, condition: bool, decision: Decision) {
        if condition {
            self.decided(decision);
        }
    }

    #[inline]
    pub(crate) fn refused_request(&mut self, refusal: Refusal) {
        self.hit(Part::RequestRefused, refusal as usize);
    }

    #[inline]
    pub(crate) fn refused_response(&mut self, refusal: Refusal) {
        self.hit(Part::ResponseRefused, refusal as usize);
    }

    #[inline]
    pub(crate) fn fired(&mut self, timer: Timer) {
        self.hit(Part::Fired, timer as usize);
    }

    #[inline]
    pub(crate) fn answered(&mut self, status: u16) {
        if let Some(index) = ANSWER_STATUSES.iter().position(|&known| known == status) {
            self.hit(Part::Answered, index);
        }
    }

    /// A session's whole way.
    pub(crate) fn walked(&mut self, trail: Trail) {
        #[cfg(feature = "sim")]
        for rank in (0..MOVES.len()).filter(|rank| trail.moves >> rank & 1 == 1) {
            self.hit(Part::Moved, rank);
        }
        let _ = trail;
    }

    /// The counts of one kind; nothing if nothing was counted.
    #[cfg(feature = "sim")]
    pub fn part(&self, part: Part) -> &[u32] {
        self.cells.get(part.start()..part.start() + part.count()).unwrap_or_default()
    }
}

/// The moves that one session has made.
#[derive(Copy, Clone, Default)]
pub(crate) struct Trail {
    #[cfg(feature = "sim")]
    moves: u128,
}

impl Trail {
    #[inline]
    pub(crate) fn note(&mut self, state: State, by: Move) {
        #[cfg(feature = "sim")]
        {
            self.moves |= 1 << RANKS[state as usize * Move::ALL.len() + by as usize];
        }
        let _ = (state, by);
    }
}

/// Whose a socket is, and where its session stands.
#[cfg(feature = "sim")]
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It waits in the accept queue.
    Waiting,
    /// The client's, of a session in this state.
    Front(State),
    /// A server's, of a session in this state.
    Back(State),
    /// A server's, idle.
    Pooled,
}

#[cfg(feature = "sim")]
impl Proxy {
    /// What was counted.
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// How the connection `id` stands; `None` for listeners and for what is gone.
    pub fn standing(&self, id: SocketId) -> Option<Standing> {
        Some(match self.sockets.get(id)?.owner {
            Owner::Queued => Standing::Waiting,
            Owner::Front(session) => Standing::Front(self.sessions.get(session)?.state),
            Owner::Back(back) if self.backs[back].idle => Standing::Pooled,
            Owner::Back(back) => Standing::Back(self.sessions.get(self.backs[back].session)?.state),
            Owner::Listener(_) | Owner::Closing => return None,
        })
    }

    /// The state of every live session.
    pub fn states(&self) -> impl Iterator<Item = State> {
        self.sessions.iter().map(|(_, session)| session.state)
    }
}

#[cfg(test)]
mod tests;
