//! Proofs of REQ, RES and BACK-8 on bytes; helpers that several of them use.

mod answering;
mod chunks;
mod hosts;
mod requests;
mod responses;
mod rewriting;
mod scanning;
mod sniffing;
mod upgrades;

use super::*;
use crate::config::Limits;

/// A request that asked for nothing special, and one that was HEAD.
const GET: Asked = Asked { head_only: false, upgrade: false };
const HEAD: Asked = Asked { head_only: true, upgrade: false };

/// Bytes as a failing test shows them.
fn show(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

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
        let scan = scan_cut(scanner, bytes, &[cut], limits);
        assert_eq!(scan, whole, "{} cut at {cut}", show(bytes));
    }
    let every: Vec<usize> = (0..=bytes.len()).collect();
    assert_eq!(scan_cut(scanner, bytes, &every, limits), whole, "{} byte by byte", show(bytes));
    whole
}

/// The verdict on a request's head: scanned in every way, then parsed.
fn request_verdict(head: &[u8]) -> Result<(), Refusal> {
    let limits = Limits::default();
    match scan_all_ways(HeadScanner::request(), head, &limits) {
        Scan::More => panic!("incomplete: {}", show(head)),
        Scan::Refused(refusal) => Err(refusal),
        Scan::Complete { start, end } => {
            parse_request(&head[start..end], &mut field_space(), &limits).map(drop)
        }
    }
}

/// Gives `check` the parsed request; the head must be in order.
fn with_request<T>(head: &[u8], check: impl FnOnce(&Request<'_, '_>) -> T) -> T {
    let limits = Limits::default();
    let scan = scan_all_ways(HeadScanner::request(), head, &limits);
    let Scan::Complete { start, end } = scan else { panic!("{}: {scan:?}", show(head)) };
    let mut space = field_space();
    match parse_request(&head[start..end], &mut space, &limits) {
        Ok(request) => check(&request),
        Err(refusal) => panic!("{}: {refusal:?}", show(head)),
    }
}

/// The verdict on a response's head: scanned in every way, then parsed.
fn response_verdict(head: &[u8], asked: Asked) -> Result<(), Refusal> {
    let limits = Limits::default();
    match scan_all_ways(HeadScanner::response(), head, &limits) {
        Scan::More => panic!("incomplete: {}", show(head)),
        Scan::Refused(refusal) => Err(refusal),
        Scan::Complete { start, end } => {
            parse_response(&head[start..end], &mut field_space(), &limits, asked).map(drop)
        }
    }
}

/// Gives `check` the parsed response; the head must be in order.
fn with_response<T>(head: &[u8], asked: Asked, check: impl FnOnce(&Response<'_, '_>) -> T) -> T {
    let limits = Limits::default();
    let scan = scan_all_ways(HeadScanner::response(), head, &limits);
    assert_eq!(scan, Scan::Complete { start: 0, end: head.len() }, "{}", show(head));
    let mut space = field_space();
    match parse_response(head, &mut space, &limits, asked) {
        Ok(response) => check(&response),
        Err(refusal) => panic!("{}: {refusal:?}", show(head)),
    }
}

/// The values of every field called `name` in a head that was written.
fn values<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    let lines = head.split("\r\n").skip(1);
    lines
        .filter_map(|line| line.split_once(": "))
        .filter(|(field, _)| field.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
        .collect()
}
