//! Version 2: 2.2.

use super::super::crc32c::crc32c;
use super::super::v2::FIXED_BYTES;
use super::*;

const IPV4: &str = "c0a80001 c0a8000b dc04 01bb";
const IPV6: &str = "20010db8000000000000000000000001 00000000000000000000ffff01020304 0001 ffff";

fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    let len = (value.len() as u16).to_be_bytes();
    [&[kind][..], &len, value].concat()
}

/// A header with a right checksum between `before` and `after`.
fn with_checksum(family: u8, before: &[u8], after: &[u8]) -> Vec<u8> {
    let mut bytes = v2_of(0x21, family, &[before, &tlv(3, &[0; 4]), after].concat());
    let sum = crc32c([&bytes]).to_be_bytes();
    let at = FIXED_BYTES + before.len() + 3;
    bytes[at..at + 4].copy_from_slice(&sum);
    bytes
}

// The layout of 2.2, byte by byte.
#[test]
fn a_header_as_the_specification_lays_it_out() {
    let bytes = hex(&format!("0d0a0d0a000d0a515549540a 21 11 000c {IPV4}"));
    let header = header_of(&bytes);
    assert_eq!(header.addresses, Some((at("192.168.0.1:56324"), at("192.168.0.11:443"))));
    let bytes = hex(&format!("0d0a0d0a000d0a515549540a 21 21 0028 {IPV6} 04 0001 00"));
    let header = header_of(&bytes);
    let expected = (at("[2001:db8::1]:1"), at("[::ffff:1.2.3.4]:65535"));
    assert_eq!(header, Announced { addresses: Some(expected), tlvs: [].into() });
}

// As HAProxy 2.6 sent them (`send-proxy-v2 proxy-v2-options crc32c,unique-id`).
#[test]
fn headers_of_haproxy() {
    for (digits, source, destination) in [
        (
            "0d0a0d0a000d0a515549540a211100167f0000017f000001a3fe4971030004cea84f6d050000",
            "127.0.0.1:41982",
            "127.0.0.1:18801",
        ),
        (
            "0d0a0d0a000d0a515549540a2121002e20010db80000000000000000000000010000000000000000\
             0000ffff0102030400010002030004d503f122050000",
            "[2001:db8::1]:1",
            "[::ffff:1.2.3.4]:2",
        ),
    ] {
        let bytes = hex(digits);
        let header = header_of(&bytes);
        assert_eq!(header.addresses, Some((at(source), at(destination))));
        assert_eq!(*header.tlvs, [5, 0, 0], "the checksum is taken out");
        // 2.2.3: any change of a byte behind the fixed ones shows, unless it hides the checksum.
        let checksum_at = bytes.len() - 10;
        assert_eq!(bytes[checksum_at], 3);
        for at in (FIXED_BYTES..bytes.len()).filter(|at| *at != checksum_at) {
            let mut changed = bytes.clone();
            changed[at] ^= 0x40;
            assert!(matches!(parse(&changed), Parsed::Refused(_)), "{at}");
        }
    }
}

// PP-1: who speaks for itself or says nothing is taken for what the connection shows.
#[test]
fn headers_without_addresses() {
    let tlvs = [tlv(1, b"h2"), tlv(0xe0, b"")].concat();
    // LOCAL: family and block mean nothing, not even a wrong checksum or half a TLV.
    for family in [0x00, 0x11, 0x21, 0x31, 0x99, 0xff] {
        for block in [&b""[..], &[0], &[0xff; 3], &tlvs, &tlv(3, b"oops"), &[7; 2032]] {
            assert_eq!(header_of(&v2_of(0x20, family, block)), Announced::default());
        }
    }
    // UDP and Unix are skipped by their lengths, and TLVs behind them kept.
    for (family, addresses) in [(0x00, 0), (0x12, 12), (0x22, 36), (0x31, 216), (0x32, 216)] {
        for tlvs in [&b""[..], &tlvs] {
            let block = [&vec![0xff; addresses], tlvs].concat();
            let header = header_of(&v2_of(0x21, family, &block));
            assert_eq!(header, Announced { addresses: None, tlvs: tlvs.into() }, "{family:x}");
        }
    }
}

// PP-1: TLVs are kept as they came, but for what ends with this hop.
#[test]
fn tlvs_are_kept_in_order() {
    let ssl = tlv(0x20, &[&[1, 0, 0, 0, 0][..], &tlv(0x21, b"TLSv1.3")].concat());
    let (name, noop, own) = (tlv(2, b"a.example"), tlv(4, &[0; 9]), tlv(0xff, &[0xff; 300]));
    let addresses = hex(IPV6);
    for list in [
        vec![],
        vec![&noop],
        vec![&name],
        vec![&own, &name, &name, &ssl],
        vec![&noop, &ssl, &noop, &own, &noop],
    ] {
        let kept: Vec<&[u8]> =
            list.iter().filter(|tlv| **tlv != &noop).map(|tlv| &***tlv).collect();
        let all: Vec<&[u8]> = list.iter().map(|tlv| &***tlv).collect();
        let block = [addresses.clone(), all.concat()].concat();
        assert_eq!(*header_of(&v2_of(0x21, 0x21, &block)).tlvs, kept.concat());
        for split in 0..=list.len() {
            let before = [addresses.clone(), all[..split].concat()].concat();
            let bytes = with_checksum(0x21, &before, &all[split..].concat());
            assert_eq!(*header_of(&bytes).tlvs, kept.concat());
        }
    }
}

