//! Heads as they arrive: REQ-1, REQ-2, REQ-3.

use super::*;

fn scan(bytes: &[u8]) -> Scan {
    scan_all_ways(HeadScanner::request(), bytes, &Limits::default())
}

fn limits(head_bytes: usize, fields_max: usize, target_bytes: usize) -> Limits {
    Limits { head_bytes, fields_max, target_bytes }
}

#[test]
fn well_formed_requests_pass() {
    // REQ-1
    let heads: &[&[u8]] = &[
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /?q=%41|{} HTTP/1.0\r\n\r\n",
        b"M-SEARCH /x HTTP/1.9\r\nhost:a\r\nX:\t \xffy\x80 \t\r\nEmpty:\r\n\r\n",
    ];
    for head in heads {
        assert_eq!(request_verdict(head), Ok(()), "{}", show(head));
    }
}

#[test]
fn what_follows_the_head_is_left_alone() {
    // REQ-8
    let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\0\nGET";
    assert_eq!(scan(head), Scan::Complete { start: 0, end: head.len() - 5 });
}

#[test]
fn one_empty_line_is_skipped_and_is_no_request() {
    // REQ-1
    let mut scanner = HeadScanner::request();
    assert!(!scanner.has_begun());
    assert_eq!(scanner.scan(b"\r\n", &Limits::default()), Scan::More);
    assert!(!scanner.has_begun());
    assert_eq!(scanner.scan(b"\r\nG", &Limits::default()), Scan::More);
    assert!(scanner.has_begun());
    let head = b"\r\nGET / HTTP/1.0\r\n\r\n";
    assert_eq!(scan(head), Scan::Complete { start: 2, end: head.len() });
    assert_eq!(scan(b"\r\n\r\nGET"), Scan::Refused(Refusal::NotHttp));
    assert_eq!(scan(b"\nGET"), Scan::Refused(Refusal::BareLf));
    assert_eq!(scan(b"\rGET"), Scan::Refused(Refusal::BareCr));
}

/// Each head is refused with the last of its bytes, and not before.
#[test]
fn refused_at_once() {
    // REQ-1, REQ-2, REQ-3
    let heads: &[(&[u8], Refusal)] = &[
        (b"\x16", Refusal::NotHttp),
        (b" ", Refusal::NotHttp),
        (b"\0", Refusal::NotHttp),
        (b"GET\r", Refusal::NotHttp),
        (b"GET\n", Refusal::NotHttp),
        (b"G\"", Refusal::NotHttp),
        (b"GET  ", Refusal::StartLine),
        (b"GET /\r", Refusal::StartLine),
        (b"GET /\n", Refusal::BareLf),
        (b"GET /\t", Refusal::TargetByte),
        (b"GET /a#", Refusal::TargetByte),
        (b"GET /12345678\xc3", Refusal::TargetByte),
        (b"GET /\x7f", Refusal::TargetByte),
        (b"GET / h", Refusal::StartLine),
        (b"GET / HTTP/2", Refusal::Version),
        (b"PRI * HTTP/2", Refusal::Version),
        (b"GET / HTTP/0", Refusal::Version),
        (b"GET / HTTP/x", Refusal::StartLine),
        (b"GET / HTTP/1x", Refusal::StartLine),
        (b"GET / HTTP/1.x", Refusal::StartLine),
        (b"GET / HTTP/1.10", Refusal::StartLine),
        (b"GET / HTTP/1.1 ", Refusal::StartLine),
        (b"GET / x", Refusal::StartLine),
        (b"GET / HTTP/1.1\n", Refusal::BareLf),
        (b"GET / HTTP/1.1\rX", Refusal::BareCr),
        (b"GET / HTTP/1.1\r\n ", Refusal::ObsFold),
        (b"GET / HTTP/1.1\r\n\t", Refusal::ObsFold),
        (b"GET / HTTP/1.1\r\n\n", Refusal::BareLf),
        (b"GET / HTTP/1.1\r\n\rX", Refusal::BareCr),
        (b"GET / HTTP/1.1\r\n:", Refusal::FieldName),
        (b"GET / HTTP/1.1\r\nA\xe4", Refusal::FieldName),
        (b"GET / HTTP/1.1\r\nA\0", Refusal::Control),
        (b"GET / HTTP/1.1\r\nA\r", Refusal::FieldName),
        (b"GET / HTTP/1.1\r\nA\n", Refusal::BareLf),
        (b"GET / HTTP/1.1\r\nHost ", Refusal::SpaceBeforeColon),
        (b"GET / HTTP/1.1\r\nHost\t", Refusal::SpaceBeforeColon),
        (b"GET / HTTP/1.1\r\nA: b\n", Refusal::BareLf),
        (b"GET / HTTP/1.1\r\nA: b\rc", Refusal::BareCr),
        (b"GET / HTTP/1.1\r\nA: b\r\r", Refusal::BareCr),
        (b"GET / HTTP/1.1\r\nA: bcdefghi\0", Refusal::Control),
        (b"GET / HTTP/1.1\r\nA: \x7f", Refusal::Control),
        (b"GET / HTTP/1.1\r\nA: \x1b", Refusal::Control),
        (b"GET / HTTP/1.1\r\nA: \x0b", Refusal::Control),
        (b"GET / HTTP/1.1\r\nA: b\r\n ", Refusal::ObsFold),
    ];
    for (bytes, refusal) in heads {
        assert_eq!(scan(bytes), Scan::Refused(*refusal), "{}", show(bytes));
        let before = &bytes[..bytes.len() - 1];
        assert_eq!(scan(before), Scan::More, "{} too early", show(before));
        // A scanner that is asked again says the same.
        let mut scanner = HeadScanner::request();
        for _ in 0..2 {
            let found = scanner.scan(bytes, &Limits::default());
            assert_eq!(found, Scan::Refused(*refusal), "{}", show(bytes));
        }
    }
}

