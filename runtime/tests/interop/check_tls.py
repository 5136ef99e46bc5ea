"""TLS towards clients: openssl, curl and python's ssl against listeners of all settings."""

import socket
import ssl
import time

from common import (Answer, PATIENCE, app, ask, check, context, demand, dial, is_closed, request,
                    rest, run, tls_of, until)

ANSWERS = '[[route]]\nanswer = { status = 200 }\n'
VERSIONS = {"-tls1_2": "TLSv1.2", "-tls1_3": "TLSv1.3"}


def s_client(port, *args, stdin=b"", code=None):
    """Runs openssl s_client and gives all it says."""
    return run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *args], stdin=stdin,
               code=code, seconds=30)


def curl(port, url, *args, code=0):
    """Runs curl for `url`, whose host is the proxy at `port`; gives `STATUS BODY`."""
    return run(["curl", "-sS", "--max-time", "30", "--connect-to", f"::127.0.0.1:{port}",
                "-o", "/dev/null", "-w", "%{http_code}", *args, url], code=code)


@check("openssl", "curl")
def names_choose_certificates(site):
    """Exact, then wildcard, then default, with TLS 1.2 and 1.3 (TLS-1)."""
    pki = site.pki()
    tls = tls_of(pki.issue("default.example"), pki.issue("*.wild.example"),
                 pki.issue("a.example", "b.example"), pki.issue("exact.wild.example"))
    proxy = site.tidegate({"web": f"tls = {tls}"}, ANSWERS)
    wanted = {"a.example": "a.example", "b.example": "a.example", "B.Example": "a.example",
              "x.wild.example": "*.wild.example", "exact.wild.example": "exact.wild.example",
              "x.y.wild.example": "default.example", "wild.example": "default.example",
              "unknown.example": "default.example", None: "default.example"}
    count = 0
    for option, version in VERSIONS.items():
        for name, subject in wanted.items():
            more = ["-servername", name] if name else ["-noservername"]
            said = s_client(proxy.port, option, "-CAfile", pki.ca, *more, code=0)
            demand(f"subject=CN = {subject}\n" in said, f"{name}: {said[:600]}")
            demand(f"New, {version}, Cipher is" in said, f"{version}: {said[-900:]}")
            demand("Verification: OK" in said, said[-900:])
            count += 1
        curl_version = ["--tlsv1.2", "--tls-max", version.removeprefix("TLSv")]
        for name in ("a.example", "x.wild.example", "default.example"):
            status = curl(proxy.port, f"https://{name}/", "--cacert", pki.ca, *curl_version)
            demand(status == "200", f"{name}: {status}")
    # Nobody's name: the default certificate does not cover it, which curl refuses (60).
    curl(proxy.port, "https://unknown.example/", "--cacert", pki.ca, code=60)
    proxy.stop()
    return f"{count} handshakes"


@check("openssl", "curl")
def the_log_tells_of_tls(site):
    """Records have version, SNI and resumption; 421 for a name that is not covered (ROUTE-5)."""
    pki = site.pki()
    tls = tls_of(pki.issue("a.example", "b.example"))
    proxy = site.tidegate({"web": f"tls = {tls}"}, ANSWERS)
    count = 0
    for version in ("1.2", "1.3"):
        only = ["--cacert", pki.ca, "--tlsv1.2", "--tls-max", version]
        for fields, status in (([], "200"), (["-H", "Host: b.example"], "200"),
                               (["-H", "Host: c.example"], "421")):
            seen = curl(proxy.port, "https://a.example/", *only, *fields)
            demand(seen == status, f"{fields}: {seen}")
            count += 1
            record = proxy.record(count)
            told = [record[key] for key in ("tls", "sni", "resumed", "status", "protocol")]
            demand(told == [f"TLSv{version}", "a.example", False, int(status), "http"], told)
    # Without SNI nothing was chosen by name, so that any Host goes.
    with dial(proxy.port, context(), name=None) as client:
        demand(ask(client, host="c.example").status == 200, "421 without SNI")
    demand(proxy.record(count + 1)["sni"] == "", proxy.record(count + 1))
    proxy.stop()
    return f"{count + 1} records"


