//! What is sent (PP-1), byte for byte.

use super::*;

fn written(version: Version, addresses: Option<(SocketAddr, SocketAddr)>, tlvs: &[u8]) -> Vec<u8> {
    // What is in the buffer already stays.
    let mut out = b"before".to_vec();
    write(&mut out, version, addresses, tlvs);
    assert_eq!(&out[..6], b"before");
    out.split_off(6)
}

#[test]
fn lines() {
    for (source, destination, line) in [
        ("192.168.0.1:56324", "192.168.0.11:443", "TCP4 192.168.0.1 192.168.0.11 56324 443"),
        ("[2001:db8::1]:0", "[::1]:65535", "TCP6 2001:db8::1 ::1 0 65535"),
        // What a listener on both families sees of IPv4.
        ("[::ffff:1.2.3.4]:1", "[::ffff:5.6.7.8]:2", "TCP4 1.2.3.4 5.6.7.8 1 2"),
        ("[::ffff:1.2.3.4]:1", "5.6.7.8:2", "TCP4 1.2.3.4 5.6.7.8 1 2"),
        ("1.2.3.4:1", "[2001:db8::1]:2", "TCP6 ::ffff:102:304 2001:db8::1 1 2"),
        ("[2001:db8::1]:1", "[::ffff:0.0.0.4]:2", "TCP6 2001:db8::1 ::ffff:0:4 1 2"),
        ("[fe80::1%3]:1", "[fe80::2%3]:2", "TCP6 fe80::1 fe80::2 1 2"),
    ] {
        let addresses = Some((at(source), at(destination)));
        let bytes = written(Version::V1, addresses, b"\xe0\0\0");
        assert_eq!(String::from_utf8(bytes).unwrap(), format!("PROXY {line}\r\n"));
    }
    assert_eq!(written(Version::V1, None, b"\xe0\0\0"), b"PROXY UNKNOWN\r\n");
}

#[test]
fn binary_headers() {
    let v4 = "01020304 05060708 0001 0002";
    let mixed = "00000000000000000000ffff01020304 20010db8000000000000000000000001 0001 0002";
    for (source, destination, rest) in [
        ("1.2.3.4:1", "5.6.7.8:2", format!("11 000f {v4}")),
        ("[::ffff:1.2.3.4]:1", "[::ffff:5.6.7.8]:2", format!("11 000f {v4}")),
        ("1.2.3.4:1", "[2001:db8::1]:2", format!("21 0027 {mixed}")),
    ] {
        let addresses = Some((at(source), at(destination)));
        let bytes = written(Version::V2, addresses, b"\xe0\0\0");
        assert_eq!(bytes, hex(&format!("0d0a0d0a000d0a515549540a 21 {rest} e00000")));
    }
    let nothing = written(Version::V2, None, b"");
    assert_eq!(nothing, hex("0d0a0d0a000d0a515549540a 21 00 0000"));
    // The TLVs of a header without addresses are relayed all the same.
    let relayed = written(Version::V2, None, b"\xe0\0\x01x");
    assert_eq!(relayed, hex("0d0a0d0a000d0a515549540a 21 00 0004 e0000178"));
    assert_eq!(*header_of(&relayed).tlvs, *b"\xe0\0\x01x");
}

// PP-1: whatever is accepted can be relayed, with any addresses, and is the same behind.
#[test]
fn the_longest_tlvs_fit() {
    let len = (TLV_BYTES_MAX as u16 - 3).to_be_bytes();
    let tlvs = [&[0xe1, len[0], len[1]][..], &[5; TLV_BYTES_MAX - 3]].concat();
    let header = header_of(&v2_of(0x21, 0, &tlvs));
    let v6 = at("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
    for addresses in [None, Some((at("1.2.3.4:1"), at("1.2.3.4:2"))), Some((v6, v6))] {
        let bytes = written(Version::V2, addresses, &header.tlvs);
        assert!(bytes.len() <= HEADER_BYTES_MAX);
        assert_eq!(header_of(&bytes), Announced { addresses, tlvs: header.tlvs.clone() });
        assert!(written(Version::V1, addresses, &header.tlvs).len() <= LINE_BYTES_MAX);
    }
}

#[test]
#[should_panic(expected = "TLVs were bounded")]
fn more_tlvs_than_are_read_are_our_own_mistake() {
    write(&mut Vec::new(), Version::V1, None, &[0; TLV_BYTES_MAX + 1]);
}
