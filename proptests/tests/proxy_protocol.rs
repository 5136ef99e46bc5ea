//! PROXY headers: what is written is read back, and cuts, surplus and damage change nothing that
//! they should not (PP-1).

mod support;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use support::{Bytes, run_of};
use tidegate_core::proxy_protocol::{
    Announced, HEADER_BYTES_MAX, LINE_BYTES_MAX, Parsed, TLV_BYTES_MAX, Version, parse, write,
};

fn addr() -> impl Strategy<Value = IpAddr> {
    let v4 = any::<[u8; 4]>().prop_map(Ipv4Addr::from);
    let sparse = vec(prop_oneof![3 => Just(0_u16), 1 => any::<u16>()], 8)
        .prop_map(|groups| <[u16; 8]>::try_from(groups).expect("eight").into());
    prop_oneof![
        2 => v4.clone().prop_map(IpAddr::V4),
        1 => v4.prop_map(|addr| IpAddr::V6(addr.to_ipv6_mapped())),
        1 => any::<[u8; 16]>().prop_map(|octets| IpAddr::V6(octets.into())),
        1 => sparse.prop_map(|addr: Ipv6Addr| IpAddr::V6(addr)),
    ]
}

fn socket() -> impl Strategy<Value = SocketAddr> {
    (addr(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

fn addresses() -> impl Strategy<Value = Option<(SocketAddr, SocketAddr)>> {
    prop::option::weighted(0.9, (socket(), socket()))
}

/// TLVs that stay as they are: neither a checksum nor padding.
fn tlvs() -> impl Strategy<Value = Vec<u8>> {
    let kind = any::<u8>().prop_map(|kind| if matches!(kind, 3 | 4) { 0xe0 } else { kind });
    let tlv = (kind, prop_oneof![9 => vec(any::<u8>(), 0..40), 1 => vec(any::<u8>(), 0..999)]);
    vec(tlv, 0..9).prop_map(|all| {
        let mut bytes = Vec::new();
        for (kind, value) in all {
            if bytes.len() + 3 + value.len() <= TLV_BYTES_MAX {
                bytes.push(kind);
                bytes.extend_from_slice(&(value.len() as u16).to_be_bytes());
                bytes.extend_from_slice(&value);
            }
        }
        bytes
    })
}

fn version() -> impl Strategy<Value = Version> {
    select(vec![Version::V1, Version::V2])
}

/// Both of one family, as they are written.
fn agreed((source, destination): (SocketAddr, SocketAddr)) -> (SocketAddr, SocketAddr) {
    let canonical = |at: SocketAddr| SocketAddr::new(at.ip().to_canonical(), at.port());
    let mapped = |at: SocketAddr| match at.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), at.port()),
        IpAddr::V6(_) => at,
    };
    let both = (canonical(source), canonical(destination));
    if both.0.is_ipv4() && both.1.is_ipv4() { both } else { (mapped(source), mapped(destination)) }
}

/// Checks what holds of all bytes whatsoever: once a prefix has decided, no more bytes change it.
fn decided_once(bytes: &[u8]) -> Result<Parsed, TestCaseError> {
    let whole = parse(bytes);
    let mut has_decided = false;
    for cut in 0..=bytes.len() {
        let parsed = parse(&bytes[..cut]);
        if let Parsed::Complete { len, .. } = parsed {
            prop_assert!(0 < len && len <= cut && len <= HEADER_BYTES_MAX);
        }
        match parsed {
            Parsed::More => {
                prop_assert!(!has_decided, "at {}", cut);
                prop_assert!(cut < HEADER_BYTES_MAX);
                prop_assert!(bytes.first() != Some(&b'P') || cut < LINE_BYTES_MAX);
            }
            parsed => {
                prop_assert_eq!(&parsed, &whole, "at {}", cut);
                has_decided = true;
            }
        }
    }
    Ok(whole)
}

/// Bytes that often come far: headers with damage.
fn damaged() -> impl Strategy<Value = Bytes> {
    let damage =
        vec((any::<Index>(), prop_oneof![any::<u8>(), select(b"PU: .0\r\n\x21".to_vec())]), 0..4);
    let block = prop_oneof![
        vec(any::<u8>(), 0..60),
        vec(prop_oneof![4 => 0..5_u8, 1 => any::<u8>()], 0..300),
    ];
    let family =
        prop_oneof![9 => select(b"\x00\x11\x12\x21\x22\x31\x32".to_vec()), 1 => any::<u8>()];
    let binary = (select(vec![0x20, 0x21]), family, block).prop_map(|(command, family, block)| {
        let mut bytes = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
        bytes.extend_from_slice(&[command, family]);
        bytes.extend_from_slice(&(block.len() as u16).to_be_bytes());
        bytes.extend_from_slice(&block);
        bytes
    });
    let words = select(vec![
        "TCP4",
        "TCP6",
        "UNKNOWN",
        " ",
        " ",
        "\r\n",
        "1.2.3.4",
        "::1",
        "::ffff:1.2.3.4",
        "0",
        "80",
        "65535",
        "65536",
        "x",
        "\r",
        "\n",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    ]);
    let line = vec(words, 0..14).prop_map(|words| format!("PROXY {}", words.concat()).into_bytes());
    let good = (version(), addresses(), tlvs()).prop_map(|(version, addresses, tlvs)| {
        let mut bytes = Vec::new();
        write(&mut bytes, version, addresses, &tlvs);
        bytes
    });
    let bytes = prop_oneof![good, binary, line, vec(any::<u8>(), 0..20)];
    (bytes, damage, vec(any::<u8>(), 0..9)).prop_map(|(mut bytes, damage, surplus)| {
        for (at, byte) in damage {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        bytes.extend_from_slice(&surplus);
        Bytes(bytes)
    })
}

proptest! {
    #![proptest_config(run_of(2000))]

    // PP-1: a written header is read back whole, and bytes behind it are not touched.
    #[test]
    fn what_is_written_is_read(
        version in version(),
        addresses in addresses(),
        tlvs in tlvs(),
        surplus in vec(any::<u8>(), 0..40),
    ) {
        let mut bytes = Vec::new();
        write(&mut bytes, version, addresses, &tlvs);
        let len = bytes.len();
        bytes.extend_from_slice(&surplus);
        let tlvs = if version == Version::V1 { Vec::new() } else { tlvs };
        let header = Announced { addresses: addresses.map(agreed), tlvs: tlvs.into() };
        let expected = Parsed::Complete { len, header };
        prop_assert_eq!(decided_once(&bytes)?, expected);
    }

    // PP-1: any bytes, cut anywhere: one answer, and within the limits. What is accepted can be
    // sent on, and says the same there.
    #[test]
    fn any_bytes_are_decided_once(bytes in damaged()) {
        if let Parsed::Complete { header, .. } = decided_once(&bytes.0)? {
            let mut relayed = Vec::new();
            write(&mut relayed, Version::V2, header.addresses, &header.tlvs);
            let len = relayed.len();
            let header = Announced { addresses: header.addresses.map(agreed), ..header };
            prop_assert_eq!(parse(&relayed), Parsed::Complete { len, header });
        }
    }
}