@check("openssl")
def alpn_is_agreed_on(site):
    """http/1.1 is agreed on; a client that speaks h2 alone gets no_application_protocol (TLS-1)."""
    pki = site.pki()
    tls = tls_of(pki.issue("a.example"))
    proxy = site.tidegate({"web": f"tls = {tls}"}, ANSWERS)
    for option in VERSIONS:
        said = s_client(proxy.port, option, "-alpn", "h2,http/1.1", code=0)
        demand("ALPN protocol: http/1.1" in said, said[-900:])
        demand("No ALPN negotiated" in s_client(proxy.port, option, code=0), "ALPN unasked")
        said = s_client(proxy.port, option, "-alpn", "h2")
        demand("SSL alert number 120" in said, said[-900:])
    proxy.stop()
    return "http/1.1, none, alert 120"


@check("openssl")
def no_common_version(site):
    """A version too old ends in the alert protocol_version, and is counted (TLS-2)."""
    pki = site.pki()
    pair = pki.issue("a.example")
    from_13 = f'tls = {tls_of(pair, more=", min_version = " + chr(34) + "1.3" + chr(34))}'
    proxy = site.tidegate({"any": f"tls = {tls_of(pair)}", "new": from_13}, ANSWERS)
    weak = ["-cipher", "DEFAULT:@SECLEVEL=0"]
    for name, args in (("any", ["-tls1_1", *weak]), ("any", ["-tls1", *weak]),
                       ("new", ["-tls1_2"])):
        said = s_client(proxy.ports[name], *args)
        # Hellos of 1.1 have no signature algorithms, for which rustls says handshake_failure.
        alerts = (70,) if args == ["-tls1_2"] else (40, 70)
        demand(any(f"SSL alert number {alert}" in said for alert in alerts),
               f"{name} {args}: {said[-900:]}")
    demand("New, TLSv1.3" in s_client(proxy.ports["new"], code=0), "no 1.3 where it is alone")
    until("failures are told", lambda: proxy.said().count("TLS came to nothing") == 3)
    proxy.stop()
    return "alert 70 to 1.2 where 1.3 is the least, 40 or 70 to 1.0 and 1.1"


@check("openssl")
def ecdsa_and_rsa_for_one_name(site):
    """Of two certificates for a name the one that the client can verify is served (TLS-1)."""
    pki = site.pki()
    tls = tls_of(pki.issue("a.example", kind="ec"), pki.issue("a.example", kind="rsa"))
    proxy = site.tidegate({"web": f"tls = {tls}"}, ANSWERS)
    for option in VERSIONS:
        for algorithm, kind in (("ECDSA+SHA256", "ECDSA"), ("RSA-PSS+SHA256", "RSA-PSS"),
                                ("RSA-PSS+SHA256:ECDSA+SHA256", "ECDSA")):
            said = s_client(proxy.port, option, "-servername", "a.example", "-sigalgs", algorithm,
                            code=0)
            demand(f"Peer signature type: {kind}\n" in said, f"{algorithm}: {said[-900:]}")
    said = s_client(proxy.port, "-sigalgs", "ed25519")
    demand("SSL alert number 40" in said, f"no handshake_failure: {said[-900:]}")
    proxy.stop()
    return "ECDSA, RSA-PSS"


