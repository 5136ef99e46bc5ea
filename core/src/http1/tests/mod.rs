//! Proofs of REQ, RES and BACK-8 on bytes; helpers that several of them use.

mod scanning;

use super::*;
use crate::config::Limits;

/// What a scanner makes of `bytes` given in pieces that end at `cuts`.
fn scan_cut(scanner: HeadScanner, bytes: &[u8], cuts: &[usize], limits: &Limits) -> Scan {
    let mut scanner = scanner;
    for &cut in cuts {
        let scan = scanner.scan(&bytes[..cut], limits);
        if scan != Scan::More {
            return scan;
        }
    }
    scanner.scan(bytes, limits)
}

/// What a scanner makes of `bytes`, the same for every cut into two and byte by byte (REQ-1).
fn scan_all_ways(scanner: HeadScanner, bytes: &[u8], limits: &Limits) -> Scan {
    let whole = scan_cut(scanner, bytes, &[], limits);
    for cut in 0..=bytes.len() {
        assert_eq!(scan_cut(scanner, bytes, &[cut], limits), whole, "{bytes:?} cut at {cut}");
    }
    let every: Vec<usize> = (0..=bytes.len()).collect();
    assert_eq!(scan_cut(scanner, bytes, &every, limits), whole, "{bytes:?} byte by byte");
    whole
}

/// The verdict on a request's head: scanned in every way, then parsed.
fn request_verdict(head: &[u8]) -> Result<(), Refusal> {
    let limits = Limits::default();
    match scan_all_ways(HeadScanner::request(), head, &limits) {
        Scan::More => panic!("incomplete: {:?}", String::from_utf8_lossy(head)),
        Scan::Refused(refusal) => Err(refusal),
        Scan::Complete { start, end } => {
            parse_request(&head[start..end], &mut field_space(), &limits).map(drop)
        }
    }
}
