//! Starts the binary under test in a directory of its own and ends it again.

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use serde_json::Value;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long anything that must happen soon may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A directory that is removed with its owner.
pub(crate) struct Dir(PathBuf);

impl Dir {
    /// A new one.
    pub(crate) fn new() -> Dir {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("tidegate-e2e-{}-{serial}", std::process::id()));
        fs::create_dir_all(&path).expect("a temporary directory");
        Dir(path)
    }

    /// A file in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A port of 127.0.0.1 that nobody held a moment ago.
pub(crate) fn free_port() -> u16 {
    let holder = TcpListener::bind("127.0.0.1:0").expect("a free port");
    holder.local_addr().expect("its address").port()
}

/// Waits until `holds`, or fails the test saying what did not come.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        sleep(Duration::from_millis(10));
    }
}

/// How many sockets listen on `port`, without touching their accept queues.
pub(crate) fn listening(port: u16) -> usize {
    let table = fs::read_to_string("/proc/net/tcp").expect("/proc/net/tcp");
    let wanted = format!(":{port:04X}");
    let listens = |line: &&str| {
        let mut columns = line.split_ascii_whitespace().skip(1);
        columns.next().is_some_and(|local| local.ends_with(&wanted)) && columns.nth(1) == Some("0A")
    };
    table.lines().filter(listens).count()
}

/// What a test chooses about its proxy; the rest of the configuration is the test's own text.
pub(crate) struct Setup {
    /// Worker threads; 0 stands for `"auto"`.
    pub(crate) workers: usize,
    /// Live sessions at most.
    pub(crate) max_connections: usize,
    /// Lines before the first table, such as `accept_queue = {...}`.
    pub(crate) top: String,
    /// Lines of `[timeouts]`.
    pub(crate) timeouts: String,
    /// Lines of `[listener.web]` besides `bind`.
    pub(crate) listener: String,
    /// `[cluster.*]`, `[[route]]` and further listeners.
    pub(crate) rest: String,
    /// `json` or `text`.
    pub(crate) log_format: &'static str,
    /// Where access records go, if not to `access.log` in the proxy's directory.
    pub(crate) access: Option<&'static str>,
    /// Options of `serve` besides `-c`.
    pub(crate) options: &'static [&'static str],
}

impl Setup {
    /// One worker and 200 connections in front of `rest`.
    pub(crate) fn new(rest: impl Into<String>) -> Setup {
        Setup {
            workers: 1,
            max_connections: 200,
            top: String::new(),
            timeouts: String::new(),
            listener: String::new(),
            rest: rest.into(),
            log_format: "json",
            access: None,
            options: &[],
        }
    }

    /// Everything to one cluster called `app` of servers at `ports`.
    pub(crate) fn to(ports: &[u16]) -> Setup {
        Setup::new(app(ports))
    }

    /// Sets timeouts, as lines of the table.
    pub(crate) fn timeouts(mut self, lines: &str) -> Setup {
        self.timeouts = lines.into();
        self
    }

    /// Sets the most live sessions.
    pub(crate) fn max_connections(mut self, max: usize) -> Setup {
        self.max_connections = max;
        self
    }

    /// Sets what stands before the first table.
    pub(crate) fn top(mut self, lines: &str) -> Setup {
        self.top = lines.into();
        self
    }

    /// Sets further keys of the listener.
    pub(crate) fn listener(mut self, lines: &str) -> Setup {
        self.listener = lines.into();
        self
    }

    fn text(&self, port: u16, access: &Path) -> String {
        let Setup { max_connections, top, timeouts, listener, rest, log_format, .. } = self;
        let access = self.access.map_or_else(|| access.display().to_string(), String::from);
        let workers = match self.workers {
            0 => "\"auto\"".into(),
            count => count.to_string(),
        };
        format!(
            "workers = {workers}\nmax_connections = {max_connections}\n{top}\n\
             [timeouts]\n{timeouts}\n\
             [log]\naccess = \"{access}\"\nformat = \"{log_format}\"\n\
             [listener.web]\nbind = \"127.0.0.1:{port}\"\n{listener}\n{rest}"
        )
    }