@check("openssl", "curl")
def certificates_expire(site):
    """`check` warns of an expired certificate, curl refuses it; an expired client's is refused."""
    pki, clients = site.pki(), site.pki("Clients")
    old = clients.issue("me", use="clientAuth", expired=True)
    more = f', client_ca = "{clients.ca}"'
    proxy = site.tidegate({"old": f'tls = {tls_of(pki.issue("a.example", expired=True))}',
                           "web": f'tls = {tls_of(pki.issue("a.example"), more=more)}'}, ANSWERS)
    said = run([site.binary, "check", "-c", proxy.config])
    demand("warning" in said and "expire" in said, f"no warning: {said}")
    curl(proxy.ports["old"], "https://a.example/", "--cacert", pki.ca, code=60)
    demand(curl(proxy.ports["old"], "https://a.example/", "-k") == "200", "not served")
    for option in VERSIONS:
        said = s_client(proxy.ports["web"], option, "-cert", old[0], "-key", old[1],
                        "-ign_eof", stdin=request(fields="Connection: close\r\n"))
        demand("SSL alert number 45" in said, f"no certificate_expired: {said[-900:]}")
    proxy.stop()
    return "warning, curl's 60, alert 45"


@check("openssl")
def clients_need_a_certificate(site):
    """`client_ca`: with one, without one, with another authority's (RFC 8446, 6.2)."""
    pki, clients, strangers = site.pki(), site.pki("Clients"), site.pki("Strangers")
    good, bad = (of.issue("me", use="clientAuth") for of in (clients, strangers))
    more = f', client_ca = "{clients.ca}"'
    proxy = site.tidegate({"web": f'tls = {tls_of(pki.issue("a.example"), more=more)}'}, ANSWERS)
    # A 1.2 server says handshake_failure to a client without one; rustls says certificate_required
    # in both versions, which is as fatal.
    missing = {"-tls1_2": (40, 116), "-tls1_3": (116,)}
    for option in VERSIONS:
        ends = ["-ign_eof", option]
        stdin = request(fields="Connection: close\r\n")
        said = s_client(proxy.port, *ends, "-cert", good[0], "-key", good[1], stdin=stdin, code=0)
        demand("HTTP/1.1 200 OK" in said, f"with one: {said[-900:]}")
        said = s_client(proxy.port, *ends, stdin=stdin)
        demand(any(f"SSL alert number {number}" in said for number in missing[option]),
               f"without one, {option}: {said[-900:]}")
        said = s_client(proxy.port, *ends, "-cert", bad[0], "-key", bad[1], stdin=stdin)
        demand("SSL alert number 48" in said, f"a stranger's: {said[-900:]}")
    demand(len(proxy.records(2)) == 2, "a refused client reached HTTP")
    proxy.stop()
    return "200, alert 116 (1.2: 40), alert 48"


@check("curl")
def plaintext_on_a_tls_port(site):
    """HTTP in plain text on a TLS port is told so in plain text; other bytes are not (TLS-2)."""
    pki = site.pki()
    tls = tls_of(pki.issue("a.example"))
    proxy = site.tidegate({"web": f"tls = {tls}", "tcp": f'tls = {tls}\nprotocol = "tcp"\n'
                           'to = "app"'}, app(site.origin()))
    said = run(["curl", "-sS", "-i", f"http://127.0.0.1:{proxy.port}/"])
    demand(said.startswith("HTTP/1.1 400 "), said)
    with dial(proxy.port) as client:
        # One byte at a time.
        for byte in request():
            try:
                client.sendall(bytes([byte]))
            except OSError:
                break
        demand(Answer(client).status == 400, "no 400 to a trickle")
    for port, bytes_ in ((proxy.port, b"\0\1\2\3" * 99),
                         (proxy.ports["tcp"], b"*1\r\n$4\r\nPING\r\n")):
        with dial(port) as client:
            client.sendall(bytes_)
            client.settimeout(PATIENCE)
            try:
                answer = rest(client)
            except ConnectionResetError:
                answer = b""
            demand(not answer.startswith(b"HTTP/"), f"{bytes_[:9]}: {answer[:60]}")
    until("failures are told", lambda: proxy.said().count("TLS came to nothing") == 4)
    proxy.stop()
    return "400 in plain text to HTTP alone"


