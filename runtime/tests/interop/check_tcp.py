"""TCP listeners: what goes in comes out, in order, to its end (TUN-1, TUN-2, TLS-5)."""

import hashlib
import random
import socket
import threading
import time

from common import (PATIENCE, ask, check, cluster, context, demand, dial, is_closed, peers, rest,
                    run, tls_of, until)

TCP = 'protocol = "tcp"\nto = "app"'
BULK = random.Random(1).randbytes(8 << 20)


def digest(bytes_):
    """A checksum."""
    return hashlib.sha256(bytes_).hexdigest()


@check("socat")
def half_close_is_relayed(site):
    """socat runs sha256sum, which answers only after the client's FIN (TUN-2)."""
    port, = peers.free_ports(1)
    process = site.stage.start(["socat", f"TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork",
                                "EXEC:sha256sum"])
    peers.wait_listening(port, process)
    proxy = site.tidegate({"web": TCP}, cluster("app", port), workers=2)
    for size in (0, 1, 16384, 16385, len(BULK)):
        said = run(["socat", "-t60", "-", f"TCP:127.0.0.1:{proxy.port}"], stdin=BULK[:size])
        demand(said.split()[0] == digest(BULK[:size]), f"{size} bytes: {said}")
    for record in proxy.records(5):
        told = record["protocol"], record["ended_by"], record["status"], record["method"]
        demand(told == ("tcp", "nobody", None, None), record)
    demand(record["received_bytes"] == len(BULK), record)
    proxy.stop()
    return "five sizes"


@check()
def the_servers_half_close_is_relayed(site):
    """A server that finishes first still gets all that the client sends (TUN-2)."""
    seen = []
    done = threading.Event()

    def serve(peer):
        peer.sendall(b"first and last")
        peer.shutdown(socket.SHUT_WR)
        seen.append(digest(rest(peer)))
        done.set()

    pki = site.pki()
    tls = tls_of(pki.issue("a.example"))
    proxy = site.tidegate({"web": TCP, "secure": f"{TCP}\ntls = {tls}"},
                          cluster("app", site.serve(serve)))
    with dial(proxy.port) as client:
        demand(rest(client) == b"first and last", "the server's bytes")
        client.sendall(BULK)
        client.shutdown(socket.SHUT_WR)
        demand(done.wait(PATIENCE), "the server saw no end")
    demand(seen == [digest(BULK)], "the server got other bytes")
    # Python's ssl cannot send after close_notify came, but must see one.
    with dial(proxy.ports["secure"], context(pki.ca)) as client:
        demand(rest(client) == b"first and last", "the server's bytes through TLS")
    proxy.stop()
    return "8 MiB after the server's FIN"


