"""How TLS connections live and end under load, reloads and stops."""

import signal
import socket
import ssl
import threading
import time

from common import (Answer, PATIENCE, app, ask, check, cluster, context, demand, dial, peers,
                    request, rest, tls_of, until)

ANSWERS = '[[route]]\nanswer = { status = 200 }\n'


class Raw:
    """A TLS client that says itself when it sends close_notify, and when FIN."""

    def __init__(self, port, tls, name="a.example"):
        self.socket = dial(port)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = tls.wrap_bio(self.incoming, self.outgoing, server_hostname=name)
        self.step(self.tls.do_handshake)

    def step(self, what):
        """Does `what` once the proxy has sent enough; gives what it gives."""
        while True:
            try:
                done = what()
                self.flush()
                return done
            except ssl.SSLWantReadError:
                self.flush()
                part = self.socket.recv(65536)
                if part:
                    self.incoming.write(part)
                else:
                    self.incoming.write_eof()

    def flush(self):
        """Sends what waits."""
        if bytes_ := self.outgoing.read():
            self.socket.sendall(bytes_)

    def recv(self):
        """Bytes, or none after close_notify; an end without it raises."""
        try:
            return self.step(lambda: self.tls.read(65536))
        except ssl.SSLZeroReturnError:
            return b""

    def rest(self):
        """Everything until close_notify."""
        whole = b""
        while part := self.recv():
            whole += part
        return whole


def versions(ca):
    """A context for each version."""
    return [context(ca, version=version) for version in ("TLSv1_2", "TLSv1_3")]


@check("openssl")
def clients_that_finish_first(site):
    """A client's end after a complete request changes nothing: it is answered (RES-6, TLS-3)."""
    pki = site.pki()
    tls = tls_of(pki.issue("a.example"))
    proxy = site.tidegate({"web": f"tls = {tls}", "abort": f"tls = {tls}\nabort_on_close = true"},
                          app(site.origin()))
    for made in versions(pki.ca):
        client = Raw(proxy.port, made)
        client.tls.write(request("/wait/0.3"))
        client.flush()
        # FIN without close_notify: all that was asked for is there.
        client.socket.shutdown(socket.SHUT_WR)
        demand(client.rest().startswith(b"HTTP/1.1 200 "), "FIN took the answer away")
        client.socket.close()
        client = Raw(proxy.ports["abort"], made)
        client.tls.write(request("/wait/1"))
        client.flush()
        client.socket.shutdown(socket.SHUT_WR)
        try:
            demand(client.rest() == b"", "abort_on_close answered")
        except (OSError, ssl.SSLError):
            pass
        client.socket.close()
    ends = sorted(record["ended_by"] for record in proxy.records(4))
    demand(ends == ["client", "client", "nobody", "nobody"], ends)
    proxy.stop()
    return "answered, or given up where the listener says so"


@check("openssl")
def pipelined_requests_over_tls(site):
    """Requests in one record, or cut anywhere over records, are answered in order (REQ-8)."""
    pki = site.pki()
    tls = tls_of(pki.issue("a.example"))
    proxy = site.tidegate({"web": f"tls = {tls}"}, app(site.origin()))
    whole = b"".join(request(f"/{number}") for number in range(20))
    for made in versions(pki.ca):
        for step in (len(whole), 100, 7):
            with dial(proxy.port, made) as client:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for at in range(0, len(whole), step):
                    client.sendall(whole[at:at + step])
                client.sendall(request("/last", fields="Connection: close\r\n"))
                came = rest(client)
            order = [int(part.split(b'"')[0]) for part in came.split(b'"path": "/')[1:-1]]
            demand(order == list(range(20)), f"{step}: {order}")
    proxy.stop()
    return "20 in a row, three cuts, both versions"


@check("openssl")
def a_slow_reader_over_tls(site):
    """Readers that stop hold no more than their buffers, and get every byte (REQ-9)."""
    pki = site.pki()
    tls = tls_of(pki.issue("a.example"))
    proxy = site.tidegate({"web": f"tls = {tls}"}, app(site.origin()),
                          top='max_connections = 200\nbuffers = { size = "16KiB", count = 200 }')
    made, size = context(pki.ca), 8 << 20
    with dial(proxy.port, made) as client:
        ask(client)
    before = proxy.memory()
    clients = []
    for _ in range(20):
        client = dial(proxy.port, made)
        client.sendall(request(f"/bytes/{size}", fields="Connection: close\r\n"))
        clients.append(client)
    time.sleep(1)
    grown = proxy.memory() - before
    for client in clients:
        with client:
            demand(len(Answer(client).body) == size, "bytes are missing")
    demand(grown < 16 * 1024, f"20 readers that stop cost {grown} KiB")
    proxy.stop()
    return f"20 of them cost {grown} KiB"