@check("openssl")
def close_notify_ends_connections(site):
    """Whatever ends a connection, close_notify comes before FIN (TLS-3, RES-8)."""
    pki = site.pki()
    tls = tls_of(pki.issue("a.example"))
    # A body that ends by close, which a 1.0 client sees end by close.
    by_close = site.serve(lambda peer: (peer.recv(4096), peer.sendall(
        b"HTTP/1.1 200 OK\r\n\r\nby close")))
    proxy = site.tidegate({"web": f"tls = {tls}"}, app(by_close), timeouts='keep_alive = "1s"')
    for option, version in VERSIONS.items():
        said = s_client(proxy.port, option, "-ign_eof",
                        stdin=request(fields="Connection: close\r\n"), code=0)
        demand("\nclosed\n" in said and "unexpected eof" not in said, said[-500:])
        tls = context(pki.ca, version=version.replace(".", "_"))
        for name, bytes_, statuses in (
                ("HTTP/1.0", b"GET / HTTP/1.0\r\nHost: a.example\r\n\r\n", b"200"),
                ("half a body", request(method="POST", fields="Content-Length: 2\r\nExpect:\r\n"),
                 b"200"),
                ("refused", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"400"),
                ("kept alive", request(), b"200")):
            with dial(proxy.port, tls) as client:
                client.sendall(bytes_)
                # An end without close_notify raises.
                answer = rest(client)
                demand(answer[9:12] == statuses, f"{name}: {answer[:80]}")
                demand(statuses == b"400" or b"by close" in answer, f"{name}: {answer}")
    proxy.stop()
    return "after answers, refusals and idle time"


@check("openssl")
def a_client_that_truncates(site):
    """A client that goes without close_notify inside a body ends its request (TLS-3, RES-6)."""
    pki = site.pki()
    tls = tls_of(pki.issue("a.example"))
    proxy = site.tidegate({"web": f"tls = {tls}"}, app(site.origin()))
    for close in (lambda client: client.close(), lambda client: client.unwrap().close()):
        client = dial(proxy.port, context(pki.ca))
        client.sendall(request(method="POST", fields="Content-Length: 9\r\n") + b"half")
        time.sleep(0.2)
        try:
            close(client)
        except (OSError, ssl.SSLError):
            client.close()
    for record in proxy.records(2):
        demand((record["ended_by"], record["phase"]) == ("client", "request body"), record)
    proxy.stop()
    return "both cut"


@check("curl")
def certificates_are_swapped(site):
    """HUP replaces certificates; live connections go on, new ones get the new (TLS-1, RUN-1)."""
    pki, other = site.pki(), site.pki("Other")
    cert, key = pki.issue("a.example")
    proxy = site.tidegate({"web": f"tls = {tls_of((cert, key))}"}, app(site.origin()), workers=2)
    with dial(proxy.port, context(pki.ca)) as live:
        first = live.getpeercert(True)
        demand(ask(live).status == 200, "not served")
        # A response in flight while the certificate changes.
        live.sendall(request("/bytes/3000000"))
        new_cert, new_key = other.issue("a.example")
        for new, old in ((new_cert, cert), (new_key, key)):
            with open(new, "rb") as source, open(old, "wb") as into:
                into.write(source.read())
        proxy.reload()
        demand(len(Answer(live).body) == 3000000, "cut by the reload")
        demand(ask(live).status == 200, "the live connection was closed")
        for _ in range(8):
            with dial(proxy.port, context(other.ca)) as client:
                demand(client.getpeercert(True) != first, "the old certificate was served")
                demand(ask(client).status == 200, "not served")
        demand(ask(live).status == 200, "the live connection was closed later")
    curl(proxy.port, "https://a.example/", "--cacert", pki.ca, code=60)
    # A key that is not the certificate's changes nothing.
    proxy.write(proxy.rest)
    with open(key, "wb") as into, open(pki.issue("a.example")[1], "rb") as source:
        into.write(source.read())
    proxy.process.send_signal(1)
    until("the refusal", lambda: "not reloaded" in proxy.said())
    demand(curl(proxy.port, "https://a.example/", "--cacert", other.ca) == "200", "not served")
    proxy.stop()
    return "new for new ones"


