"""What the groups of checks share: how a check is registered and what it needs, certificates made
by openssl, the proxy under test, and clients."""

import http.client
import json
import os
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE)]
import peers  # noqa: E402
from peers import Failed  # noqa: E402

# Where install-peers.sh puts what comes from PyPI and npm.
LIBRARIES = os.path.join(peers.ROOT, os.environ.get("TIDEGATE_PEERS") or "target/peers")
PATIENCE = 20
CHECKS = []


class Check:
    """A check of a group, and the programs it needs."""

    def __init__(self, group, function, needs):
        self.group, self.function, self.needs = group, function, needs
        self.name = function.__name__
        self.says = function.__doc__.splitlines()[0]

    def missing(self):
        """The programs it needs that are not installed."""
        return [need for need in self.needs if not find(need)]


def check(*needs):
    """Registers a check under its name, in the group that its module is; it raises Failed or
    returns what it saw. `needs` are names that install-peers.sh knows."""
    def register(function):
        group = function.__module__.removeprefix("check_")
        CHECKS.append(Check(group, function, needs))
        return function
    return register


def find(need):
    """The path of a program, module or library that a check needs; None if it is not there."""
    places = {
        "python-websockets": os.path.join(LIBRARIES, "python", "websockets"),
        "node-ws": os.path.join(LIBRARIES, "node", "node_modules", "ws"),
        "libnginx-mod-stream": peers.NGINX_STREAM,
    }
    if need in places:
        return places[need] if os.path.exists(places[need]) else None
    folders = [os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]
    folders += sorted(f"/usr/lib/postgresql/{version}/bin"
                      for version in os.listdir("/usr/lib/postgresql")
                      ) if os.path.isdir("/usr/lib/postgresql") else []
    return shutil.which(need, path=":".join(folders))


def demand(holds, what):
    """Fails the check unless `holds`."""
    if not holds:
        raise Failed(what)


def until(what, holds, seconds=PATIENCE):
    """Waits until `holds()` is true, and gives it."""
    end = time.monotonic() + seconds
    while not (value := holds()):
        demand(time.monotonic() < end, f"waited in vain: {what}")
        time.sleep(0.02)
    return value


def run(command, stdin=b"", code=0, seconds=120, **more):
    """Runs a program and gives all it printed; `code` is the exit status it must have, None any."""
    command = [find(command[0]) or command[0], *map(str, command[1:])]
    done = subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=seconds,
                          **more)
    said = (done.stdout + done.stderr).decode(errors="replace")
    demand(code is None or done.returncode == code,
           f"{' '.join(command)}: {done.returncode}, {said[-600:]}")
    return said


class Pki:
    """An authority and the certificates that it issues, made by openssl."""

    def __init__(self, stage, name):
        self.stage, self.name, self.count = stage, name, 0
        self.dir = os.path.dirname(stage.path(f"pki-{name}", "x"))
        self.config = stage.write(f"pki-{name}/openssl.cnf", f"""
[req]
distinguished_name = dn
[dn]
[ca]
default_ca = it
[it]
database = {self.dir}/index
new_certs_dir = {self.dir}
rand_serial = yes
unique_subject = no
default_md = sha256
policy = policy
copy_extensions = copy
certificate = {self.dir}/ca.crt
private_key = {self.dir}/ca.key
[policy]
commonName = supplied
""")
        stage.write(f"pki-{name}/index", "")
        self.ca = f"{self.dir}/ca.crt"
        run(["openssl", "req", "-x509", "-config", self.config, *self.kind("ec"), "-days", 30,
             "-keyout", f"{self.dir}/ca.key", "-out", self.ca, "-subj", f"/CN={name}",
             "-addext", "basicConstraints=critical,CA:TRUE",
             "-addext", "keyUsage=critical,keyCertSign,cRLSign"])

    @staticmethod
    def kind(kind):
        """Options of a new key."""
        ec = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        return ["-nodes", "-newkey", *(ec if kind == "ec" else ["rsa:2048"])]

    def issue(self, name, *more, kind="ec", expired=False, use="serverAuth"):
        """A certificate for `name` and further names; gives the files of it and its key."""
        self.count += 1
        base = f"{self.dir}/{self.count}"
        names = [f"IP:{one}" if re.fullmatch(r"[\d.]+", one) else f"DNS:{one}"
                 for one in (name, *more)]
        run(["openssl", "req", "-new", "-config", self.config, *self.kind(kind), "-keyout",
             f"{base}.key", "-out", f"{base}.csr", "-subj", f"/CN={name}",
             "-addext", f"subjectAltName={','.join(names)}", "-addext", f"extendedKeyUsage={use}",
             "-addext", "basicConstraints=critical,CA:FALSE"])
        start = time.time() - 86400 * (60 if expired else 1)
        dates = [time.strftime("%Y%m%d%H%M%SZ", time.gmtime(start + 86400 * days))
                 for days in (0, 30)]
        run(["openssl", "ca", "-batch", "-config", self.config, "-in", f"{base}.csr", "-out",
             f"{base}.crt", "-notext", "-startdate", dates[0], "-enddate", dates[1]])
        return f"{base}.crt", f"{base}.key"


