//! Content matters: no flipped bit gets through, under the stand-ins as under the real thing.

use super::super::{Provider, Versions};
use super::{Script, Talk, run};
use rustls::Error;

const HEADER_BYTES: usize = 5;

fn scripts() -> impl Iterator<Item = Script> {
    Script::all().into_iter().filter(|script| !script.resumed)
}

/// The bodies of the records in `wire`, as ranges.
fn records(wire: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut records = Vec::new();
    let mut at = 0;
    while at < wire.len() {
        let body = at + HEADER_BYTES;
        let length = usize::from(u16::from_be_bytes([wire[at + 3], wire[at + 4]]));
        records.push(body..body + length);
        at = body + length;
    }
    records
}

/// A connection, and three records of data that its client has sent and its server not yet seen.
fn with_data(provider: Provider, script: Script) -> (Talk, Vec<u8>) {
    let (client, server) = script.configs(&run(provider));
    let mut talk = Talk::new(&client, &server, "a.example", 9, 1);
    talk.settle().expect("a handshake");
    let mut wire = Vec::new();
    for length in [1, 61, 200] {
        talk.client.send(&vec![b'x'; length]);
        talk.client.take_output(&mut wire);
    }
    assert_eq!(records(&wire).len(), 3);
    (talk, wire)
}

#[test]
fn every_flipped_bit_of_a_protected_record_is_an_error() {
    let scripts = [Versions::Tls12, Versions::Tls13]
        .map(|versions| scripts().find(|s| s.versions == versions).expect("a script"));
    for script in scripts {
        let (_, wire) = with_data(Provider::Fast, script);
        for body in records(&wire) {
            for at in body {
                for bit in 0..8 {
                    let (mut talk, mut wire) = with_data(Provider::Fast, script);
                    wire[at] ^= 1 << bit;
                    let result = talk.server.receive(&wire);
                    assert_eq!(result, Err(Error::DecryptError), "{script:?} {at} {bit}");
                }
            }
        }
    }
}

#[test]
fn records_cannot_be_dropped_or_swapped() {
    for script in scripts() {
        let (mut talk, wire) = with_data(Provider::Fast, script);
        let ends: Vec<usize> = records(&wire).iter().map(|body| body.end).collect();
        assert_eq!(talk.server.receive(&wire[ends[0]..]), Err(Error::DecryptError));
        let (mut talk, wire) = with_data(Provider::Fast, script);
        let swapped = [&wire[ends[0]..ends[1]], &wire[..ends[0]]].concat();
        assert_eq!(talk.server.receive(&swapped), Err(Error::DecryptError));
    }
}

/// Shakes hands, with one bit flipped in the record bodies of flight number `flight`. Whether both
/// ends believe that all is well.
fn survives(provider: Provider, script: Script, flight: usize, at: usize, bit: u8) -> bool {
    let (client, server) = script.configs(&run(provider));
    let mut talk = Talk::new(&client, &server, "a.example", 9, 1);
    for number in 0.. {
        let (from, to) = match number % 2 {
            0 => (&mut talk.client, &mut talk.server),
            _ => (&mut talk.server, &mut talk.client),
        };
        let mut wire = Vec::new();
        from.take_output(&mut wire);
        if wire.is_empty() {
            assert!(number > flight, "the flight was sent");
            break;
        }
        if number == flight {
            wire[at] ^= 1 << bit;
        }
        if to.receive(&wire).is_err() {
            return false;
        }
    }
    [talk.client, talk.server].iter().all(|end| !end.connection().is_handshaking())
}

/// Hellos, key shares, certificates, signatures, finished messages: whatever is changed on the
/// way, no handshake completes on both sides. Both providers agree on it.
#[test]
fn no_handshake_survives_a_flipped_bit() {
    for script in scripts() {
        let (client, server) = script.configs(&run(Provider::Fast));
        let mut talk = Talk::new(&client, &server, "a.example", 9, 1);
        talk.settle().expect("a handshake");
        for (flight, wire) in talk.flights.iter().enumerate() {
            let bodies: Vec<usize> = records(wire)
                .into_iter()
                // The body of a ChangeCipherSpec is compared with 1, and so any flip is an error.
                .flatten()
                .collect();
            for (nth, at) in bodies.iter().enumerate().step_by(7) {
                let bit = (nth % 8) as u8;
                assert!(
                    !survives(Provider::Fast, script, flight, *at, bit),
                    "{script:?}: flight {flight}, byte {at}, bit {bit}"
                );
            }
            let at = bodies[bodies.len() / 2];
            assert!(!survives(Provider::Real, script, flight, at, 0));
        }
    }
}