@check()
def a_stalled_handshake_is_closed(site):
    """`tls_handshake` closes who stalls in a handshake, wherever (SES-3)."""
    pki = site.pki()
    tls = tls_of(pki.issue("a.example"))
    proxy = site.tidegate({"web": f"tls = {tls}"}, ANSWERS, timeouts='tls_handshake = "1s"')
    hello = client_hello()
    stalled = []
    for sent in (b"", hello[:1], hello[:5], hello[:-1], hello):
        client = dial(proxy.port)
        client.sendall(sent)
        stalled.append((len(sent), client))
    with dial(proxy.port, context(pki.ca)) as good:
        demand(ask(good).status == 200, "not served meanwhile")
    for sent, client in stalled:
        client.settimeout(PATIENCE)
        try:
            rest(client)
        except ConnectionResetError:
            pass
        client.close()
        demand(True, sent)
    until("all are told", lambda: proxy.said().count("TLS came to nothing") == len(stalled))
    proxy.stop()
    return f"{len(stalled)} closed"


def client_hello(name="a.example", version=None):
    """The bytes that python's ssl begins a connection with."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    made = context(version=version).wrap_bio(incoming, outgoing, server_hostname=name)
    try:
        made.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


@check("curl")
def bodies_of_all_sizes(site):
    """Uploads and downloads through TLS keep every byte (TLS-1, REQ-9)."""
    pki = site.pki()
    tls = tls_of(pki.issue("a.example"))
    proxy = site.tidegate({"web": f"tls = {tls}"}, app(site.origin()), workers=2)
    base = ["-sS", "--max-time", "60", "--cacert", pki.ca, "--connect-to",
            f"::127.0.0.1:{proxy.port}"]
    path = site.stage.path("body")
    for size in (0, 1, 16383, 16384, 16385, 5_000_000):
        run(["curl", *base, "-o", path, f"https://a.example/bytes/{size}?chunked"])
        with open(path, "rb") as file:
            demand(len(file.read()) == size, f"{size} bytes down")
        # curl 7.88 never sends the last chunk of an empty file.
        for framing in ([], ["-H", "Transfer-Encoding: chunked"])[:1 + bool(size)]:
            # The origin sends no 100, for which curl would wait.
            said = run(["curl", *base, *framing, "-H", "Expect:", "-T", path,
                        "https://a.example/upload"])
            demand(f'"bytes": {size}' in said, f"{size} bytes up: {said}")
    # A cut of the backend's is one here (RES-2): curl's 18, or 56 where TLS ends.
    run(["curl", *base, "-o", path, "https://a.example/bytes/100000?cut"], code=18)
    proxy.stop()
    return "six sizes both ways"


@check("openssl")
def renegotiation_is_refused(site):
    """A TLS 1.2 client that renegotiates is refused without harm to others (RFC 5746)."""
    pki = site.pki()
    tls = tls_of(pki.issue("a.example"))
    proxy = site.tidegate({"web": f"tls = {tls}"}, ANSWERS)
    said = s_client(proxy.port, "-tls1_2", stdin=b"R\n")
    demand("RENEGOTIATING" in said and "200 OK" not in said, said[-500:])
    # A TLS 1.3 client that asks for new keys goes on.
    said = s_client(proxy.port, "-tls1_3", "-ign_eof", stdin=request(
        fields="Connection: close\r\n"))
    demand("200 OK" in said, said[-300:])
    with socket.create_connection(("127.0.0.1", proxy.port), PATIENCE) as idle:
        demand(not is_closed(idle), "new connections are closed")
    proxy.stop()
    return "refused"
