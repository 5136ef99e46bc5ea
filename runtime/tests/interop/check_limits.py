"""Limits: connections of a server with the line in front of it, and of a client's address."""

import threading
import time

from common import (PATIENCE, ask, check, cluster, connected, context, demand, dial, is_closed,
                    request, rest, tls_of, until)

TCP = 'protocol = "tcp"\nto = "app"'


def limited(port, count, capacity):
    """A cluster of one server that takes `count` connections, with a line of `capacity`."""
    server = f'{{ addr = "127.0.0.1:{port}", max_connections = {count} }}'
    return (f'[cluster.app]\nservers = [{server}]\n'
            f'queue = {{ capacity = {capacity} }}\n')


def at_once(count, ask_once):
    """Runs `ask_once` in so many threads and gives what they got."""
    got = []
    threads = [threading.Thread(target=lambda: got.append(ask_once())) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return got


@check()
def requests_stand_in_line(site):
    """A slow server never has more than `max_connections`; others wait, or get 503 (BACK-9)."""
    release, seen, most, got = threading.Event(), [0], [0], []

    def slow(peer):
        while b"\r\n\r\n" in peer.recv(4096):
            seen[0] += 1
            release.wait(PATIENCE)
            most[0] = max(most[0], connected(port))
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    port = site.serve(slow)
    proxy = site.tidegate({"web": ""}, limited(port, 2, 5) + '[[route]]\nto = "app"\n',
                          timeouts='backend_queue = "20s"')

    def get():
        with dial(proxy.port) as client:
            got.append(ask(client).status)

    threads = [threading.Thread(target=get) for _ in range(12)]
    for thread in threads:
        thread.start()
    until("five are refused", lambda: len(got) == 5)
    demand(got == [503] * 5 and seen[0] == 2, f"{got}, {seen[0]} at the server")
    time.sleep(0.2)
    release.set()
    for thread in threads:
        thread.join()
    demand(sorted(got) == [200] * 7 + [503] * 5, f"2 served, 5 in line, 5 refused: {sorted(got)}")
    demand(0 < most[0] <= 2, f"{most[0]} connections at once")
    waited = [record["queue_ms"] for record in proxy.records(12) if record["status"] == 200]
    demand(max(waited) > 100, f"nobody waited: {waited}")
    # The line has drained: the next ones are served, one after the other.
    for _ in range(4):
        get()
    demand(got[12:] == [200] * 4, "not served afterwards")
    proxy.stop()
    return "7 served, 5 answered 503, never more than 2 at the server"


@check()
def the_line_has_a_timer(site):
    """Who waits longer than `backend_queue` gets 503, and the log says why (SES-3)."""
    origin = site.origin()
    proxy = site.tidegate({"web": ""}, limited(origin, 1, 5) + '[[route]]\nto = "app"\n',
                          timeouts='backend_queue = "300ms"')
    with dial(proxy.port) as slow, dial(proxy.port) as waits:
        slow.sendall(request("/wait/2"))
        until("it is at the server", lambda: connected(origin) == 1)
        demand(ask(waits).status == 503, "no 503")
        demand(proxy.record()["timer"] == "backend_queue", proxy.record())
        demand(slow.recv(12) == b"HTTP/1.1 200", "the slow one was cut")
    proxy.stop()
    return "503, backend_queue"


@check()
def tunnels_stand_in_line(site):
    """The same line for TCP: a connection waits for one that ends, or is closed (BACK-9)."""
    port = site.serve(lambda peer: (peer.sendall(b"hello"), peer.recv(1)))
    proxy = site.tidegate({"web": TCP}, limited(port, 1, 1), timeouts='backend_queue = "3s"')
    with dial(proxy.port) as first:
        demand(first.recv(5) == b"hello", "the first")
        with dial(proxy.port) as second:
            demand(not is_closed(second, 0.2), "the second does not wait")
            with dial(proxy.port) as third:
                demand(rest(third) == b"", "the third: the line holds one")
            first.close()
            demand(second.recv(5) == b"hello", "the second was not served")
            with dial(proxy.port) as fourth:
                demand(rest(fourth) == b"", "the fourth waits for ever")
    timers = [record["timer"] for record in proxy.records(4)]
    demand("backend_queue" in timers, timers)
    proxy.stop()
    return "one served, one waited, two closed"


@check()
def limits_hold_under_load(site):
    """Two servers with limits under load: neither has more connections than allowed (BACK-9)."""
    one, two = (site.origin() for _ in range(2))
    servers = ", ".join(f'{{ addr = "127.0.0.1:{port}", max_connections = 4 }}'
                        for port in (one, two))
    proxy = site.tidegate({"web": ""}, f"[cluster.app]\nservers = [{servers}]\n"
                          '[[route]]\nto = "app"\n', workers=2)
    stop, most = threading.Event(), [0]

    def watch():
        while not stop.is_set():
            most[0] = max(most[0], *(connected(port) for port in (one, two)))
            time.sleep(0.01)

    def get():
        with dial(proxy.port) as client:
            return [ask(client, "/wait/0.01").status for _ in range(5)]

    watcher = threading.Thread(target=watch)
    watcher.start()
    got = at_once(40, get)
    stop.set()
    watcher.join()
    demand(all(status == 200 for part in got for status in part), got)
    demand(most[0] <= 4, f"{most[0]} connections to one server")
    proxy.stop()
    return f"200 requests, at most {most[0]} connections to a server"


@check("openssl")
def an_address_has_its_share(site):
    """`max_connections_per_ip`: 429 with Retry-After, over TLS too, and a close on TCP (ACC-9)."""
    pki = site.pki()
    tls = tls_of(pki.issue("a.example"))
    greets = site.serve(lambda peer: (peer.sendall(b"hello"), peer.recv(1)))
    limit = "max_connections_per_ip = 2"
    proxy = site.tidegate({"web": limit, "secure": f"{limit}\ntls = {tls}",
                           "tcp": f"{TCP}\n{limit}"},
                          cluster("app", greets) + "[[route]]\nanswer = { status = 200 }\n")
    for name, made in (("web", None), ("secure", context(pki.ca))):
        held = [dial(proxy.ports[name], made) for _ in range(2)]
        demand(all(ask(client).status == 200 for client in held), "within the limit")
        with dial(proxy.ports[name], made) as third:
            answer = ask(third)
            demand(answer.status == 429 and answer.fields["Retry-After"], answer)
        with dial(proxy.ports[name], made, source="127.0.0.9") as other:
            demand(ask(other).status == 200, "another address")
        for client in held:
            client.close()
        until("there is room again", lambda n=name, m=made: served(proxy.ports[n], m))
    with dial(proxy.ports["tcp"]) as one, dial(proxy.ports["tcp"]) as two:
        demand(one.recv(5) == two.recv(5) == b"hello", "within the limit")
        with dial(proxy.ports["tcp"]) as third:
            demand(rest(third) == b"", "the third was served")
        with dial(proxy.ports["tcp"], source="127.0.0.9") as other:
            demand(other.recv(5) == b"hello", "another address")
    proxy.stop()
    return "429, 429 over TLS, closed"


def served(port, made):
    """Whether a new connection is served."""
    with dial(port, made) as client:
        return ask(client).status == 200


@check()
def a_drained_server_empties_its_line(site):
    """Who stands in line goes to a server that a reload brings (BACK-9, RUN-1)."""
    slow, quick = site.origin(), site.origin()
    proxy = site.tidegate({"web": ""}, limited(slow, 1, 5) + '[[route]]\nto = "app"\n',
                          timeouts='backend_queue = "10s"')
    got = []
    with dial(proxy.port) as first:
        first.sendall(request("/wait/4"))
        until("it is at the server", lambda: connected(slow) == 1)
        waits = threading.Thread(target=lambda: got.append(served(proxy.port, None)))
        waits.start()
        time.sleep(0.3)
        proxy.reload(cluster("app", quick) + '[[route]]\nto = "app"\n')
        demand(served(proxy.port, None), "a new request")
        first.settimeout(20)
        demand(first.recv(12) == b"HTTP/1.1 200", "the one in flight was cut")
        waits.join()
    demand(got == [True], "who stood in line was not served")
    proxy.stop()
    return "served"