#[test]
fn malformed_fixed_bytes() {
    use Malformed::*;
    let starting = |rest: &[u8]| [&v2::SIGNATURE, rest].concat();
    for byte in 0..=u8::MAX {
        match byte {
            0x20 | 0x21 => {}
            0x22..=0x2f => refused_at_end(&starting(&[byte]), Command),
            _ => refused_at_end(&starting(&[byte]), Version),
        }
        if ![0x00, 0x11, 0x12, 0x21, 0x22, 0x31, 0x32].contains(&byte) {
            refused_at_end(&starting(&[0x21, byte]), Family);
        }
    }
    for (family, addresses) in [(0x11, 12), (0x12, 12), (0x21, 36), (0x22, 36), (0x31, 216)] {
        for short in [0, 1, addresses - 1] {
            refused_at_end(&starting(&[0x21, family, 0, short]), TooShort);
        }
    }
    for command in [0x20, 0x21] {
        for high in [8, 9, 0x80, 0xff] {
            refused_at_end(&starting(&[command, 0, high]), TooLong);
        }
        refused_at_end(&starting(&[command, 0x21, 0x07, 0xf1]), TooLong);
    }
}

#[test]
fn the_longest_headers() {
    let long = |family, addresses: usize, tlvs: usize| {
        v2_of(0x21, family, &[vec![0; addresses], tlv(0xe0, &vec![9; tlvs - 3])].concat())
    };
    assert_eq!(long(0x21, 36, TLV_BYTES_MAX).len(), HEADER_BYTES_MAX);
    for (family, addresses) in [(0x00, 0), (0x11, 12), (0x12, 12), (0x21, 36), (0x22, 36)] {
        assert_eq!(header_of(&long(family, addresses, TLV_BYTES_MAX)).tlvs.len(), TLV_BYTES_MAX);
        // Refused as soon as its length is known.
        let longer = long(family, addresses, TLV_BYTES_MAX + 1);
        refused_at_end(&longer[..FIXED_BYTES], Malformed::TooLong);
    }
    let most = HEADER_BYTES_MAX - FIXED_BYTES - 216;
    assert_eq!(header_of(&long(0x31, 216, most)).tlvs.len(), most);
    refused_at_end(&long(0x31, 216, most + 1)[..FIXED_BYTES], Malformed::TooLong);
    assert_eq!(header_of(&v2_of(0x20, 0, &[1; 2032])), Announced::default());
}

#[test]
fn malformed_tlvs() {
    use Malformed::*;
    let good = tlv(1, b"h2");
    let sum = tlv(3, &[0; 4]);
    for (tlvs, why) in [
        (vec![0], Tlv),
        (vec![1, 0], Tlv),
        (vec![1, 0, 1], Tlv),
        (vec![1, 1, 0, 0], Tlv),
        (vec![4, 0xff, 0xff], Tlv),
        ([&good[..], &[1]].concat(), Tlv),
        ([&good[..], &good[..good.len() - 1]].concat(), Tlv),
        (vec![3, 0, 4, 0, 0, 0], Tlv),
        (sum.clone(), Checksum),
        (tlv(3, b""), Checksum),
        (tlv(3, &[0; 3]), Checksum),
        (tlv(3, &[0; 5]), Checksum),
        ([&sum[..], &sum].concat(), Checksum),
    ] {
        for (family, addresses) in [(0x00, 0), (0x11, 12), (0x21, 36), (0x32, 216)] {
            let block = [&vec![0; addresses][..], &tlvs].concat();
            refused_at_end(&v2_of(0x21, family, &block), why);
        }
    }
    // 2.2.3: a second one is refused even if it is right with the first in place.
    let once = with_checksum(0x11, &hex(IPV4), &[]);
    assert!(matches!(parse(&once), Parsed::Complete { .. }));
    let twice = with_checksum(0x11, &once[FIXED_BYTES..], &[]);
    refused_at_end(&twice, Checksum);
}

// RFC 9260 and RFC 3720 B.4 give these.
#[test]
fn checksums_of_others() {
    assert_eq!(crc32c([]), 0);
    assert_eq!(crc32c([b"123456789"]), 0xe306_9283);
    assert_eq!(crc32c([b"123", b"", b"456789"]), 0xe306_9283);
    assert_eq!(crc32c([&[0; 32]]), 0x8a91_36aa);
    assert_eq!(crc32c([&[0xff; 32]]), 0x62a8_ab43);
}
