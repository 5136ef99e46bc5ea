"""The PROXY protocol: HAProxy and nginx as senders and receivers on both sides (PP-1)."""

import json
import socket
import struct
import time

from common import (Answer, app, ask, check, cluster, context, demand, dial, is_closed, request,
                    rest, tls_of, until)

CLIENT = "127.0.0.5"
EXPECT = 'proxy_protocol = "expect"'
V2_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def sender(site, to, options, mode="http", listen=""):
    """An HAProxy that sends to port `to` with the given options of its `server` line."""
    return site.haproxy(f"""
listen it
  mode {mode}
  bind 127.0.0.1:{{0}} {listen}
  server s 127.0.0.1:{to} {options}
""")[0]


def receiver(site, mode="http"):
    """An HAProxy that expects a header and answers with what it says."""
    return site.haproxy(f"""
listen it
  mode {mode}
  bind 127.0.0.1:{{0}} accept-proxy
  http-request return status 200 content-type text/plain lf-string \
"%[src]|%[src_port]|%[dst]|%[dst_port]|%[fc_pp_authority]|%[fc_pp_unique_id]|"
""")[0]


def asks(port, source=CLIENT, tls=None, **more):
    """One request from `source`; gives the answer and the client's port."""
    with dial(port, tls, source=source) as client:
        own = client.getsockname()[1]
        return ask(client, **more), own


@check("haproxy")
def haproxy_announces_to_http(site):
    """The announced address is in the log, in X-Forwarded-For and sent on; v1 and v2."""
    proxy = site.tidegate({"web": EXPECT}, app(site.origin()))
    for count, options in enumerate(("send-proxy", "send-proxy-v2",
                                     "send-proxy-v2 proxy-v2-options crc32c,unique-id,authority"),
                                    1):
        port = sender(site, proxy.port, options)
        answer, own = asks(port)
        demand(answer.status == 200, answer)
        fields = json.loads(answer.body)["headers"]
        demand(fields["X-Forwarded-For"] == CLIENT, fields)
        demand(proxy.record(count)["client"] == f"{CLIENT}:{own}", proxy.record(count))
    proxy.stop()
    return "v1, v2, v2 with TLVs"


@check("nginx", "libnginx-mod-stream")
def nginx_announces_to_http(site):
    """nginx's stream module as the sender (version 1)."""
    proxy = site.tidegate({"web": EXPECT}, app(site.origin()))
    port, = site.nginx("", stream=f"server {{ listen 127.0.0.1:{{0}}; "
                       f"proxy_pass 127.0.0.1:{proxy.port}; proxy_protocol on; }}")
    # nginx was waited for with a connection, which sent a header and no request.
    answer, own = asks(port)
    demand(json.loads(answer.body)["headers"]["X-Forwarded-For"] == CLIENT, answer)
    demand(any(record["client"] == f"{CLIENT}:{own}" for record in proxy.records(1)), "not logged")
    proxy.stop()
    return CLIENT


@check("haproxy", "nginx", "libnginx-mod-stream")
def servers_are_told_the_client(site):
    """HAProxy and nginx as receivers of v1 and v2, from HTTP and TCP listeners."""
    nginx, = site.nginx('server { listen 127.0.0.1:{0} proxy_protocol; location / { return 200 '
                        '"$proxy_protocol_addr|$proxy_protocol_port|$proxy_protocol_server_addr|'
                        '$proxy_protocol_server_port|"; } }')
    haproxy = receiver(site)
    for version in ("v1", "v2"):
        for server in (nginx, haproxy):
            proxy = site.tidegate({"web": "", "tcp": 'protocol = "tcp"\nto = "app"'},
                                  app(server, more=f'proxy_protocol = "{version}"'))
            for listener, at in proxy.ports.items():
                answer, own = asks(at)
                told = answer.body.decode().split("|")
                demand(told[:4] == [CLIENT, str(own), "127.0.0.1", str(at)],
                       f"{version} {listener}: {told}")
            proxy.stop()
    return "v1 and v2, HTTP and TCP"


