//! The request path does not allocate: a counting allocator under the whole server, with real
//! sockets and the access log on.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "clients and backend are threads with plain std sockets"
)]

use rustix::process::{Signal, getpid, kill_process};
use rustix::thread::gettid;
use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tidegate::config::Source;

/// Threads that can be told apart; those beyond share the last place.
const THREADS_MAX: usize = 256;
/// Allocations of the watched thread whose place is printed, so that a failure shows its cause.
const SHOWN_MAX: u64 = 3;
const NOBODY: usize = usize::MAX;

const CLIENTS: usize = 8;
const WARM_UP: usize = 1_000;
const REQUESTS: usize = 10_000;
/// Few enough for the warm-up to use every one: from then on none is new.
const BUFFERS: usize = 64;
/// More than the kernel holds for a client that does not read.
const BULK: usize = 16 << 20;
const PATIENCE: Duration = Duration::from_secs(20);

/// The system's allocator, which counts by thread.
struct Counting;

static COUNTS: [AtomicU64; THREADS_MAX] = [const { AtomicU64::new(0) }; THREADS_MAX];
/// The kernel's number of each thread.
static TIDS: [AtomicI32; THREADS_MAX] = [const { AtomicI32::new(0) }; THREADS_MAX];
static NEXT: AtomicUsize = AtomicUsize::new(0);
/// Whose allocations are shown.
static WATCHED: AtomicUsize = AtomicUsize::new(NOBODY);

thread_local! {
    static PLACE: Cell<usize> = const { Cell::new(NOBODY) };
    static SHOWING: Cell<bool> = const { Cell::new(false) };
}

fn count() {
    if SHOWING.get() {
        return;
    }
    let mut place = PLACE.get();
    if place == NOBODY {
        place = NEXT.fetch_add(1, Ordering::Relaxed).min(THREADS_MAX - 1);
        PLACE.set(place);
        TIDS[place].store(gettid().as_raw_nonzero().get(), Ordering::SeqCst);
    }
    let before = COUNTS[place].fetch_add(1, Ordering::SeqCst);
    if before < SHOWN_MAX && WATCHED.load(Ordering::Relaxed) == place {
        SHOWING.set(true);
        let _ = writeln!(std::io::stderr(), "allocated by\n{}", Backtrace::force_capture());
        SHOWING.set(false);
    }
}

// SAFETY: every call is passed on as it came; counting allocates nothing, save while it shows a
// backtrace, which counts nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(ptr, layout, size) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The place of the thread called `name`, which has allocated before.
fn place_of(name: &str) -> usize {
    for task in std::fs::read_dir("/proc/self/task").expect("Linux") {
        let path = task.expect("a thread").path();
        if std::fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim() == name) {
            let tid: i32 =
                path.file_name().and_then(|tid| tid.to_str()?.parse().ok()).expect("tid");
            let place = TIDS.iter().position(|of| of.load(Ordering::SeqCst) == tid);
            return place.expect("it has allocated");
        }
    }
    panic!("no thread is called {name}");
}

/// Reads one message, head and body, off `stream`; `None` at its end. What `buffer` holds
/// beyond it stays there.
fn message(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut space = [0; 64 * 1024];
    loop {
        if let Some(length) = complete(buffer) {
            let rest = buffer.split_off(length);
            return Some(std::mem::replace(buffer, rest));
        }
        match stream.read(&mut space).expect("a message") {
            0 => return None,
            n => buffer.extend_from_slice(&space[..n]),
        }
    }
}

/// The length of the message that `bytes` begins with, if it is whole.
fn complete(bytes: &[u8]) -> Option<usize> {
    let find = |from: usize, what: &[u8]| {
        let at = bytes[from..].windows(what.len()).position(|window| window == what)?;
        Some(from + at + what.len())
    };
    let head = find(0, b"\r\n\r\n")?;
    let text = std::str::from_utf8(&bytes[..head]).expect("ASCII").to_ascii_lowercase();
    if text.contains("transfer-encoding: chunked") {
        // The bodies of this test hold no digit, so that this is the last chunk.
        return find(head, b"\r\n0\r\n\r\n");
    }
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.parse().expect("a number"));
    (bytes.len() >= head + length).then_some(head + length)
}

fn chunked(size: usize) -> String {
    let half = "x".repeat(size / 2);
    format!("{0:x}\r\n{half}\r\n{0:x}\r\n{half}\r\n0\r\n\r\n", size / 2)
}