    /// Starts the proxy and does not wait until it listens.
    pub(crate) fn spawn(self) -> Proxy {
        let dir = Dir::new();
        let port = free_port();
        let config = dir.path("tidegate.toml");
        fs::write(&config, self.text(port, &dir.path("access.log"))).expect("a configuration");
        let stderr = fs::File::create(dir.path("stderr")).expect("a file");
        let child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .args(["serve", "-c"])
            .arg(&config)
            .args(self.options)
            .current_dir(&dir.0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .expect("the binary");
        Proxy { child, dir, port, setup: self }
    }

    /// Starts the proxy and waits until it listens.
    pub(crate) fn start(self) -> Proxy {
        let mut proxy = self.spawn();
        let port = proxy.port;
        let wanted = proxy.setup.workers.max(1);
        let end = Instant::now() + PATIENCE;
        while listening(port) < wanted {
            if let Some(status) = proxy.child.try_wait().expect("wait") {
                panic!("the proxy ended with {status}:\n{}", proxy.stderr());
            }
            assert!(Instant::now() < end, "the proxy does not listen:\n{}", proxy.stderr());
            sleep(Duration::from_millis(5));
        }
        proxy
    }
}

/// A cluster called `app` of the servers at `ports`, and a route of everything to it.
pub(crate) fn app(ports: &[u16]) -> String {
    format!("{}[[route]]\nto = \"app\"\n", cluster("app", ports))
}

/// A cluster of the servers at `ports`.
pub(crate) fn cluster(name: &str, ports: &[u16]) -> String {
    let servers: Vec<String> = ports.iter().map(|port| format!("\"127.0.0.1:{port}\"")).collect();
    format!("[cluster.{name}]\nservers = [{}]\n", servers.join(", "))
}

/// A running proxy; dropped, it is killed.
pub(crate) struct Proxy {
    child: Child,
    /// Its directory: configuration, logs.
    pub(crate) dir: Dir,
    /// Where its listener `web` listens.
    pub(crate) port: u16,
    setup: Setup,
}

impl Proxy {
    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// What it wrote on standard error so far.
    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(self.dir.path("stderr")).unwrap_or_default()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the proxy lives");
    }

    /// Rewrites everything behind the listener `web` and tells the proxy, which takes a moment.
    pub(crate) fn reload(&mut self, rest: &str) {
        self.setup.rest = rest.into();
        let text = self.setup.text(self.port, &self.dir.path("access.log"));
        fs::write(self.dir.path("tidegate.toml"), text).expect("a configuration");
        self.signal(Signal::HUP);
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the proxy ends", || {
            status = self.child.try_wait().expect("wait");
            status.is_some()
        });
        status.expect("just seen")
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().expect("wait").is_none()
    }

    /// One line of `/proc/PID/status`, without its name.
    pub(crate) fn status_line(&self, name: &str) -> String {
        let path = format!("/proc/{}/status", self.child.id());
        let text = fs::read_to_string(path).expect("the proxy lives");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.expect("a line of this name").trim().into()
    }

    /// The names of its threads.
    pub(crate) fn threads(&self) -> Vec<String> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let tasks = tasks.expect("the proxy lives").filter_map(|task| {
            let name = fs::read_to_string(task.ok()?.path().join("comm")).ok()?;
            Some(name.trim_end().to_string())
        });
        tasks.collect()
    }

    /// The numbers of its open descriptors.
    pub(crate) fn descriptors(&self) -> Vec<u64> {
        let path = format!("/proc/{}/fd", self.child.id());
        let entries = fs::read_dir(path).expect("the proxy lives");
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
    }

    /// Sets the soft limit of open descriptors and gives the one before.
    pub(crate) fn limit_descriptors(&self, soft: Option<u64>) -> Option<u64> {
        let pid = Some(self.pid());
        let hard = rustix::process::getrlimit(Resource::Nofile).maximum;
        let old = prlimit(pid, Resource::Nofile, Rlimit { current: soft, maximum: hard });
        old.expect("the proxy lives").current
    }

    /// The access log's lines once there are `count`; fails when more come at once or fewer do.
    pub(crate) fn lines(&self, count: usize) -> Vec<String> {
        self.lines_of("access.log", count)
    }

    /// The same of a file of another name, as when the log was rotated.
    pub(crate) fn lines_of(&self, name: &str, count: usize) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        wait_until("the access log has its lines", || {
            let text = fs::read_to_string(self.dir.path(name)).unwrap_or_default();
            // The last line may be half written.
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            lines = whole.lines().map(String::from).collect();
            lines.len() >= count
        });
        assert_eq!(lines.len(), count, "access log: {lines:#?}");
        lines
    }

    /// The access log's records once there are `count`.
    pub(crate) fn records(&self, count: usize) -> Vec<Record> {
        let parse = |line: &String| Record(serde_json::from_str(line).expect("a JSON line"));
        self.lines(count).iter().map(parse).collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the proxy's standard error:\n{}", self.stderr());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One line of the access log in JSON.
#[derive(Debug)]
pub(crate) struct Record(pub(crate) Value);

impl Record {
    /// A field's text; numbers as they are written.
    pub(crate) fn text(&self, name: &str) -> String {
        match self.0.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => panic!("no field {name:?} in {}", self.0),
        }
    }

    /// A field's number.
    pub(crate) fn number(&self, name: &str) -> u64 {
        let value = self.0.get(name).and_then(Value::as_u64);
        value.unwrap_or_else(|| panic!("no number {name:?} in {}", self.0))
    }

    /// Final status; 0 when the client got none.
    pub(crate) fn status(&self) -> u64 {
        self.number("status")
    }

    /// Who ended it and in which phase, in words.
    pub(crate) fn ending(&self) -> (String, String) {
        (self.text("ended_by"), self.text("phase"))
    }
}
