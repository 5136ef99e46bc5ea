"""TLS towards servers: nginx and python's ssl behind clusters of all settings (TLS-4)."""

import socket
import ssl

from common import Answer, app, ask, check, demand, dial, request, run

SAYS = ('return 200 "$ssl_protocol|$ssl_server_name|$ssl_session_reused|$ssl_client_s_dn|'
        '$ssl_client_verify";')


def server(pair, more="", versions="TLSv1.2 TLSv1.3"):
    """An nginx server with TLS that tells of its client's."""
    return (f"server {{ listen 127.0.0.1:{{0}} ssl; ssl_protocols {versions}; "
            f"ssl_certificate {pair[0]}; ssl_certificate_key {pair[1]}; {more}\n"
            f"location / {{ {SAYS} }} }}\n")


def tls(ca, sni=None, pair=None):
    """The key `tls` of a cluster."""
    more = f', sni = "{sni}"' if sni else ""
    if pair:
        more += f', cert = "{pair[0]}", key = "{pair[1]}"'
    return f'tls = {{ ca = "{ca}"{more} }}'


def get(proxy, fields=""):
    """One request on a connection of its own."""
    with dial(proxy.port) as client:
        return ask(client, fields=fields)


def says(proxy):
    """What nginx told of the proxy's TLS."""
    answer = get(proxy)
    demand(answer.status == 200, answer)
    return answer.body.decode().split("|")


@check("openssl", "nginx")
def servers_are_verified(site):
    """A server is believed with the right name of the right authority, and 503 else (BACK-2)."""
    pki, other = site.pki(), site.pki("Other")
    port, = site.nginx(server(pki.issue("app.example")))
    by_ip, = site.nginx(server(pki.issue("127.0.0.1")))
    old, = site.nginx(server(pki.issue("app.example", expired=True)))
    good = [(port, tls(pki.ca, "app.example"), "app.example"), (by_ip, tls(pki.ca), "")]
    bad = [(port, tls(pki.ca, "other.example")), (port, tls(pki.ca)),
           (port, tls(other.ca, "app.example")), (old, tls(pki.ca, "app.example")),
           (port, "tls = true")]
    for at, more, name in good:
        proxy = site.tidegate({"web": ""}, app(at, more=more))
        told = says(proxy)
        demand(told[:2] == ["TLSv1.3", name], told)
        proxy.stop()
    for at, more in bad:
        proxy = site.tidegate({"web": ""}, app(at, more=more))
        answer = get(proxy)
        demand(answer.status == 503, f"{more}: {answer}")
        record = proxy.record()
        demand((record["attempts"], record["phase"]) == (3, "connect"), record)
        proxy.stop()
    return f"{len(good)} believed, {len(bad)} answered 503 after three attempts"


@check("openssl", "nginx")
def a_bad_server_leaves_a_good_one(site):
    """A server that fails verification counts as an attempt; the next one serves (BACK-2)."""
    pki = site.pki()
    bad, = site.nginx(server(pki.issue("wrong.example")))
    good, = site.nginx(server(pki.issue("app.example")))
    plain = site.origin()
    proxy = site.tidegate({"web": ""}, app(bad, plain, good, more=tls(pki.ca, "app.example")))
    for count in range(1, 7):
        demand(get(proxy).status == 200, "not served")
        record = proxy.record(count)
        demand(record["server"].endswith(str(good)), record)
    demand(max(record["attempts"] for record in proxy.records(6)) > 1, "none was tried twice")
    proxy.stop()
    return "six served by the good one"


@check("openssl", "nginx")
def versions_and_resumption(site):
    """Servers of TLS 1.2 and of 1.3 alone are spoken to, and their sessions resumed (TLS-4)."""
    pki = site.pki()
    for version in ("TLSv1.2", "TLSv1.3"):
        for kind in ("ec", "rsa"):
            pair = pki.issue("app.example", kind=kind)
            port, = site.nginx(server(pair, versions=version))
            proxy = site.tidegate({"web": ""}, app(
                port, more=tls(pki.ca, "app.example") + '\nreuse = "never"'))
            told = [says(proxy) for _ in range(4)]
            demand(all(one[0] == version for one in told), told)
            demand([one[2] for one in told] == [".", "r", "r", "r"], f"{version}: {told}")
            proxy.stop()
    port, = site.nginx(server(pki.issue("app.example"), versions="TLSv1.1"))
    proxy = site.tidegate({"web": ""}, app(port, more=tls(pki.ca, "app.example")))
    demand(get(proxy).status == 503, "TLS 1.1 was spoken")
    proxy.stop()
    return "1.2 and 1.3, resumed"