@check("haproxy")
def headers_are_relayed(site):
    """HAProxy before and behind: address and TLVs come through (PP-1)."""
    haproxy = receiver(site)
    for listener, version in (("web", "v1"), ("web", "v2"), ("tcp", "v1"), ("tcp", "v2")):
        proxy = site.tidegate({"web": EXPECT, "tcp": f'protocol = "tcp"\nto = "app"\n{EXPECT}'},
                              app(haproxy, more=f'proxy_protocol = "{version}"'))
        front = sender(site, proxy.ports[listener], "send-proxy-v2 proxy-v2-options unique-id",
                       listen="\n  option httpclose\n  unique-id-format %[src]-unique-7")
        answer, own = asks(front)
        told = answer.body.decode().split("|")
        demand(told[:4] == [CLIENT, str(own), "127.0.0.1", str(front)], told)
        unique = f"{CLIENT}-unique-7" if version == "v2" else ""
        demand(told[5] == unique, f"{listener} {version}: {told}")
        proxy.stop()
    return "the sender's address, and its unique id in v2"


@check("haproxy", "curl")
def tls_behind_a_header(site):
    """A header, then TLS, then HTTP: ExpectProxy -> TlsHandshake -> Http (SES-2)."""
    pki = site.pki()
    proxy = site.tidegate({"web": f'{EXPECT}\ntls = {tls_of(pki.issue("a.example"))}'},
                          app(site.origin()))
    for count, options in enumerate(("send-proxy", "send-proxy-v2"), 1):
        front = sender(site, proxy.port, options, mode="tcp")
        answer, own = asks(front, tls=context(pki.ca))
        demand(json.loads(answer.body)["headers"]["X-Forwarded-For"] == CLIENT, answer)
        # HAProxy sends no connection of its own: the only records are those asked for.
        record = proxy.record(count)
        demand((record["client"], record["tls"]) == (f"{CLIENT}:{own}", "TLSv1.3"), record)
    proxy.stop()
    return "v1, v2"


@check("haproxy")
def haproxy_checks_health(site):
    """HAProxy's health checks come as LOCAL (v2) and as UNKNOWN or its own address (v1)."""
    proxy = site.tidegate({"web": EXPECT}, app(site.origin()))
    for options in ("send-proxy-v2", "send-proxy"):
        site.haproxy(f"""
listen it
  bind 127.0.0.1:{{0}}
  option httpchk GET /health
  server s 127.0.0.1:{proxy.port} check inter 100ms {options}
""")
        seen = len(proxy.records(0))
        records = until("checks", lambda before=seen: proxy.records(0)[before + 2:])
        for record in records:
            demand(record["status"] == 200 and record["client"].startswith("127.0.0.1:"), record)
    proxy.stop()
    return "answered 200"


def v2(command=0x21, family=0x11, body=None, length=None):
    """A version 2 header."""
    if body is None:
        body = socket.inet_aton(CLIENT) + socket.inet_aton("127.0.0.1") + struct.pack("!HH", 7, 80)
    size = len(body) if length is None else length
    return V2_SIGNATURE + bytes([command, family]) + struct.pack("!H", size) + body


GOOD = {
    "v1": (b"PROXY TCP4 127.0.0.5 127.0.0.1 7 80\r\n", "127.0.0.5:7"),
    "v1 of IPv6": (b"PROXY TCP6 2001:db8::5 ::1 7 80\r\n", "[2001:db8::5]:7"),
    "v1 UNKNOWN": (b"PROXY UNKNOWN\r\n", "127.0.0.1:"),
    "v1 UNKNOWN with words": (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "127.0.0.1:"),
    "v2": (v2(), "127.0.0.5:7"),
    "v2 LOCAL": (v2(command=0x20, family=0, body=b""), "127.0.0.1:"),
    "v2 UNSPEC": (v2(family=0, body=b""), "127.0.0.1:"),
    "v2 with a TLV": (v2(body=v2()[16:] + b"\x04\0\3abc"), "127.0.0.5:7"),
}
BAD = {
    "none": b"", "another case": b"proxy TCP4 127.0.0.5 127.0.0.1 7 80\r\n",
    "no address": b"PROXY TCP4 x 127.0.0.1 7 80\r\n",
    "a port": b"PROXY TCP4 1.2.3.4 1.2.3.4 7 65536\r\n",
    "a family": b"PROXY UDP4 127.0.0.5 127.0.0.1 7 80\r\n", "no CR": GOOD["v1"][0][:-2] + b"\n",
    "too long": b"PROXY UNKNOWN " + b"x" * 100 + b"\r\n",
    "a version": v2(command=0x31), "a command": v2(command=0x22),
    "short": v2(body=b"12345"), "a broken TLV": v2(body=v2()[16:] + b"\x04\0\x30abc"),
    "a family of v2": v2(family=0x41),
}