def tls_of(*pairs, more=""):
    """The value of a listener's `tls` for pairs of certificate and key files."""
    return "[" + ", ".join(f'{{ cert = "{cert}", key = "{key}"{more} }}'
                           for cert, key in pairs) + "]"


def cluster(name, *ports, more=""):
    """A cluster of servers at `ports`."""
    servers = ", ".join(f'"127.0.0.1:{port}"' for port in ports)
    return f"[cluster.{name}]\nservers = [{servers}]\n{more}\n"


def app(*ports, more=""):
    """A cluster `app` and a route of everything to it."""
    return cluster("app", *ports, more=more) + '[[route]]\nto = "app"\n'


class Site:
    """Starts servers and proxies for one check."""

    def __init__(self, stage, binary, full):
        self.stage, self.binary, self.full, self.serial = stage, binary, full, 0

    def name(self, kind):
        """A name for files that no other program of the check has."""
        self.serial += 1
        return f"{kind}{self.serial}"

    def pki(self, name="Authority"):
        """A new authority."""
        return Pki(self.stage, name)

    def tidegate(self, listeners, rest, **options):
        """Starts the proxy: `listeners` are lines of configuration by name, `rest` follows."""
        return Tidegate(self, listeners, rest, **options)

    def nginx(self, servers, stream=None):
        """Starts an nginx; `servers` go into `http`, and both texts may hold `{0}`, `{1}`, ... for
        ports, which are given."""
        whole = servers + (stream or "")
        count = 1 + max(int(number) for number in re.findall(r"\{(\d)\}", whole))
        ports = peers.free_ports(count)
        for number, port in enumerate(ports):
            servers = servers.replace(f"{{{number}}}", str(port))
            stream = stream and stream.replace(f"{{{number}}}", str(port))
        process = peers.nginx(self.stage, self.name("nginx"), servers, stream=stream)
        for port in ports:
            peers.wait_listening(port, process)
        return ports

    def haproxy(self, text, count=1):
        """Starts an HAProxy with `count` ports, `{0}` and so on in its configuration."""
        ports = peers.free_ports(count)
        for number, port in enumerate(ports):
            text = text.replace(f"{{{number}}}", str(port))
        head = ("global\n  maxconn 1000\n  stats socket " + self.stage.path("haproxy.sock")
                + "\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 30s\n"
                  "  timeout server 30s\n")
        name = self.name("haproxy")
        conf = self.stage.write(f"{name}.cfg", head + text)
        with open(self.stage.path(f"{name}.log"), "wb") as log:
            process = self.stage.start([find("haproxy"), "-db", "-f", conf], stdout=log, stderr=log)
        for port in ports:
            peers.wait_listening(port, process)
        return ports

    def origin(self):
        """Starts examples/origin.py and gives its port."""
        port, = peers.free_ports(1)
        script = os.path.join(peers.ROOT, "examples", "origin.py")
        process = self.stage.start([sys.executable, script, "--port", str(port)])
        peers.wait_listening(port, process)
        return port

    def serve(self, script):
        """A TCP server of one thread a connection, which `script(socket)` serves; gives its
        port."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=100)

        def serve(peer):
            with peer:
                peer.settimeout(PATIENCE * 2)
                try:
                    script(peer)
                except OSError:
                    pass

        def accept():
            while True:
                peer, _ = listener.accept()
                threading.Thread(target=serve, args=(peer,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return listener.getsockname()[1]


class Tidegate:
    """The proxy under test."""

    def __init__(self, site, listeners, rest, top="max_connections = 1000", timeouts="",
                 workers=1, flags=()):
        self.stage, name = site.stage, site.name("tidegate")
        self.listeners = listeners
        self.ports = dict(zip(listeners, peers.free_ports(len(listeners))))
        self.port = next(iter(self.ports.values()))
        self.access, self.stderr = (self.stage.path(f"{name}.{of}") for of in ("access", "stderr"))
        self.config = self.stage.path(f"{name}.toml")
        self.head = (f'workers = {workers}\n{top}\n[timeouts]\n{timeouts}\n'
                     f'[log]\naccess = "{self.access}"\nformat = "json"\n')
        self.write(rest)
        with open(self.stderr, "wb") as errors:
            self.process = self.stage.start([site.binary, "serve", "-c", self.config, *flags],
                                            stderr=errors)
        try:
            for port in self.ports.values():
                wait_bound(port, self.process, workers)
        except Failed as failure:
            raise Failed(f"{failure}: {self.said()[-1500:]}") from None

    def write(self, rest):
        """Writes the configuration."""
        self.rest = rest
        text = self.head
        for name, lines in self.listeners.items():
            text += f'[listener.{name}]\nbind = "127.0.0.1:{self.ports[name]}"\n{lines}\n'
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(text + rest)

    def reload(self, rest=None):
        """Tells it to read the configuration again, and waits until all workers have it."""
        self.write(self.rest if rest is None else rest)
        before = len(self.said())
        self.process.send_signal(signal.SIGHUP)
        until("it reloads", lambda: "reloaded" in self.said()[before:])
        demand("not reloaded" not in self.said()[before:], self.said()[before:])

    def said(self):
        """Its standard error."""
        with open(self.stderr, encoding="utf-8", errors="replace") as text:
            return text.read()

    def records(self, count):
        """The access log once it has `count` records."""
        def read():
            with open(self.access, encoding="utf-8") as lines:
                text = lines.read()
            lines = text[:text.rfind("\n") + 1].splitlines()
            return lines if len(lines) >= count else None

        lines = until(f"{count} records", read) if count else read() or []
        return [json.loads(line) for line in lines]

    def record(self, count=1):
        """The last of `count` records."""
        records = self.records(count)
        demand(len(records) == count, f"{len(records)} records, not {count}: {records[-3:]}")
        return records[-1]

    def memory(self):
        """Resident KiB."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

    def sound(self):
        """Fails unless it lives and said of no bug of its own."""
        demand(self.process.poll() is None, f"ended with {self.process.poll()}: {self.said()}")
        for word in ("bug of ours", "panic"):
            demand(word not in self.said(), f"it said: {self.said()[-1500:]}")

    def stop(self):
        """Stops it gracefully; it must end with 0, and have said of no bug."""
        self.sound()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        demand(code == 0, f"ended with {code}: {self.said()[-1500:]}")


