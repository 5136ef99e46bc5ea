//! Version 1: 2.1.

use super::*;

#[test]
fn lines_with_addresses() {
    let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    let longest_line = format!("TCP6 {longest} {longest} 65535 65535");
    assert_eq!(longest_line.len() + "PROXY \r\n".len(), 104);
    let (longest, full) = (format!("[{longest}]:65535"), "0000:0000:0000:0000:0000:0000:0000:0001");
    for (line, source, destination) in [
        // The example of 2.1.
        ("TCP4 192.168.0.1 192.168.0.11 56324 443", "192.168.0.1:56324", "192.168.0.11:443"),
        (
            "TCP4 255.255.255.255 255.255.255.255 65535 65535",
            "255.255.255.255:65535",
            "255.255.255.255:65535",
        ),
        ("TCP4 0.0.0.0 1.2.3.4 0 9", "0.0.0.0:0", "1.2.3.4:9"),
        ("TCP6 :: ::1 0 1", "[::]:0", "[::1]:1"),
        ("TCP6 2001:DB8::a 2001:db8::A 1 2", "[2001:db8::a]:1", "[2001:db8::a]:2"),
        (&format!("TCP6 {full} ::1 1 2"), "[::1]:1", "[::1]:2"),
        (&longest_line, &longest, &longest),
        // As HAProxy writes a pair of which one is IPv4.
        ("TCP6 2001:db8::1 ::ffff:1.2.3.4 1 2", "[2001:db8::1]:1", "[::ffff:1.2.3.4]:2"),
        ("TCP6 ::ffff:102:304 ::1 1 2", "[::ffff:1.2.3.4]:1", "[::1]:2"),
    ] {
        let header = header_of(format!("PROXY {line}\r\n").as_bytes());
        assert_eq!(header.addresses, Some((at(source), at(destination))), "{line}");
        assert!(header.tlvs.is_empty());
    }
}

#[test]
fn unknown_lines_say_nothing() {
    // The worst case of 2.1 fills the limit.
    let fields = format!(" {0} {0} 65535 65535", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    let most = "x".repeat(LINE_BYTES_MAX - "PROXY UNKNOWN \r\n".len());
    assert_eq!(fields.len(), most.len() + 1);
    for tail in ["", " ", &fields, " 1.2.3.4 1.2.3.4 1 2", " \0\u{ff} \t", &format!(" {most}")] {
        let header = header_of(format!("PROXY UNKNOWN{tail}\r\n").as_bytes());
        assert_eq!(header, Announced::default(), "{tail}");
    }
}

#[test]
fn malformed_words_and_addresses() {
    use Malformed::*;
    // Each is refused at its last byte.
    for (line, why) in [
        // One space, and these words.
        (" ", Family),
        ("\r", Family),
        ("t", Family),
        ("TCP5", Family),
        ("TCP ", Family),
        ("TCP46", Family),
        ("TCP4\r", Family),
        ("UD", Family),
        ("Un", Family),
        ("UNKNOWNS", Family),
        ("UNKNOWN\n", Family),
        // Addresses.
        ("TCP4  ", Address),
        ("TCP4 a", Address),
        ("TCP4 :", Address),
        ("TCP4 -", Address),
        ("TCP4 1.2.3 ", Address),
        ("TCP4 1.2.3.4.5 ", Address),
        ("TCP4 1.2.3.256 ", Address),
        ("TCP4 01.2.3.4 ", Address),
        ("TCP4 1.2.3.04 ", Address),
        ("TCP4 1..3.4 ", Address),
        ("TCP4 1.2.3.4\t", Address),
        ("TCP4 1.2.3.4\r", Address),
        ("TCP4 1.2.3.4,", Address),
        ("TCP4 1234567890123456", Address),
        ("TCP4 1.2.3.4  ", Address),
        ("TCP4 1.2.3.4 1.2.3 ", Address),
        ("TCP4 1.2.3.4 1.2.3.4\r", Address),
        ("TCP6 1.2.3.4 ", Address),
        ("TCP6 g", Address),
        ("TCP6 [", Address),
        ("TCP6 ::%", Address),
        ("TCP6 ::1/", Address),
        ("TCP6 ::1:: ", Address),
        ("TCP6 :::1 ", Address),
        ("TCP6 1:2:3:4:5:6:7 ", Address),
        ("TCP6 1:2:3:4:5:6:7:8:9 ", Address),
        ("TCP6 1:2:3:4:5:6:7::8 ", Address),
        ("TCP6 12345::1 ", Address),
        ("TCP6 ::1 1.2.3.4 ", Address),
        ("TCP6 0000000000:0000000000:0000000000:0000000000:00", Address),
    ] {
        refused_at_end(format!("PROXY {line}").as_bytes(), why);
    }
}

#[test]
fn malformed_ports_and_ends() {
    use Malformed::*;
    for (line, why) in [
        // Ports.
        ("TCP4 1.2.3.4 1.2.3.4  ", Port),
        ("TCP4 1.2.3.4 1.2.3.4 -", Port),
        ("TCP4 1.2.3.4 1.2.3.4 +", Port),
        ("TCP4 1.2.3.4 1.2.3.4 00 ", Port),
        ("TCP4 1.2.3.4 1.2.3.4 080 ", Port),
        ("TCP4 1.2.3.4 1.2.3.4 65536 ", Port),
        ("TCP4 1.2.3.4 1.2.3.4 000000", Port),
        ("TCP4 1.2.3.4 1.2.3.4 1\r", Port),
        ("TCP4 1.2.3.4 1.2.3.4 1  ", Port),
        ("TCP4 1.2.3.4 1.2.3.4 1 \r", Port),
        ("TCP4 1.2.3.4 1.2.3.4 1 02\r", Port),
        ("TCP6 ::1 ::1 1 99999\r", Port),
        // The end.
        ("TCP4 1.2.3.4 1.2.3.4 1 2 ", LineEnd),
        ("TCP4 1.2.3.4 1.2.3.4 1 2\n", LineEnd),
        ("TCP4 1.2.3.4 1.2.3.4 1 2\r\r", LineEnd),
        ("TCP4 1.2.3.4 1.2.3.4 1 2\rG", LineEnd),
        ("UNKNOWN\r\r", LineEnd),
        ("UNKNOWN \n", LineEnd),
        ("UNKNOWN a b\rc", LineEnd),
    ] {
        refused_at_end(format!("PROXY {line}").as_bytes(), why);
    }
}

// 2.1: what has no CR LF within 107 bytes is refused at the 107th.
#[test]
fn lines_end_in_time() {
    let unknown = |len: usize| format!("PROXY UNKNOWN {}", "x".repeat(len - 14));
    refused_at_end(unknown(LINE_BYTES_MAX).as_bytes(), Malformed::TooLong);
    let late = format!("{}\r", unknown(LINE_BYTES_MAX - 1));
    refused_at_end(late.as_bytes(), Malformed::TooLong);
    let mapped = "0000:0000:0000:0000:0000:ffff:255.255.255.255";
    let long = format!("PROXY TCP6 {mapped} {mapped} 65535 65535\r\n");
    refused_at_end(&long.as_bytes()[..LINE_BYTES_MAX], Malformed::TooLong);
}
