//! What the simulator's TLS promises, over connections in memory.

mod certificates;
mod determinism;
mod flips;
mod handshakes;
mod lengths;
mod parts;
mod randomness;

use super::{ClientAuth, ClientOptions, Clock, Entropy, Peer, Provider, Run, Templates};
use super::{Versions, Which};
use rustls::{ClientConfig, Error, HandshakeKind, ServerConfig};
use std::sync::Arc;

/// The stream of the client's end; the server's is the next.
const CLIENT: u64 = 1;

/// Templates are shared by the runs of a test, as by the runs of a process.
fn run_of(templates: &Arc<Templates>) -> Run {
    Run::new(Arc::clone(templates), Clock::default(), [7; 32])
}

fn run(provider: Provider) -> Run {
    run_of(&Arc::new(Templates::new(provider)))
}

/// Both ends of a connection, and what went over the wire: one entry for each time that one end
/// had something to say.
struct Talk {
    client: Peer,
    server: Peer,
    flights: Vec<Vec<u8>>,
}

impl Talk {
    /// `first` is the number of the client's stream; the server's follows it.
    fn new(
        client: &Arc<ClientConfig>,
        server: &Arc<ServerConfig>,
        name: &str,
        seed: u64,
        first: u64,
    ) -> Talk {
        Talk {
            client: Peer::client(Arc::clone(client), name, Entropy::new(seed, first)),
            server: Peer::server(Arc::clone(server), Entropy::new(seed, first + 1)),
            flights: Vec::new(),
        }
    }

    /// Carries one flight each way; whether there was any.
    fn step(&mut self) -> Result<bool, Error> {
        let mut out = Vec::new();
        self.client.take_output(&mut out);
        let mut is_busy = !out.is_empty();
        if is_busy {
            let result = self.server.receive(&out);
            self.flights.push(out);
            result?;
        }
        let mut out = Vec::new();
        self.server.take_output(&mut out);
        if !out.is_empty() {
            is_busy = true;
            let result = self.client.receive(&out);
            self.flights.push(out);
            result?;
        }
        Ok(is_busy)
    }

    /// Until both ends have nothing to say.
    fn settle(&mut self) -> Result<(), Error> {
        while self.step()? {}
        Ok(())
    }

    fn kinds(&self) -> [HandshakeKind; 2] {
        [&self.client, &self.server]
            .map(|end| end.connection().handshake_kind().expect("the handshake is complete"))
    }
}

/// One kind of conversation.
#[derive(Copy, Clone, Debug)]
struct Script {
    versions: Versions,
    auth: ClientAuth,
    certificate: Option<Which>,
    retries: bool,
    /// An earlier connection leaves a ticket.
    resumed: bool,
}

impl Script {
    /// Every combination that means something.
    fn all() -> Vec<Script> {
        let mut all = Vec::new();
        for versions in [Versions::Tls12, Versions::Tls13] {
            let with = [
                (ClientAuth::None, None),
                (ClientAuth::Optional, None),
                (ClientAuth::Required, Some(Which::Client)),
            ];
            for (auth, certificate) in with {
                for (retries, resumed) in [(false, false), (false, true), (true, false)] {
                    all.push(Script { versions, auth, certificate, retries, resumed });
                }
            }
        }
        all
    }

    fn configs(&self, run: &Run) -> (Arc<ClientConfig>, Arc<ServerConfig>) {
        let client = run.client(ClientOptions {
            versions: self.versions,
            certificate: self.certificate,
            retries: self.retries,
            resumes: true,
        });
        let server = run.server_showing(Which::A, self.auth, Versions::Both);
        (Arc::new(client), Arc::new(server))
    }

    /// A handshake, some requests and answers with a key update between, and both closes: the
    /// flights of the (last) connection.
    fn play(&self, run: &Run, seed: u64) -> Vec<Vec<u8>> {
        let (client, server) = self.configs(run);
        if self.resumed {
            let mut earlier = Talk::new(&client, &server, "a.example", seed, 11);
            earlier.settle().expect("a handshake");
        }
        let mut talk = Talk::new(&client, &server, "a.example", seed, CLIENT);
        talk.settle().expect("a handshake");
        let kind = match (self.resumed, self.retries && self.versions == Versions::Tls13) {
            (true, _) => HandshakeKind::Resumed,
            (_, true) => HandshakeKind::FullWithHelloRetryRequest,
            _ => HandshakeKind::Full,
        };
        assert_eq!(talk.kinds(), [kind; 2], "{self:?}");
        exchange(&mut talk, 0);
        if self.versions == Versions::Tls13 {
            talk.client.update_keys().expect("TLS 1.3");
            exchange(&mut talk, 1);
            talk.server.update_keys().expect("TLS 1.3");
        }
        exchange(&mut talk, 2);
        talk.client.close();
        talk.settle().expect("a close");
        talk.server.close();
        talk.settle().expect("a close");
        assert!(talk.client.is_whole() && talk.server.is_whole());
        talk.flights
    }
}

/// A request, and an answer of several records.
fn exchange(talk: &mut Talk, nth: u8) {
    let question: Vec<u8> = (0..300_u32).map(|at| at as u8 ^ nth).collect();
    let answer: Vec<u8> = (0..40_000_u32).map(|at| (at / 7) as u8 ^ nth).collect();
    talk.client.send(&question);
    talk.settle().expect("a request");
    assert_eq!(std::mem::take(talk.server.received()), question);
    talk.server.send(&answer);
    talk.settle().expect("an answer");
    assert_eq!(std::mem::take(talk.client.received()), answer);
}
