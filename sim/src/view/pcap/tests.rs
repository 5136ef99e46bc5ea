use super::*;
use crate::world::{Options, Outcome, run};
use std::collections::BTreeMap;

fn told(seed: u64) -> Outcome {
    run(seed, Options { story: Some(true), ..Options::default() })
}

/// Blocks of a pcapng file: their kind and body.
fn blocks(mut file: &[u8]) -> Vec<(u32, &[u8])> {
    let word = |bytes: &[u8]| u32::from_le_bytes(bytes[..4].try_into().expect("four bytes"));
    let mut all = Vec::new();
    while !file.is_empty() {
        let len = word(&file[4..]) as usize;
        assert_eq!(word(&file[len - 4..]) as usize, len, "the length stands at both ends");
        assert_eq!(len % 4, 0);
        all.push((word(file), &file[8..len - 4]));
        file = &file[len..];
    }
    all
}

// Headers add up, checksums are right, and each stream comes out whole, in order and once.
#[test]
fn packets_add_up_to_the_streams() {
    let outcome = told(5);
    let story = outcome.story.expect("a story");
    let file = capture(&story, None);
    let mut streams: BTreeMap<(SocketAddr, SocketAddr), (u32, Vec<u8>)> = BTreeMap::new();
    let all = blocks(&file);
    assert_eq!(all[0].0, 0x0a0d_0d0a);
    assert_eq!((all[1].0, all[2].0), (1, 1));
    let mut last = 0;
    for (kind, body) in &all[3..] {
        assert_eq!(*kind, 6);
        let word = |at: usize| u32::from_le_bytes(body[at..at + 4].try_into().expect("a word"));
        let at = u64::from(word(4)) << 32 | u64::from(word(8));
        assert!(at >= last, "time goes on");
        last = at;
        let frame = &body[20..20 + word(12) as usize];
        let (ip, tcp) = (&frame[14..34], &frame[34..]);
        assert_eq!(checksum(ip), 0, "a checksum over itself is none");
        let len = (tcp.len() as u16).to_be_bytes();
        let pseudo = [&ip[12..20], &[0, 6], &len, tcp].concat();
        assert_eq!(checksum(&pseudo), 0);
        let address = |ip: &[u8], port: &[u8]| {
            let ip: [u8; 4] = ip.try_into().expect("four bytes");
            SocketAddr::from((ip, u16::from_be_bytes([port[0], port[1]])))
        };
        let key = (address(&ip[12..16], &tcp[..2]), address(&ip[16..20], &tcp[2..4]));
        let sequence = u32::from_be_bytes(tcp[4..8].try_into().expect("a word"));
        let payload = &tcp[usize::from(tcp[12] >> 4) * 4..];
        let stream = streams.entry(key).or_default();
        if tcp[13] & SYN != 0 {
            stream.0 = sequence + 1;
        }
        if !payload.is_empty() {
            assert_eq!(sequence, stream.0 + stream.1.len() as u32, "no gap and no overlap");
            stream.1.extend(payload);
        }
    }
    let wire: usize = story
        .facts
        .iter()
        .map(|(_, fact)| match fact {
            Fact::Wire { bytes, .. } => bytes.len(),
            _ => 0,
        })
        .sum();
    assert!(wire > 1000);
    assert_eq!(streams.values().map(|(_, bytes)| bytes.len()).sum::<usize>(), wire);
}

// What was broken stands in the comment of a packet of its event.
#[test]
fn the_violation_is_a_comment() {
    let outcome = told(5);
    let story = outcome.story.expect("a story");
    let wires = story.facts.iter().filter(|(_, fact)| matches!(fact, Fact::Wire { .. }));
    let event = wires.map(|(event, _)| *event).nth(20).expect("a packet");
    let breach = crate::oracle::Breach { group: "bytes", rule: "RES-2", message: "gone".into() };
    let violation = Violation { breach, event: event.into(), at: 0 };
    let file = capture(&story, Some(&violation));
    let text = b"where RES-2 was broken: gone";
    assert!(file.windows(text.len()).any(|window| window == text));
}