@check()
def headers_by_hand(site):
    """Good headers in any cut, followed by the request at once; bad ones close (PP-1)."""
    proxy = site.tidegate({"web": EXPECT}, '[[route]]\nanswer = { status = 200 }\n')
    count = 0
    for name, (header, client) in GOOD.items():
        for cut in (0, 1, 5, 13, len(header) - 1):
            with dial(proxy.port) as peer:
                peer.sendall((header + request())[:cut])
                time.sleep(0.02)
                peer.sendall((header + request())[cut:])
                demand(Answer(peer).status == 200, name)
            count += 1
            record = proxy.record(count)
            demand(record["client"].startswith(client), f"{name}: {record}")
    for name, header in BAD.items():
        with dial(proxy.port) as peer:
            peer.sendall(header + request())
            try:
                demand(rest(peer) == b"", f"{name}: was answered")
            except ConnectionResetError:
                pass
    demand(len([one for one in proxy.records(0) if one["status"]]) == count, "a bad one was served")
    proxy.stop()
    return f"{count} good, {len(BAD)} bad"


@check()
def strangers_are_refused(site):
    """Only `proxy_protocol_from` may announce, and `proxy_header` bounds the wait (SES-3)."""
    proxy = site.tidegate({"web": f'{EXPECT}\nproxy_protocol_from = ["127.0.0.7", "10.0.0.0/8"]'},
                          '[[route]]\nanswer = { status = 200 }\n',
                          timeouts='proxy_header = "1s"')
    header = GOOD["v1"][0]
    with dial(proxy.port, source="127.0.0.7") as peer:
        peer.sendall(header + request())
        demand(Answer(peer).status == 200, "the trusted one")
    for sent in (header + request(), request(), b""):
        with dial(proxy.port) as peer:
            peer.sendall(sent)
            try:
                demand(rest(peer) == b"", "a stranger was answered")
            except ConnectionResetError:
                pass
    with dial(proxy.port, source="127.0.0.7") as silent:
        silent.sendall(header[:9])
        until("the silent one is closed", lambda: is_closed(silent, 0.1))
    proxy.stop()
    return "one served, four closed"


@check()
def a_limit_counts_announced_addresses(site):
    """`max_connections_per_ip` counts the client that the header tells of (ACC-9)."""
    proxy = site.tidegate({"web": f"{EXPECT}\nmax_connections_per_ip = 1"},
                          '[[route]]\nanswer = { status = 200 }\n')
    first, second, other = (dial(proxy.port) for _ in range(3))
    with first, second, other:
        for peer, address, status in ((first, "10.0.0.1", 200), (second, "10.0.0.1", 429),
                                      (other, "10.0.0.2", 200)):
            peer.sendall(f"PROXY TCP4 {address} 127.0.0.1 7 80\r\n".encode() + request())
            answer = Answer(peer)
            demand(answer.status == status, f"{address}: {answer}")
    proxy.stop()
    return "429 to the second of one address"


@check("haproxy", "openssl")
def tls_servers_get_a_header_first(site):
    """The header comes before the TLS that the proxy speaks to a server (PP-1, TLS-4)."""
    pki = site.pki()
    cert, key = pki.issue("app.example")
    both = site.stage.path("both.pem")
    with open(both, "wb") as into:
        for path in (cert, key):
            with open(path, "rb") as source:
                into.write(source.read())
    port, = site.haproxy(f"""
listen it
  bind 127.0.0.1:{{0}} accept-proxy ssl crt {both}
  http-request return status 200 content-type text/plain lf-string "%[src]|%[ssl_fc_sni]"
""")
    for version in ("v1", "v2"):
        more = f'proxy_protocol = "{version}"\ntls = {{ ca = "{pki.ca}", sni = "app.example" }}'
        proxy = site.tidegate({"web": ""}, cluster("app", port, more=more)
                              + '[[route]]\nto = "app"\n')
        answer, _ = asks(proxy.port)
        demand(answer.body.decode() == f"{CLIENT}|app.example", answer)
        # Another client's connection must not be reused: it announced another address (BACK-6).
        answer, _ = asks(proxy.port, source="127.0.0.6")
        demand(answer.body.decode().startswith("127.0.0.6|"), answer)
        proxy.stop()
    return "v1, v2"