#[test]
fn every_byte_is_judged_wherever_it_stands() {
    // REQ-2: what may stand in a value and in a target, at each place of a word of eight.
    for byte in 0..=255u8 {
        for place in 0..17 {
            let mut head = b"GET / HTTP/1.0\r\nA:".to_vec();
            head.extend(std::iter::repeat_n(b'x', place));
            head.push(byte);
            head.extend_from_slice(b"xxxxxxxxxxxxxxx\r\n\r\n");
            let clean = byte == b'\t' || byte >= b' ' && byte != 0x7f;
            let found = scan_cut(HeadScanner::request(), &head, &[], &Limits::default());
            assert_eq!(matches!(found, Scan::Complete { .. }), clean, "{byte:#x} at {place}");

            let mut head = b"GET /".to_vec();
            head.extend(std::iter::repeat_n(b'x', place));
            head.push(byte);
            head.extend_from_slice(b"xxxxxxxxxxxxxxx HTTP/1.0\r\n\r\n");
            let clean = byte > b' ' && byte < 0x7f && byte != b'#';
            let found = scan_cut(HeadScanner::request(), &head, &[], &Limits::default());
            assert_eq!(matches!(found, Scan::Complete { .. }), clean, "{byte:#x} at {place}");
        }
    }
}

#[test]
fn head_limit_is_exact() {
    // REQ-3
    let head = b"GET / HTTP/1.0\r\nA: b\r\n\r\n";
    let exact = limits(head.len(), 100, 8192);
    let below = limits(head.len() - 1, 100, 8192);
    let complete = Scan::Complete { start: 0, end: head.len() };
    assert_eq!(scan_all_ways(HeadScanner::request(), head, &exact), complete);
    let refused = Scan::Refused(Refusal::HeadTooLarge);
    assert_eq!(scan_all_ways(HeadScanner::request(), head, &below), refused);
    // A full buffer is enough to know.
    assert_eq!(scan_all_ways(HeadScanner::request(), &head[..head.len() - 1], &below), refused);
    assert_eq!(scan_all_ways(HeadScanner::request(), &head[..head.len() - 2], &below), Scan::More);
    assert_eq!(Refusal::HeadTooLarge.status(), 431);
}

#[test]
fn field_limit_is_exact() {
    // REQ-3
    let head = b"GET / HTTP/1.0\r\nA: b\r\nC: d\r\n\r\n";
    let complete = Scan::Complete { start: 0, end: head.len() };
    assert_eq!(scan_all_ways(HeadScanner::request(), head, &limits(99, 2, 99)), complete);
    let refused = Scan::Refused(Refusal::TooManyFields);
    assert_eq!(scan_all_ways(HeadScanner::request(), head, &limits(99, 1, 99)), refused);
    assert_eq!(Refusal::TooManyFields.status(), 431);
}