@check("openssl", "nginx")
def clients_of_servers_have_certificates(site):
    """`cert` and `key` are shown to a server that asks (nginx: ssl_verify_client on)."""
    pki, clients, strangers = site.pki(), site.pki("Clients"), site.pki("Strangers")
    more = f"ssl_verify_client on; ssl_client_certificate {clients.ca};"
    port, = site.nginx(server(pki.issue("app.example"), more))
    for pair, status in ((clients.issue("the-proxy", use="clientAuth"), 200), (None, 400),
                         (strangers.issue("the-proxy", use="clientAuth"), 400)):
        proxy = site.tidegate({"web": ""}, app(port, more=tls(pki.ca, "app.example", pair)))
        answer = get(proxy)
        demand(answer.status == status, f"{pair}: {answer}")
        demand(status != 200 or b"|CN=the-proxy|SUCCESS" in answer.body, answer)
        proxy.stop()
    return "200 with one, nginx's 400 without and with a stranger's"


@check("openssl", "nginx", "curl")
def tls_on_both_sides(site):
    """Bodies pass whole through TLS to the proxy and TLS to nginx (REQ-9)."""
    pki = site.pki()
    path = site.stage.path("files", "20m")
    with open(path, "wb") as file:
        file.write(bytes(range(256)) * 80_000)
    pair = pki.issue("app.example")
    port, = site.nginx(
        f"client_max_body_size 100m; server {{ listen 127.0.0.1:{{0}} ssl; "
        f"ssl_certificate {pair[0]}; ssl_certificate_key {pair[1]}; "
        f"root {site.stage.path('files', '')}; location /put {{ dav_methods PUT; }} }}")
    proxy = site.tidegate(
        {"web": f'tls = {{ cert = "{pair[0]}", key = "{pair[1]}" }}'},
        app(port, more=tls(pki.ca, "app.example")), workers=2)
    base = ["curl", "-sS", "--fail", "--max-time", "60", "--cacert", pki.ca, "--connect-to",
            f"::127.0.0.1:{proxy.port}"]
    site.stage.path("files", "put", "x")
    run([*base, "-T", path, "https://app.example/put/up"])
    down = site.stage.path("down")
    run([*base, "-o", down, "https://app.example/put/up"])
    run(["cmp", path, down])
    proxy.stop()
    return "20 MB there and back"


def cutting(site, pair, bytes_, notify):
    """A TLS server that answers with `bytes_` and goes, with close_notify or without."""
    settings = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    settings.load_cert_chain(*pair)

    def serve(peer):
        with settings.wrap_socket(peer, server_side=True) as wrapped:
            wrapped.recv(4096)
            wrapped.sendall(bytes_)
            if notify:
                wrapped.unwrap()
            else:
                wrapped.shutdown(socket.SHUT_WR)
                wrapped.recv(1)
    return site.serve(serve)


@check("openssl")
def truncation_is_told(site):
    """A body that a server's close ends is whole only after close_notify (TLS-3, RES-2)."""
    pki = site.pki()
    pair = pki.issue("app.example")
    by_close = b"HTTP/1.1 200 OK\r\n\r\nby close"
    by_length = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nby close"
    for bytes_, notify, whole in ((by_close, True, True), (by_close, False, False),
                                  (by_length, False, True), (by_length[:-1], True, False)):
        port = cutting(site, pair, bytes_, notify)
        proxy = site.tidegate({"web": ""}, app(port, more=tls(pki.ca, "app.example")))
        with dial(proxy.port) as client:
            client.sendall(request())
            try:
                answer, came = Answer(client), True
                demand(answer.body == b"by close", answer)
            except Exception:  # pylint: disable=broad-except
                came = False
        demand(came == whole, f"{bytes_}, close_notify {notify}: whole {came}")
        record = proxy.record()
        ended = ("nobody", "complete") if whole else ("backend", "response body")
        demand((record["ended_by"], record["phase"]) == ended, record)
        proxy.stop()
    return "whole with close_notify or a length, cut without"


@check("openssl", "nginx")
def settings_change_by_reload(site):
    """A cluster's `tls` changes by HUP; connections of the old settings are not reused (BACK-6)."""
    pki = site.pki()
    one, = site.nginx(server(pki.issue("one.example", "two.example")))
    proxy = site.tidegate({"web": ""}, app(one, more=tls(pki.ca, "one.example")))
    with dial(proxy.port) as client:
        demand(b"|one.example|" in ask(client).body, "the first name")
        proxy.reload(app(one, more=tls(pki.ca, "two.example")))
        demand(b"|two.example|" in ask(client).body, "the old identity was reused")
        proxy.reload(app(one, more=tls(pki.ca, "three.example")))
        demand(ask(client).status == 503, "an unverified name was served")
    proxy.stop()
    return "each request by the settings of its time"
