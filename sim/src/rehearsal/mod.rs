//! A rehearsal: the operator's own configuration under load and faults that he names, in virtual
//! time, with the production core, and what his users would see of it.
//!
//! | module | what lives there |
//! |---|---|
//! | [`plan`] | configurations, load, faults; how options are spelled |
//! | `timing` | whether faults and changes can happen, and be told apart |
//! | [`roster`] | the servers, and what they may be called |
//! | `targets`, `sample` | what clients ask for: a request for each route |
//! | `secure` | TLS of the simulator's in the place of the operator's files |
//! | `course` | the events, one after another, and the proxy's turns |
//! | `calls` | the system calls, answered by [`crate::kernel`] |
//! | `clients`, `servers`, `line`, `http` | who is at the far ends |
//! | `chance` | arrivals, choices and service times that do not depend on faults |
//! | `measure`, [`report`], [`series`], `words` | what is noted, and what is made of it |
//! | `table`, [`html`] | how it is shown |
//!
//! The driver is the production one ([`tidegate_core::drive`]), the kernel the simulator's; the
//! oracle is not here, for it knows what the clients and servers of sweeps were told to do, and
//! configurations of its own. What can be checked without it is: every answer belongs to its
//! request, and every byte of it is the one that was sent; the core's invariants hold; no session
//! hangs. A rehearsal in which something of that kind shows has [`report::Report::defects`].
//!
//! This is part of the simulator's library: it reads no file and writes none. What the operator's
//! file says comes in as [`plan::Version`], from whoever can load it.

mod calls;
mod chance;
mod clients;
mod course;
pub mod html;
mod http;
mod line;
mod measure;
pub mod plan;
pub mod report;
pub mod roster;
mod sample;
mod secure;
pub mod series;
mod servers;
mod table;
mod targets;
#[cfg(test)]
mod tests;
mod timing;
mod words;

pub use plan::Plan;
pub use report::Report;
pub use roster::Roster;
pub use targets::Filter;

/// Holds the rehearsal. Takes about a second for 30,000 requests.
pub fn rehearse(plan: Plan) -> Report {
    course::hold(plan)
}