#[test]
fn target_limit_is_exact() {
    // REQ-3
    let head = b"GET /234567890 HTTP/1.0\r\n\r\n";
    let complete = Scan::Complete { start: 0, end: head.len() };
    assert_eq!(scan_all_ways(HeadScanner::request(), head, &limits(99, 9, 10)), complete);
    let refused = Scan::Refused(Refusal::TargetTooLong);
    assert_eq!(scan_all_ways(HeadScanner::request(), head, &limits(99, 9, 9)), refused);
    // As soon as it is exceeded, and before what comes later in the line.
    let cut = b"GET /234567890";
    assert_eq!(scan_all_ways(HeadScanner::request(), cut, &limits(99, 9, 9)), refused);
    let both = b"GET /234567890\x7f";
    assert_eq!(scan_all_ways(HeadScanner::request(), both, &limits(99, 9, 9)), refused);
    assert_eq!(Refusal::TargetTooLong.status(), 414);
}

#[test]
fn what_passes_the_scanner_is_understood_by_the_parser() {
    // REQ-1: mutants of a head either are refused, or parse to the very same lines.
    let head = b"POST /a?b HTTP/1.1\r\nHost: ex\r\nX-A:\t1 \r\nContent-Length: 5\r\n\r\n";
    for at in 0..head.len() {
        for byte in 0..=255u8 {
            let mut mutant = head.to_vec();
            mutant[at] = byte;
            let mut scanner = HeadScanner::request();
            let Scan::Complete { start, end } = scanner.scan(&mutant, &Limits::default()) else {
                continue;
            };
            let lines = mutant[start..end].split(|&byte| byte == b'\n').count();
            let mut space = field_space();
            let parsed = parse_request(&mutant[start..end], &mut space, &Limits::default());
            match parsed {
                Ok(request) => assert_eq!(request.fields.len() + 3, lines, "{}", show(&mutant)),
                Err(refusal) => {
                    assert!(
                        !matches!(refusal, Refusal::StartLine | Refusal::Version),
                        "{}: {refusal:?}",
                        show(&mutant)
                    );
                }
            }
        }
    }
}

#[test]
fn scanner_is_small() {
    assert!(size_of::<HeadScanner>() <= 40);
}

#[test]
fn responses() {
    // RES-1
    let limits = Limits::default();
    let passes: &[&[u8]] = &[
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.0 200 \r\nA: b\r\n\r\n",
        b"HTTP/1.5 999\r\n\r\n",
        b"HTTP/1.1 200 \xc3\xa4h, nun \t gut\r\n\r\n",
    ];
    for head in passes {
        let complete = Scan::Complete { start: 0, end: head.len() };
        assert_eq!(scan_all_ways(HeadScanner::response(), head, &limits), complete);
    }
    let refused: &[(&[u8], Refusal)] = &[
        (b"\r", Refusal::NotHttp),
        (b"h", Refusal::NotHttp),
        (b"SSH", Refusal::NotHttp),
        (b"HTTP/2", Refusal::Version),
        (b"HTTP/1.1\r", Refusal::StartLine),
        (b"HTTP/1.1  ", Refusal::StartLine),
        (b"HTTP/1.1 0", Refusal::StartLine),
        (b"HTTP/1.1 20 ", Refusal::StartLine),
        (b"HTTP/1.1 2000", Refusal::StartLine),
        (b"HTTP/1.1 -", Refusal::StartLine),
        (b"HTTP/1.1 200\n", Refusal::BareLf),
        (b"HTTP/1.1 200 OK\n", Refusal::BareLf),
        (b"HTTP/1.1 200 O\0", Refusal::Control),
        (b"HTTP/1.1 200 OK\rA", Refusal::BareCr),
        (b"HTTP/1.1 200 OK\r\n ", Refusal::ObsFold),
        (b"HTTP/1.1 200 OK\r\nA :", Refusal::SpaceBeforeColon),
        (b"HTTP/1.1 200 OK\r\nA: b\n", Refusal::BareLf),
    ];
    for (bytes, refusal) in refused {
        let found = scan_all_ways(HeadScanner::response(), bytes, &limits);
        assert_eq!(found, Scan::Refused(*refusal), "{}", show(bytes));
    }
}