def sockets():
    """Local address, peer's address and state of every TCP socket, as the kernel writes them. It
    may write a socket twice when others come and go meanwhile."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table][1:]
    # The tenth column is the inode, 0 of all that nobody holds any more.
    return {tuple(row[1:4]) + (row[9],) for row in rows}


def here(port):
    """127.0.0.1:`port` as the kernel writes it. With the address, for a client on another one may
    have drawn the same port."""
    return f"0100007F:{port:04X}"


def wait_bound(port, process, count):
    """Waits until `count` sockets listen on `port`, without a connection, which would be logged."""
    def bound():
        demand(process.poll() is None, f"ended with {process.returncode}")
        return sum(row[0] == here(port) and row[2] == "0A" for row in sockets()) >= count
    until(f"port {port} is bound", bound)


def established(port):
    """How many connections the listener at `port` has that it did not close."""
    return sum(row[0] == here(port) and row[2] in ("01", "08") for row in sockets())


def connected(port):
    """How many established connections lead to `port`."""
    return sum(row[1] == here(port) and row[2] == "01" for row in sockets())


def context(ca=None, pair=None, version=None, alpn=None):
    """Settings of a TLS client; `version` such as "TLSv1_2" is the only one it speaks."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca:
        made.load_verify_locations(ca)
    else:
        made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    if pair:
        made.load_cert_chain(*pair)
    if version:
        made.minimum_version = made.maximum_version = getattr(ssl.TLSVersion, version)
    if alpn:
        made.set_alpn_protocols(alpn)
    return made


def dial(port, tls=None, name="a.example", session=None, source="127.0.0.1"):
    """Connects, with TLS if `tls` is given; a TLS peer that goes without close_notify is an
    error."""
    client = socket.create_connection(("127.0.0.1", port), PATIENCE, (source, 0))
    if not tls:
        return client
    return tls.wrap_socket(client, server_hostname=name, session=session,
                           suppress_ragged_eofs=False)


def request(target="/", host="a.example", fields="", method="GET"):
    """The bytes of a request."""
    return f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n".encode()


class Answer:
    """A response, read whole by http.client."""

    def __init__(self, client, method="GET"):
        response = http.client.HTTPResponse(client, method=method)
        response.begin()
        self.status, self.fields = response.status, response.headers
        self.body = response.read()

    def __repr__(self):
        return f"{self.status} {self.body[:80]!r}"


def ask(client, target="/", host="a.example", fields="", method="GET"):
    """Sends a request and reads the answer."""
    client.sendall(request(target, host, fields, method))
    return Answer(client, method)


def rest(client):
    """Everything until the peer has finished."""
    whole = bytearray()
    while part := client.recv(65536):
        whole += part
    return bytes(whole)


def is_closed(client, seconds=0):
    """Whether the peer closed or reset, without anything sent before."""
    if not select.select([client], [], [], seconds)[0]:
        return False
    try:
        return client.recv(1) == b""
    except OSError:
        return True
