//! Recordings of production, lifted into cases and played back.
//!
//! The core does both ([`tidegate_core::flight`]); here are the table of what a recording
//! holds, and
//! TLS settings that stand in for those that no recording carries.

use crate::tls::{ClientAuth, ClientOptions, Clock, Provider, Run, Templates, Versions, Which};
use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_core::config::{TlsClient, TlsServer};
use tidegate_core::flight::{Case, Chain, Difference, Flaw, Player, StandIns};
use tidegate_core::tls::{Certificate, Certificates};

/// What a recording holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Contents {
    /// Sessions of which anything is there.
    pub sessions: usize,
    /// Sessions whose start is there.
    pub whole: usize,
    /// Sessions that can be played back.
    pub replayable: usize,
    /// Their requests.
    pub requests: usize,
    /// How many cannot, by reason.
    pub flaws: BTreeMap<Flaw, usize>,
}

/// Counts what `case` holds.
pub fn contents(case: &Case) -> Contents {
    let mut all = Contents::default();
    for chain in &case.chains {
        all.sessions += 1;
        all.whole += usize::from(chain.start.is_some());
        match chain.flaw {
            None => {
                all.replayable += 1;
                all.requests += chain.requests;
            }
            Some(flaw) => *all.flaws.entry(flaw).or_default() += 1,
        }
    }
    all
}

/// What became of the sessions of a case.
#[derive(Debug, Default)]
pub struct Results {
    /// Sessions whose hashes came out equal, and their requests.
    pub equal: usize,
    /// See `equal`.
    pub requests: usize,
    /// Steps of all of them.
    pub steps: usize,
    /// Those that came out otherwise: serial number and first difference.
    pub different: Vec<(u64, Difference)>,
}

/// Plays every session of `case` back that can be, by `play` (which may catch what a session of a
/// damaged recording breaks).
///
/// # Errors
/// A configuration of the case is refused.
pub fn replay_all(
    case: &Case,
    mut play: impl FnMut(&Player<'_>, &Chain) -> Result<usize, Difference>,
) -> Result<Results, String> {
    let player = Player::new(case, &stand_ins())?;
    let mut results = Results::default();
    for chain in case.chains.iter().filter(|chain| chain.flaw.is_none()) {
        match play(&player, chain) {
            Ok(steps) => {
                results.equal += 1;
                results.requests += chain.requests;
                results.steps += steps;
            }
            Err(difference) => {
                let serial = chain.start.as_ref().map_or(0, |start| start.serial);
                results.different.push((serial, difference));
            }
        }
    }
    Ok(results)
}

/// TLS settings in place of recorded ones. Nobody shakes hands by them: outcomes are recorded.
pub fn stand_ins() -> StandIns {
    let run = Run::new(Arc::new(Templates::new(Provider::Fast)), Clock::default(), [0; 32]);
    let key = run.templates().certified_key(Which::A);
    let names = vec!["stand-in.example".into()];
    let certificates = Arc::new(Certificates::new(vec![Certificate { key, names }]));
    let resolver = Arc::clone(&certificates);
    let server = run.server(resolver as _, ClientAuth::None, Versions::Both);
    let client = run.client(ClientOptions::default());
    StandIns {
        server: Some(TlsServer { identity: [0; 32], config: Arc::new(server), certificates }),
        client: Some(TlsClient { identity: [0; 32], config: Arc::new(client) }),
    }
}

#[cfg(test)]
mod tests;
