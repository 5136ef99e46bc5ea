//! The stand-ins by themselves.

use super::super::aead::{Cipher, NONCE_BYTES};
use super::super::hash::{Hash, mac};
use super::super::{Entropy, Ticketer, kx, sign};
use rustls::crypto::SupportedKxGroup;
use rustls::crypto::hash::Hash as _;
use rustls::server::ProducesTickets as _;
use std::collections::BTreeSet;

/// `bytes` with each of its bits flipped in turn.
fn flipped(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..bytes.len() * 8).map(|bit| {
        let mut other = bytes.to_vec();
        other[bit / 8] ^= 1 << (bit % 8);
        other
    })
}

fn hash(bytes: &[u8]) -> Vec<u8> {
    Hash.hash(bytes).as_ref().to_vec()
}

#[test]
fn every_bit_and_the_length_matter_to_the_hash() {
    let mut seen = BTreeSet::new();
    let mut count = 0;
    for length in 0..100 {
        // Zeros, that differ in nothing but their number.
        let zeros = vec![0; length];
        for other in flipped(&zeros).chain([zeros.clone()]) {
            count += 1;
            let hash = hash(&other);
            // Halves differ too: a tag or a nonce is a part.
            assert!(seen.insert(hash[..8].to_vec()), "{length}");
            assert!(seen.insert(hash[24..].to_vec()), "{length}");
        }
    }
    assert_eq!(seen.len(), 2 * count);
}

#[test]
fn the_hash_does_not_depend_on_how_its_input_is_cut() {
    let bytes: Vec<u8> = (0..100).collect();
    for first in 0..100 {
        for second in [first, (first + 1).min(100), (first + 40).min(100), 100] {
            let mut context = Hash.start();
            context.update(&bytes[..first]);
            let mut fork = context.fork();
            context.update(&bytes[first..second]);
            context.update(&bytes[second..]);
            assert_eq!(context.fork_finish().as_ref(), hash(&bytes));
            assert_eq!(context.finish().as_ref(), hash(&bytes));
            fork.update(&bytes[first..]);
            assert_eq!(fork.finish().as_ref(), hash(&bytes));
        }
    }
}

#[test]
fn a_key_does_not_run_into_its_message() {
    assert_ne!(mac(b"ab", &[b"c"]), mac(b"a", &[b"bc"]));
    assert_ne!(mac(b"ab", &[b"c"]), mac(b"ab", &[b"d"]));
    assert_eq!(mac(b"ab", &[b"c", b"d"]), mac(b"ab", &[b"cd"]));
}

#[test]
fn a_sealed_message_opens_with_what_it_was_sealed_with_alone() {
    let (key, nonce, aad) = ([3; 16], [5; NONCE_BYTES], [7; 13]);
    for length in [0, 1, 31, 32, 33, 100] {
        let plain: Vec<u8> = (0..length).collect();
        let mut sealed = plain.clone();
        let tag = Cipher::new(&key).seal(&nonce, &aad, &mut sealed);
        assert!(length < 8 || sealed != plain, "it is hidden");
        let open =
            |key: &[u8], nonce: &[u8; NONCE_BYTES], aad: &[u8], sealed: &[u8], tag: &[u8]| {
                let mut content = sealed.to_vec();
                let is_good = Cipher::new(key).open(nonce, aad, &mut content, tag);
                is_good.then_some(content)
            };
        assert_eq!(open(&key, &nonce, &aad, &sealed, &tag), Some(plain));
        for key in flipped(&key) {
            assert_eq!(open(&key, &nonce, &aad, &sealed, &tag), None);
        }
        for nonce in flipped(&nonce) {
            let nonce = nonce.try_into().expect("a nonce");
            assert_eq!(open(&key, &nonce, &aad, &sealed, &tag), None);
        }
        for aad in flipped(&aad) {
            assert_eq!(open(&key, &nonce, &aad, &sealed, &tag), None);
        }
        for sealed in flipped(&sealed) {
            assert_eq!(open(&key, &nonce, &aad, &sealed, &tag), None);
        }
        for tag in flipped(&tag) {
            assert_eq!(open(&key, &nonce, &aad, &sealed, &tag), None);
        }
        assert_eq!(open(&key, &nonce, &aad[1..], &sealed, &tag), None);
        assert_eq!(open(&key, &nonce, &aad, &sealed, &tag[1..]), None);
    }
}

#[test]
fn shares_agree_and_every_bit_of_them_matters() {
    let groups: [(&dyn SupportedKxGroup, usize); 2] = [(&kx::X25519, 32), (&kx::Secp256r1, 65)];
    for (group, length) in groups {
        let start =
            |connection| Entropy::new(1, connection).lend(|| group.start().expect("a share"));
        let [one, two] = [start(1).pub_key().to_vec(), start(2).pub_key().to_vec()];
        assert_eq!((one.len(), two.len()), (length, length));
        assert_ne!(one, two);
        let shared = start(1).complete(&two).expect("a secret").secret_bytes().to_vec();
        assert_eq!(shared.len(), 32);
        assert_eq!(shared, start(2).complete(&one).expect("a secret").secret_bytes());
        for bad in flipped(&two) {
            // Refused, or another secret.
            if let Ok(other) = start(1).complete(&bad) {
                assert_ne!(other.secret_bytes(), shared);
            }
        }
        // A peer may send anything.
        for bad in [&[][..], &two[1..], &[0; 32], &[0; 65], &[4; 65], &[0; 200]] {
            assert!(start(1).complete(bad).is_err(), "{bad:?}");
        }
    }
}

#[test]
fn a_signature_depends_on_key_and_message() {
    let (key, message) = (b"a public key", b"a transcript of some length");
    let good = sign::signature(key, message);
    assert_ne!(good[..32], good[32..]);
    for key in flipped(key) {
        assert_ne!(sign::signature(&key, message), good);
    }
    for message in flipped(message) {
        assert_ne!(sign::signature(key, &message), good);
    }
}

#[test]
fn tickets_are_deterministic_and_authenticated() {
    let ticketer = Ticketer::new([1; 32]);
    for plain in [&b""[..], b"x", b"a session of a good length, with a secret"] {
        let ticket = ticketer.encrypt(plain).expect("a ticket");
        assert_eq!(ticketer.encrypt(plain).as_ref(), Some(&ticket));
        assert_eq!(Ticketer::new([1; 32]).decrypt(&ticket).as_deref(), Some(plain));
        assert_eq!(Ticketer::new([2; 32]).decrypt(&ticket), None);
        for bad in flipped(&ticket) {
            assert_eq!(ticketer.decrypt(&bad), None);
        }
        for length in 0..ticket.len() {
            assert_eq!(ticketer.decrypt(&ticket[..length]), None);
        }
    }
    assert_ne!(
        ticketer.encrypt(b"one").expect("a ticket")[..NONCE_BYTES],
        ticketer.encrypt(b"two").expect("a ticket")[..NONCE_BYTES]
    );
}