@check("openssl")
def stopping_says_goodbye(site):
    """A graceful stop ends idle connections and begun requests by close_notify (RUN-2, TLS-3)."""
    pki = site.pki()
    tls = tls_of(pki.issue("a.example"))
    proxy = site.tidegate({"web": f"tls = {tls}", "tcp": f'tls = {tls}\nprotocol = "tcp"\n'
                           'to = "app"'}, app(site.origin()), timeouts='drain = "3s"')
    made = context(pki.ca)
    idle, busy, tunnel = (dial(port, made) for port in
                          (proxy.port, proxy.port, proxy.ports["tcp"]))
    with idle, busy, tunnel:
        demand(ask(idle).status == ask(tunnel).status == 200, "not served")
        busy.sendall(request("/wait/1"))
        time.sleep(0.2)
        proxy.process.send_signal(signal.SIGTERM)
        # Each of these raises where close_notify is missing.
        demand(rest(idle) == b"", "bytes on an idle connection")
        answer = rest(busy)
        demand(answer.startswith(b"HTTP/1.1 200 ") and b"Connection: close" in answer, answer)
        demand(ask(tunnel).status == 200, "the tunnel was cut at once")
        try:
            rest(tunnel)
        except (OSError, ssl.SSLError) as error:
            raise peers.Failed(f"the tunnel ended without close_notify: {error!r}") from None
    demand(proxy.process.wait(PATIENCE) == 0, proxy.said())
    return "idle, busy, and a tunnel at its deadline"


@check("wrk", "nginx", "openssl")
def reloads_under_load(site):
    """Certificates swapped a hundred times under wrk: no request fails (TLS-1, RUN-1)."""
    pki = site.pki()
    pairs = [pki.issue("a.example", "127.0.0.1", kind=kind) for kind in ("ec", "ec", "rsa")]
    cert, key = pki.issue("a.example", "127.0.0.1")
    port, = site.nginx('server { listen 127.0.0.1:{0}; keepalive_requests 1000000; '
                       'location / { return 200 "x"; } }')
    proxy = site.tidegate({"web": f"tls = {tls_of((cert, key))}"}, app(port), workers=2)
    over = threading.Event()
    counts = []

    def newcomers():
        """New handshakes all the while, each of which must succeed."""
        made, count = context(pki.ca), 0
        while not over.is_set():
            with dial(proxy.port, made) as client:
                demand(ask(client).status == 200, "not served")
            count += 1
        counts.append(count)

    def swap():
        """Reloads until the load is over."""
        for number in range(100):
            for new, old in zip(pairs[number % 3], (cert, key)):
                with open(new, "rb") as source, open(old, "wb") as into:
                    into.write(source.read())
            proxy.reload()
            if over.wait(0.02):
                break
        counts.append(number + 1)

    threads = [threading.Thread(target=one) for one in (newcomers, swap)]
    for thread in threads:
        thread.start()
    result = peers.wrk(site.stage, f"https://127.0.0.1:{proxy.port}/", 5, connections=32)
    over.set()
    for thread in threads:
        thread.join()
    demand(len(counts) == 2, "a newcomer or a reload failed")
    demand(result["errors"] == 0 and result["requests"] > 0, result)
    proxy.stop()
    return f"{result['requests']} requests, {sorted(counts)} reloads and handshakes"


@check("openssl")
def tls_waits_in_the_accept_queue(site):
    """With `max_connections = 1` TLS clients are served one after the other (ACC-5, ACC-7)."""
    pki = site.pki()
    tls = tls_of(pki.issue("a.example"))
    proxy = site.tidegate({"web": f"tls = {tls}"}, ANSWERS, top="max_connections = 1")
    made, got = context(pki.ca), []

    def get():
        with dial(proxy.port, made) as client:
            client.sendall(request(fields="Connection: close\r\n"))
            got.append(rest(client)[9:12])

    threads = [threading.Thread(target=get) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    demand(got == [b"200"] * 20, got)
    proxy.stop()
    return "20 in turn"


@check("openssl")
def listeners_change_their_kind(site):
    """A listener gets TLS, other keys and another protocol by HUP; live ones go on (SES-1)."""
    pki = site.pki()
    tls = f'tls = {tls_of(pki.issue("a.example"))}'
    clusters = cluster("app", site.origin())
    proxy = site.tidegate({"web": ""}, clusters + '[[route]]\nto = "app"\n')
    made = context(pki.ca)
    with dial(proxy.port) as plain:
        demand(ask(plain).status == 200, "plain")
        proxy.listeners["web"] = tls
        proxy.reload()
        demand(ask(plain).status == 200, "the plain connection was closed")
        with dial(proxy.port, made) as secure:
            demand(ask(secure).status == 200, "TLS after the reload")
            proxy.listeners["web"] = 'protocol = "tcp"\nto = "app"'
            proxy.reload(clusters)
            with dial(proxy.port) as tunnel:
                demand(ask(tunnel).status == 200, "a tunnel after the reload")
                proxy.listeners["web"] = ""
                proxy.reload(clusters + '[[route]]\nto = "app"\n')
                demand(ask(tunnel).status == 200, "the tunnel was cut")
            demand(ask(secure).status == 200, "the TLS connection was closed")
        demand(ask(plain).status == 200, "the plain connection was closed")
    until("all are logged", lambda: len(proxy.records(0)) == 6)
    proxy.stop()
    return "http, https, tcp, http"
