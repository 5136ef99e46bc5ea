//! Marks that are generated, one for each member of an enum or of a pair of enums.

use super::named::NAMED;
use super::{Blow, Mark, Stand};
use crate::swarm::{Fault, Operation};
use tidegate_core::buggify::Point;
use tidegate_core::event::{Phase, Timer, Who};
use tidegate_core::input::{AcceptError, SocketError};
use tidegate_core::reach::Part;
use tidegate_core::session::state::State;
use tidegate_core::tls::TlsFailure;

/// Lists the groups: name of its marks, how many, and what each is called.
macro_rules! groups {
    ($($(#[$doc:meta])* $group:ident: $name:expr, $len:expr, $member:expr;)+) => {
        /// Marks that are alike: one for each member of an enum.
        #[derive(Copy, Clone, PartialEq, Eq, Debug)]
        pub enum Group {
            $($(#[$doc])* $group,)+
        }

        impl Group {
            /// Every group, in the order of the catalogue.
            pub const ALL: &[Group] = &[$(Group::$group),+];
            const LENGTHS: &[usize] = &[$($len),+];

            /// What the names of its marks begin with.
            pub fn name(self) -> &'static str {
                match self {
                    $(Group::$group => $name,)+
                }
            }

            /// What member number `index` is called.
            pub fn member(self, index: usize) -> String {
                let member: fn(usize) -> String = match self {
                    $(Group::$group => $member,)+
                };
                member(index)
            }
        }
    };
}

groups! {
    /// What the core decided.
    Decided: Part::Decided.name(), Part::Decided.count(), |n| Part::Decided.name_of(n);
    /// Why a request was refused.
    RequestRefused:
        Part::RequestRefused.name(),
        Part::RequestRefused.count(),
        |n| Part::RequestRefused.name_of(n);
    /// Why a response was refused.
    ResponseRefused:
        Part::ResponseRefused.name(),
        Part::ResponseRefused.count(),
        |n| Part::ResponseRefused.name_of(n);
    /// Timers that fired.
    Fired: Part::Fired.name(), Part::Fired.count(), |n| Part::Fired.name_of(n);
    /// Statuses of the proxy's own answers.
    Answered: Part::Answered.name(), Part::Answered.count(), |n| Part::Answered.name_of(n);
    /// Moves that sessions made.
    Moved: Part::Moved.name(), Part::Moved.count(), |n| Part::Moved.name_of(n);
    /// Who ended an exchange, in which phase.
    Ended: "ended", Who::ALL.len() * Phase::ALL.len(), |n| {
        let (who, phase) = (Who::ALL[n / Phase::ALL.len()], Phase::ALL[n % Phase::ALL.len()]);
        format!("by {} in {}", who.name(), phase.name())
    };
    /// The timer that an access record names.
    TimedOut: "timed out", Timer::ALL.len(), |n| Timer::ALL[n].name().into();
    /// Why TLS with a client came to nothing.
    TlsFailure: "tls failure", TlsFailure::ALL.len(), |n| TlsFailure::ALL[n].name().into();
    /// A blow that a connection of the proxy took, by where its session stood.
    Struck: "blow", Stand::COUNT * Blow::ALL.len(), |n| {
        let (stand, blow) = (n / Blow::ALL.len(), Blow::ALL[n % Blow::ALL.len()]);
        format!("{} at {}", blow.name(), Stand::name(stand))
    };
    /// The configuration changed while a session stood there.
    Changed: "change", State::ALL.len(), |n| format!("while in {}", State::ALL[n].name());
    /// A graceful stop began while a session stood there.
    Stopped: "stop", State::ALL.len(), |n| format!("while in {}", State::ALL[n].name());
    /// What the kernel answered to a connect.
    Connect: "connect", SocketError::ALL.len(), |n| SocketError::ALL[n].name().into();
    /// What the kernel answered to a read.
    Recv: "recv", SocketError::ALL.len(), |n| SocketError::ALL[n].name().into();
    /// What the kernel answered to a write.
    Send: "send", SocketError::ALL.len(), |n| SocketError::ALL[n].name().into();
    /// What the kernel answered to an accept.
    Accept: "accept", AcceptError::ALL.len(), |n| AcceptError::ALL[n].name().into();
    /// Faults that struck.
    Fault: "fault", Fault::ALL.len(), |n| Fault::ALL[n].name().into();
    /// Operations that were carried out.
    Operation: "operation", Operation::ALL.len(), |n| Operation::ALL[n].name().into();
    /// Rare ways that the core was made to take.
    Buggify: "buggify", Point::ALL.len(), |n| Point::ALL[n].name().trim_start_matches("tidegate-buggify: ").into();
}

impl Group {
    /// The groups that the core counts by itself.
    pub const OF_CORE: [(Group, Part); Part::ALL.len()] = [
        (Group::Decided, Part::Decided),
        (Group::RequestRefused, Part::RequestRefused),
        (Group::ResponseRefused, Part::ResponseRefused),
        (Group::Fired, Part::Fired),
        (Group::Answered, Part::Answered),
        (Group::Moved, Part::Moved),
    ];

    /// How many members it has.
    #[inline]
    pub const fn len(self) -> usize {
        Group::LENGTHS[self as usize]
    }

    /// Whether it has no member.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The place in the catalogue of its first member.
    #[inline]
    pub const fn start(self) -> usize {
        STARTS[self as usize]
    }

    /// The place where the group of this number begins; for the number of groups, the end.
    pub(super) const fn start_of(group: usize) -> usize {
        let (mut start, mut before) = (NAMED.len(), 0);
        while before < group {
            start += Group::LENGTHS[before];
            before += 1;
        }
        start
    }

    /// The mark of member number `index`.
    #[inline]
    pub fn at(self, index: usize) -> Mark {
        debug_assert!(index < self.len(), "{self:?} has no member {index}");
        Mark((self.start() + index) as u16)
    }
}

const STARTS: [usize; Group::ALL.len()] = {
    let mut starts = [0; Group::ALL.len()];
    let mut group = 0;
    while group < starts.len() {
        starts[group] = Group::start_of(group);
        group += 1;
    }
    starts
};