/// What a client sends, and how long the body of the answer is at least.
fn requests() -> Vec<(Vec<u8>, usize)> {
    let get = |path: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: a.example\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n")
    };
    let post = |size: usize| {
        let body = "x".repeat(size);
        format!("POST /1024 HTTP/1.1\r\nHost: a.example\r\nContent-Length: {size}\r\n\r\n{body}")
    };
    let upload = |size: usize| {
        let body = chunked(size);
        let head = "PUT /100 HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n";
        format!("{head}{body}")
    };
    let all = [
        (get("/1024?query=1"), 1024),
        (post(100), 1024),
        (get("/chunked"), 2000),
        (upload(3000), 100),
        (get("/50000"), 50_000),
        (post(40_000), 1024),
        (get("/1024"), 1024),
    ];
    all.into_iter().map(|(request, size)| (request.into_bytes(), size)).collect()
}

/// An origin that keeps its connections: `/N` answers N bytes, `/chunked` two chunks.
fn start_backend() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            thread::spawn(move || {
                let mut buffer = Vec::new();
                while let Some(request) = message(&mut stream, &mut buffer) {
                    stream.write_all(answer(&request).as_bytes()).expect("sent");
                }
            });
        }
    });
    addr
}

fn answer(request: &[u8]) -> String {
    let head = String::from_utf8_lossy(&request[..request.len().min(100)]).into_owned();
    let path = head.split([' ', '?']).nth(1).expect("a path");
    if path == "/chunked" {
        let body = chunked(2000);
        return format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    }
    let size: usize = path[1..].parse().expect("a size");
    let body = "y".repeat(size);
    format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nServer: test\r\n\r\n{body}")
}

fn connect(addr: SocketAddr) -> TcpStream {
    let end = Instant::now() + PATIENCE;
    loop {
        match TcpStream::connect(addr) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE)).expect("set");
                return stream;
            }
            Err(error) => assert!(Instant::now() < end, "nobody listens: {error}"),
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Sends `count` requests over `clients`, one of each at a time.
fn load(clients: &mut [TcpStream], requests: &[(Vec<u8>, usize)], count: usize) {
    let mut buffer = Vec::new();
    let mut sent = 0;
    while sent < count {
        let round: Vec<&(Vec<u8>, usize)> =
            (0..clients.len()).map(|at| &requests[(sent + at) % requests.len()]).collect();
        for (client, (request, _)) in clients.iter_mut().zip(&round) {
            client.write_all(request).expect("sent");
        }
        for (client, (_, size)) in clients.iter_mut().zip(&round) {
            let answer = message(client, &mut buffer).expect("an answer");
            assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
            assert!(answer.len() > *size);
        }
        sent += clients.len();
    }
}

/// Every client asks for a bulky answer, and none reads before all the proxy's buffers hold some.
fn use_every_buffer(clients: &mut [TcpStream]) {
    for client in &mut *clients {
        write!(client, "GET /{BULK} HTTP/1.1\r\nHost: a.example\r\n\r\n").expect("sent");
    }
    thread::sleep(Duration::from_millis(500));
    for client in clients {
        let answer = message(client, &mut Vec::new()).expect("an answer");
        assert!(answer.len() > BULK);
    }
}

// RUN-5: no allocation on the worker's thread over 10,000 keep-alive requests after warm-up.
#[test]
fn keep_alive_requests_allocate_nothing() {
    let name = format!("tidegate-allocations-{}.log", std::process::id());
    let log = std::env::temp_dir().join(name);
    let origin = start_backend();
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = free.local_addr().expect("bound");
    drop(free);
    let text = format!(
        "workers = 1\nmax_connections = 100\nbuffers = {{ count = {BUFFERS} }}\n[log]\naccess = \"{}\"\n[listener.web]\n\
         bind = \"{addr}\"\n[cluster.app]\nservers = [\"{origin}\"]\n[[route]]\nto = \"app\"\n",
        log.display()
    );
    let name = "test".to_owned();
    let server = thread::spawn(move || {
        tidegate::serve::run(Source::Text { name, text }, &tidegate::serve::Recorder::default())
    });
    let mut clients: Vec<TcpStream> = (0..CLIENTS).map(|_| connect(addr)).collect();
    let requests = requests();
    use_every_buffer(&mut clients);
    load(&mut clients, &requests, WARM_UP);
    let worker = place_of("worker-0");
    let before = COUNTS[worker].load(Ordering::SeqCst);
    assert!(before > 0, "the worker's allocations are counted");
    COUNTS[worker].store(0, Ordering::SeqCst);
    WATCHED.store(worker, Ordering::SeqCst);
    load(&mut clients, &requests, REQUESTS);
    let counted = COUNTS[worker].load(Ordering::SeqCst);
    WATCHED.store(NOBODY, Ordering::SeqCst);
    assert_eq!(counted, 0, "allocations over {REQUESTS} requests");
    drop(clients);
    kill_process(getpid(), Signal::TERM).expect("sent to ourselves");
    let code = server.join().expect("no panic").expect("it has begun");
    assert_eq!(code, 0);
    let records = std::fs::read_to_string(&log).expect("a log").lines().count();
    std::fs::remove_file(&log).expect("removed");
    assert!(records >= CLIENTS + WARM_UP + REQUESTS, "{records} records");
}
