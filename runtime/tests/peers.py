"""What benches/compare and runtime/tests/acceptance share: starting proxies, servers and wrk on
ephemeral loopback ports, reading what they cost, and leaving nothing behind.

Every program runs in a session of its own, so that all of its processes can be found and ended; it
also dies with the script that started it. Standard library only.
"""

import ctypes
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)

WRK_SCRIPT = """
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d %d %d %d\\n", summary.requests, summary.duration,
    summary.bytes, e.connect, e.read, e.write, e.status, e.timeout))
end
"""


class Failed(Exception):
    """Something did not start, or did not answer as it must."""


def install(*programs):
    """Installs with apt those of `programs` that are missing."""
    script = os.path.join(ROOT, "runtime/tests/install-peers.sh")
    subprocess.run([script, *programs], check=True)


def program(name):
    """The path of an installed program; Debian keeps daemons out of a user's PATH."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if path is None:
        raise Failed(f"{name} is not installed")
    return path


def raise_nofile(wanted=65536):
    """Raises RLIMIT_NOFILE for this process and its children, the hard limit too where that is
    allowed, and gives what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
            return wanted
        except (ValueError, PermissionError):
            wanted = hard
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)


def free_ports(count):
    """Ports on 127.0.0.1 that nobody held a moment ago."""
    holders = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [holder.getsockname()[1] for holder in holders]
    for holder in holders:
        holder.close()
    return ports


def wait_listening(port, process, seconds=10.0):
    """Waits until 127.0.0.1:`port` accepts."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise Failed(f"{process.args[0]} ended with {process.returncode} before it listened")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise Failed(f"{process.args[0]} does not listen on port {port}")


def session_pids(session):
    """All processes of a session: a daemon with its workers."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                if os.getsid(int(entry)) == session:
                    found.append(int(entry))
            except ProcessLookupError:
                pass
    return found


def cpu_ns(session):
    """Nanoseconds on a processor, of all threads of all processes of a session."""
    total = 0
    for pid in session_pids(session):
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as stat:
                    total += int(stat.read().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            pass
    return total


def rss_kib(session):
    """Resident memory of all processes of a session, exact (not the batched VmRSS), in KiB."""
    total = 0
    for pid in session_pids(session):
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
            total += next(int(line.split()[1]) for line in rollup if line.startswith("Rss:"))
    return total


class Stage:
    """A temporary directory and the processes started in it; leaving it ends and removes all."""

    def __init__(self, base=None):
        self.dir = tempfile.mkdtemp(prefix="tidegate-", dir=base)
        os.chmod(self.dir, 0o755)
        self.started = []

    def __enter__(self):
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, _: sys.exit(128 + number))
        return self

    def __exit__(self, *_):
        for process in reversed(self.started):
            self.stop(process)
        shutil.rmtree(self.dir, ignore_errors=True)

    def path(self, *parts):
        """A path in the directory; its parents are made."""
        path = os.path.join(self.dir, *parts)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def write(self, name, text):
        """Writes a file of the directory and gives its path."""
        path = self.path(name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def start(self, command, core=None, stdout=None, stderr=None):
        """Starts a program in a session of its own, pinned to `core` if one is given."""

        def prepare():
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if core is not None:
                os.sched_setaffinity(0, {core})

        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stdout or subprocess.DEVNULL,
            stderr=stderr, start_new_session=True, preexec_fn=prepare, cwd=self.dir)
        self.started.append(process)
        return process

    def stop(self, process, seconds=3.0):
        """Ends a program and everything in its session."""
        end = time.monotonic() + seconds
        for pid in session_pids(process.pid):
            send(pid, signal.SIGTERM)
        while process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        for pid in session_pids(process.pid):
            send(pid, signal.SIGKILL)
        process.wait()
        if process in self.started:
            self.started.remove(process)


def send(pid, number):
    """Sends a signal to a process that may be gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


NGINX_STREAM = "/usr/lib/nginx/modules/ngx_stream_module.so"
NGINX_HEAD = """
{modules}
user root;
daemon off;
worker_processes 1;
pid {dir}/{name}.pid;
error_log {error_log} warn;
events {{ worker_connections {connections}; }}
http {{
  client_body_temp_path {dir}/{name}-body; proxy_temp_path {dir}/{name}-proxy;
  fastcgi_temp_path {dir}/{name}-fcgi; uwsgi_temp_path {dir}/{name}-uwsgi;
  scgi_temp_path {dir}/{name}-scgi;
  default_type application/octet-stream;
  keepalive_timeout 300s; keepalive_requests 1000000000; tcp_nodelay on;
  access_log {access_log};
"""


def nginx(stage, name, body, access_log="off", connections=4096, core=None, stream=None):
    """Starts an nginx with one worker whose `http` block ends with `body`, and whose `stream`
    block is `stream` if one is given (it needs the package libnginx-mod-stream)."""
    dynamic = stream is not None and os.path.exists(NGINX_STREAM)
    head = NGINX_HEAD.format(dir=stage.dir, name=name, connections=connections,
                             error_log=stage.path(f"{name}.error"), access_log=access_log,
                             modules=f"load_module {NGINX_STREAM};" if dynamic else "")
    tail = "\n}\n" if stream is None else "\n}\nstream {" + stream + "}\n"
    conf = stage.write(f"{name}.conf", head + body + tail)
    return stage.start([program("nginx"), "-p", stage.dir, "-c", conf, "-e", f"{name}.error"],
                       core=core)


def nginx_origin(stage, name, port, root, connections=4096, core=None, server=""):
    """Starts an nginx that serves the files of `root`; `server` is added to its server block."""
    process = nginx(stage, name, f"""
  sendfile on; open_file_cache max=100; open_file_cache_valid 1h;
  server {{ listen 127.0.0.1:{port} backlog=4096; root {root}; {server} }}""",
                    connections=connections, core=core)
    wait_listening(port, process)
    return process


def wrk(stage, url, seconds, connections=64, close=False, core=None, openssl_conf=None):
    """Runs wrk with one thread and gives what it counted; `errors` adds up every kind. What TLS
    it offers is what the file `openssl_conf` says."""
    script = stage.write("wrk.lua", WRK_SCRIPT)
    command = [program("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script,
               "--timeout", "10s", url]
    if close:
        command[1:1] = ["-H", "Connection: close"]
    if openssl_conf:
        command[:0] = ["env", f"OPENSSL_CONF={openssl_conf}"]
    with open(stage.path("wrk.out"), "w+", encoding="utf-8") as out:
        process = stage.start(command, core=core, stdout=out, stderr=subprocess.STDOUT)
        try:
            process.wait(seconds + 30)
        finally:
            stage.stop(process)
        out.seek(0)
        text = out.read()
    return wrk_result(text)


def wrk_result(text):
    """What the script's last line says, as a dictionary."""
    for line in text.splitlines():
        if line.startswith("RESULT "):
            names = ("requests", "duration_us", "bytes", "connect", "read", "write", "status",
                     "timeout")
            result = dict(zip(names, map(int, line.split()[1:])))
            result["errors"] = sum(result[name] for name in names[3:])
            return result
    raise Failed("wrk gave no result: " + text[-300:])
