//! What the core costs by itself: `cargo bench -p tidegate-benches`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::Duration;
use tidegate_benches::{Requests, config, rig};
use tidegate_core::config::{HostPattern, Limits, Route};
use tidegate_core::deadline::Deadlines;
use tidegate_core::http1::{HeadScanner, field_space, parse_request};
use tidegate_core::input::Readiness;
use tidegate_core::route::Router;
use tidegate_core::time::Time;

const REQUEST: &[u8] = b"GET /index.html?x=1 HTTP/1.1\r\nHost: www.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\n\
    Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n\r\n";

fn head(c: &mut Criterion) {
    let mut group = c.benchmark_group("head");
    group.throughput(Throughput::Bytes(REQUEST.len() as u64));
    let limits = Limits::default();
    group.bench_function("scan", |b| {
        b.iter(|| HeadScanner::request().scan(black_box(REQUEST), &limits));
    });
    group.bench_function("parse", |b| {
        b.iter(|| {
            let mut fields = field_space();
            parse_request(black_box(REQUEST), &mut fields, &limits).map(|r| r.path().len())
        });
    });
    group.finish();
}

/// One keep-alive request over a pooled connection, from the client's bytes to the client's.
fn request(c: &mut Criterion) {
    let mut group = c.benchmark_group("request");
    for (name, body, ring) in
        [("1KiB", 1024, None), ("1KiB recorded", 1024, Some(16 << 20)), ("16KiB", 16 * 1024, None)]
    {
        let head = format!("HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: {body}\r\n\r\n");
        let mut requests = Requests::new(ring, REQUEST, &head, body);
        group.bench_function(name, |b| b.iter(|| requests.serve()));
    }
    group.finish();
}

fn route(c: &mut Criterion) {
    let mut group = c.benchmark_group("route");
    for hosts in [10, 1_000, 100_000] {
        let mut config = config();
        config.routes = (0..hosts)
            .map(|n| Route {
                host: HostPattern::Exact(format!("host{n}.example.com").into()),
                ..Route::to_cluster("app")
            })
            .collect();
        let router = Router::new(&config).expect("valid routes");
        // Keys in an order that no cache foresees.
        let keys: Vec<String> = (0..hosts.max(4096))
            .map(|n| format!("host{}.example.com", (n * 7_919 + 13) % hosts))
            .collect();
        let (mut at, mut scratch) = (0, Vec::with_capacity(64));
        group.bench_function(format!("{hosts}"), |b| {
            b.iter(|| {
                at = (at + 1) % keys.len();
                router.lookup(0, black_box(keys[at].as_bytes()), b"/", b"GET", &mut scratch)
            });
        });
    }
    group.finish();
}

fn timers(c: &mut Criterion) {
    let mut deadlines = Deadlines::with_capacity(10_000);
    let ids: Vec<_> = (0..10_000u32).map(|owner| deadlines.insert(owner)).collect();
    let (mut now, mut at) = (Time::ZERO, 0);
    for id in &ids {
        deadlines.set(*id, now.deadline(Duration::from_secs(60)));
    }
    c.bench_function("timers/extend", |b| {
        b.iter(|| {
            now = now.after(Duration::from_micros(50));
            at = (at + 1) % ids.len();
            deadlines.set(ids[at], now.deadline(Duration::from_secs(60)));
        });
    });
    c.bench_function("timers/earliest", |b| b.iter(|| deadlines.earliest()));
}

fn accept(c: &mut Criterion) {
    let mut rig = rig();
    c.bench_function("accept/open and close", |b| {
        b.iter(|| {
            let client = rig.connect();
            rig.kernel.wire(client).finished = true;
            rig.proxy.ready(
                client,
                Readiness { readable: true, read_closed: true, ..Readiness::default() },
            );
            rig.turn();
            assert!(!rig.kernel.is_open(client));
            rig.kernel.accepted.clear();
        });
    });
}

criterion_group!(benches, head, request, route, timers, accept);
criterion_main!(benches);