@check()
def both_ways_at_once(site):
    """Bulk both ways at once with slow readers; memory stays bounded (TUN-1)."""
    def serve(peer):
        writer = threading.Thread(target=lambda: (peer.sendall(BULK),
                                                  peer.shutdown(socket.SHUT_WR)))
        writer.start()
        time.sleep(0.3)
        seen.append(digest(rest(peer)))
        writer.join()

    seen = []
    proxy = site.tidegate({"web": TCP}, cluster("app", site.serve(serve)), workers=2,
                          top='max_connections = 200\nbuffers = { size = "16KiB", count = 400 }')
    before = proxy.memory()

    def converse():
        with dial(proxy.port) as client:
            writer = threading.Thread(target=lambda: (client.sendall(BULK),
                                                      client.shutdown(socket.SHUT_WR)))
            writer.start()
            time.sleep(0.5)
            got.append(digest(rest(client)))
            writer.join()

    got = []
    threads = [threading.Thread(target=converse) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until("servers are done", lambda: len(seen) == 12)
    demand(set(seen) == set(got) == {digest(BULK)}, "other bytes came")
    grown = proxy.memory() - before
    demand(grown < 24 * 1024, f"memory grew by {grown} KiB")
    proxy.stop()
    return f"12 times 8 MiB each way, memory grew by {grown} KiB"


@check()
def dead_servers_are_passed_over(site):
    """A connection attempt that fails is made again at another server (BACK-2)."""
    dead, gone = peers.free_ports(2)
    live = site.serve(lambda peer: peer.sendall(b"here"))
    proxy = site.tidegate({"web": TCP}, cluster("app", dead, live, gone))
    for count in range(1, 7):
        with dial(proxy.port) as client:
            demand(rest(client) == b"here", "not served")
        demand(proxy.record(count)["server"].endswith(str(live)), proxy.record(count))
    demand(max(record["attempts"] for record in proxy.records(6)) > 1, "none was tried twice")
    proxy.reload(cluster("app", dead, gone))
    with dial(proxy.port) as client:
        demand(rest(client) == b"", "served by nobody")
    record = proxy.record(7)
    demand((record["attempts"], record["phase"]) == (3, "connect"), record)
    proxy.stop()
    return "six served, one closed after three attempts"


@check()
def clients_keep_their_server(site):
    """`balance = "source"`: an address keeps its server, and few move when one comes (1/n)."""
    ports = [site.serve(lambda peer, name=name: peer.sendall(bytes([name]))) for name in range(5)]
    source = 'balance = "source"'
    proxy = site.tidegate({"web": TCP}, cluster("app", *ports[:4], more=source), workers=2)

    def places():
        found = []
        for number in range(2, 82):
            with dial(proxy.port, source=f"127.0.0.{number}") as client:
                found.append(rest(client))
        return found

    first = places()
    demand(first == places(), "they do not keep their servers")
    demand(len(set(first)) == 4, f"not all servers: {first}")
    proxy.reload(cluster("app", *ports, more=source))
    second = places()
    moved = [now for before, now in zip(first, second) if before != now]
    demand(set(moved) == {b"\4"}, f"some moved to an old server: {moved}")
    demand(len(moved) < 40, f"{len(moved)} of 80 moved")
    proxy.stop()
    return f"{len(moved)} of 80 moved to the fifth"


def secure(pair, name):
    """An nginx server with TLS that says its name."""
    return (f"server {{ listen 127.0.0.1:{{{name}}} ssl; ssl_certificate {pair[0]}; "
            f"ssl_certificate_key {pair[1]}; location / {{ return 200 "
            f'"server {name} $ssl_server_name"; }} }}\n')


@check("nginx", "openssl", "curl")
def names_choose_servers(site):
    """SNI pass-through to two nginx by name, exact, wildcard and default (TLS-5)."""
    pkis = [site.pki(f"Authority{number}") for number in range(3)]
    names = ("a.example", "*.b.example", "other.example")
    ports = site.nginx("".join(secure(pki.issue(name), number)
                               for number, (pki, name) in enumerate(zip(pkis, names))))
    sni = 'sni = { "a.example" = "a", "*.b.example" = "b" }'
    proxy = site.tidegate({"web": f'{TCP}\n{sni}', "strict": f'protocol = "tcp"\n{sni}'},
                          cluster("a", ports[0]) + cluster("b", ports[1])
                          + cluster("app", ports[2]))

    def curl(port, name, number, code=0):
        said = run(["curl", "-sS", "--cacert", pkis[number].ca, "--connect-to",
                    f"::127.0.0.1:{port}", f"https://{name}/"], code=code)
        demand(code or said == f"server {number} {name}", f"{name}: {said}")

    for name, number in (("a.example", 0), ("x.b.example", 1), ("other.example", 2)):
        curl(proxy.port, name, number)
    for name, number in (("a.example", 0), ("y.b.example", 1)):
        curl(proxy.ports["strict"], name, number)
    # 35: the handshake failed.
    curl(proxy.ports["strict"], "other.example", 2, code=35)
    record = proxy.records(5)[0]
    demand((record["host"], record["tls"], record["cluster"]) == ("a.example", None, "a"), record)
    said = run(["openssl", "s_client", "-connect", f"127.0.0.1:{proxy.port}", "-noservername"])
    demand("CN = other.example" in said, f"no default without a name: {said[:300]}")
    with dial(proxy.ports["strict"]) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        until("plain text is closed", lambda: is_closed(client, 0.1))
    proxy.stop()
    return "two names, a default, and closed"


@check("nginx", "openssl")
def a_hello_in_pieces(site):
    """A ClientHello that comes byte by byte, or in many records, is read whole (TLS-5)."""
    pki = site.pki()
    port, = site.nginx(secure(pki.issue("a.example"), 0))
    proxy = site.tidegate({"web": 'protocol = "tcp"\nsni = { "a.example" = "a" }'},
                          cluster("a", port))

    def trickle(client, step, refragment):
        """Passes bytes between `client` and the proxy, `step` at a time."""
        with dial(proxy.port) as there:
            hello = client.recv(65536)
            if refragment:
                hello = b"".join(hello[:3] + len(part).to_bytes(2, "big") + part for part in
                                 (hello[at:at + 40] for at in range(5, len(hello), 40)))
            there.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for at in range(0, len(hello), step):
                there.sendall(hello[at:at + step])
                time.sleep(0.001)
            back = threading.Thread(target=pump, args=(there, client))
            back.start()
            pump(client, there)
            back.join()

    for step, refragment in ((1, False), (100, False), (7, True)):
        relay = site.serve(lambda peer, s=step, r=refragment: trickle(peer, s, r))
        with dial(relay, context(pki.ca)) as client:
            demand(ask(client, fields="Connection: close\r\n").body == b"server 0 a.example",
                   f"{step} {refragment}")
    proxy.stop()
    return "bytes, pieces, records of 40 bytes"


def pump(source, into):
    """Passes bytes on until the end."""
    try:
        while part := source.recv(65536):
            into.sendall(part)
        into.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@check()
def tunnels_survive_reloads_and_stop(site):
    """A tunnel lives through reloads; a graceful stop gives it until `drain` (RUN-1, RUN-2)."""
    def echo(peer):
        while part := peer.recv(4096):
            peer.sendall(part)

    port = site.serve(echo)
    proxy = site.tidegate({"web": TCP}, cluster("app", port), timeouts='drain = "2s"', workers=2)
    with dial(proxy.port) as client:
        for number in range(20):
            client.sendall(b"%d" % number)
            demand(client.recv(99) == b"%d" % number, "no echo")
            # The tunnel's own server goes away, and comes back.
            proxy.reload(cluster("app", *([] if number % 2 else [port]), peers.free_ports(1)[0]))
        proxy.process.send_signal(15)
        until("it stops listening", lambda: "stopping" in proxy.said())
        client.sendall(b"still")
        demand(client.recv(99) == b"still", "closed at once")
        until("the deadline cuts it", lambda: is_closed(client, 0.1))
    demand(proxy.process.wait(PATIENCE) == 0, proxy.said())
    demand("1 " in proxy.said().splitlines()[-1], f"the cut is not told: {proxy.said()}")
    return "20 reloads, cut by drain"
