"""WebSocket between python's websockets and Node's ws, in front and behind (TUN-3)."""

import json
import os
import subprocess
import sys
import time

from common import (HERE, LIBRARIES, Answer, app, ask, check, context, demand, dial, find,
                    is_closed, peers, request, run, tls_of, until)

ENVIRONMENT = dict(os.environ, PYTHONPATH=os.path.join(LIBRARIES, "python"),
                   NODE_PATH=os.path.join(LIBRARIES, "node", "node_modules"))
MESSAGES = 10_000
UPGRADE = ("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")


def peer(kind):
    """The command of one side."""
    program, script = {"python": (sys.executable, "ws_peer.py"),
                       "node": (find("node"), "ws_peer.js")}[kind]
    return [program, os.path.join(HERE, script)]


def server(site, kind):
    """Starts an echo server and gives its port."""
    port, = peers.free_ports(1)
    # The stage's programs have this process's environment.
    os.environ.update(ENVIRONMENT)
    process = site.stage.start([*peer(kind), "server", str(port)],
                               stderr=subprocess.DEVNULL)
    peers.wait_listening(port, process)
    return port


def converse(site, client, behind, tls):
    """A conversation of many messages through a listener with TLS or without."""
    pki = site.pki()
    ports = [server(site, behind)]
    listener = f'tls = {tls_of(pki.issue("a.example"))}' if tls else ""
    proxy = site.tidegate({"web": listener}, app(*ports), workers=2)
    url = f"wss://a.example:{proxy.port}/" if tls else f"ws://127.0.0.1:{proxy.port}/"
    said = run([*peer(client), "client", url, MESSAGES, *([pki.ca] if tls else [])],
               env=ENVIRONMENT)
    told = json.loads(said.splitlines()[-1])
    demand(told["messages"] == MESSAGES, told)
    records = proxy.records(2)
    for record in records:
        demand((record["status"], record["ended_by"]) == (101, "nobody"), record)
    demand(max(record["received_bytes"] for record in records) > told["units"], records)
    proxy.stop()
    return f"{MESSAGES} messages, {told['units'] >> 20} Mi of text and bytes, {told['pings']} pings"


@check("python3", "python-websockets")
def python_to_python(site):
    """10,000 messages of all sizes, text and binary, fragments, pings, both closes."""
    return converse(site, "python", "python", False)


@check("node", "node-ws")
def node_to_node_over_tls(site):
    """10,000 messages of all sizes through a TLS listener."""
    return converse(site, "node", "node", True)


@check("python3", "python-websockets", "node", "node-ws")
def python_to_node_over_tls(site):
    """10,000 messages of all sizes, another client through a TLS listener."""
    return converse(site, "python", "node", True)


@check("python3", "python-websockets", "node", "node-ws")
def node_to_python(site):
    """10,000 messages of all sizes, the other way round."""
    return converse(site, "node", "python", False)


@check("nginx")
def a_refused_upgrade_leaves_http(site):
    """A server that does not switch answers as HTTP does, and the connection stays usable."""
    port, = site.nginx('server { listen 127.0.0.1:{0}; location / { return 200 "plain"; }\n'
                       'location /no { return 403 "no"; } }')
    pki = site.pki()
    tls = tls_of(pki.issue("a.example"))
    proxy = site.tidegate({"web": "", "secure": f"tls = {tls}"}, app(port))
    for client in (dial(proxy.ports["web"]), dial(proxy.ports["secure"], context(pki.ca))):
        with client:
            for target, status in (("/", 200), ("/no", 403), ("/", 200)):
                demand(ask(client, target, fields=UPGRADE).status == status, target)
                demand(ask(client).body == b"plain", "the connection is not usable")
    for record in proxy.records(12):
        demand(record["phase"] == "complete", record)
    proxy.stop()
    return "twelve requests on two connections"


@check("python3", "python-websockets")
def bytes_behind_the_request_come_in_order(site):
    """Frames sent right behind the upgrade request reach the server after its 101 (TUN-3)."""
    proxy = site.tidegate({"web": ""}, app(server(site, "python")))
    hello = b"\x81\x85\0\0\0\0hello"
    for cut in (0, 1, 5, len(hello)):
        with dial(proxy.port) as client:
            client.sendall(request(fields=UPGRADE) + hello[:cut])
            time.sleep(0.05)
            client.sendall(hello[cut:])
            came = b""
            while not came.endswith(b"\x81\x05hello"):
                part = client.recv(4096)
                demand(part, f"cut at {cut}: ended after {came!r}")
                came += part
            demand(came.startswith(b"HTTP/1.1 101 "), came)
    proxy.stop()
    return "four cuts"


@check("python3", "python-websockets")
def tunnels_end(site):
    """A tunnel that carries nothing ends after `tunnel_idle`; others go on through reloads."""
    proxy = site.tidegate({"web": ""}, app(server(site, "python")), timeouts='tunnel_idle = "2s"')
    with dial(proxy.port) as quiet, dial(proxy.port) as busy:
        for client in (quiet, busy):
            client.sendall(request(fields=UPGRADE))
            demand(client.recv(4096).startswith(b"HTTP/1.1 101 "), "no upgrade")
        proxy.reload(proxy.rest.replace("[[route]]", '[[route]]\nhost = "elsewhere.example"'))

        def ended():
            busy.sendall(b"\x81\x82\0\0\0\0hi")
            demand(busy.recv(4096), "the busy one was closed")
            return is_closed(quiet, 0.2)
        until("the quiet one ends", ended)
        demand(proxy.record()["timer"] == "tunnel_idle", proxy.record())
    proxy.stop()
    return "the quiet one alone"


@check("curl", "nginx")
def other_upgrades_are_stripped(site):
    """h2c is not passed on, and a request that asks for nothing gets no 101 (TUN-3, REQ-7)."""
    port, = site.nginx('server { listen 127.0.0.1:{0}; location / { '
                       'return 200 "[$http_upgrade|$http_connection|$http_http2_settings]"; } }')
    eager = site.serve(lambda peer: (peer.recv(4096), peer.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"),
        peer.recv(1)))
    proxy = site.tidegate({"web": ""}, app(port))
    said = run(["curl", "-sS", "--http2", f"http://127.0.0.1:{proxy.port}/"])
    demand(said.startswith("[|") and said.endswith("|]") and "pgrade" not in said, said)
    proxy.stop()
    proxy = site.tidegate({"web": ""}, app(eager))
    with dial(proxy.port) as client:
        demand(ask(client).status == 502, "a 101 that nobody asked for")
    with dial(proxy.port) as client:
        client.sendall(request(fields=UPGRADE.replace("websocket", "h2c")))
        demand(Answer(client).status == 502, "a 101 to h2c")
    proxy.stop()
    return "stripped, 502"
