"""Sessions that are resumed: by every worker, through reloads, and never where they must not be."""

import re

from common import ask, check, context, demand, dial, request, rest, run, tls_of

ANSWERS = '[[route]]\nanswer = { status = 200 }\n'
VERSIONS = ("TLSv1_2", "TLSv1_3")


def fresh(port, tls):
    """A full handshake and a request; gives the session that can be resumed."""
    with dial(port, tls) as client:
        demand(not client.session_reused, "resumed out of nothing")
        demand(ask(client).status == 200, "not served")
        return client.session


def again(port, tls, session):
    """Offers `session`; gives whether it was resumed, and the session that it became."""
    with dial(port, tls, session=session) as client:
        demand(ask(client).status == 200, "not served")
        return client.session_reused, client.session


@check("openssl")
def openssl_resumes(site):
    """openssl s_client resumes with TLS 1.2 and 1.3, and the log says so (TLS-1)."""
    pki = site.pki()
    tls = tls_of(pki.issue("a.example"))
    proxy = site.tidegate({"web": f"tls = {tls}"}, ANSWERS)
    ticket = site.stage.path("ticket")
    bytes_ = request(fields="Connection: close\r\n")
    count = 0
    for option, version in (("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")):
        base = ["openssl", "s_client", "-connect", f"127.0.0.1:{proxy.port}", "-servername",
                "a.example", "-CAfile", pki.ca, "-ign_eof", option]
        for more, says in ((["-sess_out", ticket], "New"), (["-sess_in", ticket], "Reused")):
            said = run([*base, *more], stdin=bytes_)
            demand(re.search(rf"{says}, {version}, Cipher is ", said), said[-900:])
            demand("200 OK" in said, said[-300:])
            count += 1
            record = proxy.record(count)
            demand((record["tls"], record["resumed"]) == (version, says == "Reused"), record)
    proxy.stop()
    return "1.2 and 1.3"


@check("openssl")
def every_worker_resumes(site):
    """A session begun with one worker is resumed by the other (TLS-1)."""
    pki = site.pki()
    tls = tls_of(pki.issue("a.example"))
    proxy = site.tidegate({"web": f"tls = {tls}"}, ANSWERS, workers=2)
    for version in VERSIONS:
        made = context(pki.ca, version=version)
        session, before = fresh(proxy.port, made), len(proxy.records(0))
        for _ in range(24):
            # A ticket of TLS 1.3 is for once; the server gives new ones each time.
            resumed, session = again(proxy.port, made, session)
            demand(resumed, f"{version}: not resumed")
        # Two workers count their sessions alike: a number seen twice tells of both.
        numbers = [record["session"] for record in proxy.records(before + 24)[before:]]
        demand(len(set(numbers)) < len(numbers), f"one worker served all: {numbers}")
    proxy.stop()
    return "24 in a row, by both"


@check("openssl")
def reloads_keep_sessions(site):
    """Sessions are resumed after reloads, of the same and of new certificates (TLS-1, RUN-1)."""
    pki = site.pki()
    cert, key = pki.issue("a.example")
    proxy = site.tidegate({"web": f"tls = {tls_of((cert, key))}"}, ANSWERS, workers=2)
    sessions = {}
    for version in VERSIONS:
        made = context(pki.ca, version=version)
        sessions[version] = (made, fresh(proxy.port, made))
    for what in ("same", "route", "certificate", "certificate"):
        if what == "route":
            proxy.rest = '[[route]]\nhost = "a.example"\nanswer = { status = 200 }\n'
        if what == "certificate":
            for new, old in zip(pki.issue("a.example"), (cert, key)):
                with open(new, "rb") as source, open(old, "wb") as into:
                    into.write(source.read())
        proxy.reload()
        for version, (made, session) in sessions.items():
            for _ in range(4):
                resumed, session = again(proxy.port, made, session)
                demand(resumed, f"{version}: not resumed after a reload: {what}")
            sessions[version] = made, session
    proxy.stop()
    return "through four reloads"


@check("openssl")
def sessions_do_not_open_other_doors(site):
    """A session of a listener without client certificates is none where they are demanded, nor
    one of another authority's clients (TLS-1)."""
    pki, clients, others = site.pki(), site.pki("Clients"), site.pki("Others")
    pair = pki.issue("a.example")
    proxy = site.tidegate(
        {"open": f"tls = {tls_of(pair)}",
         "ours": f"""tls = {tls_of(pair, more=f', client_ca = "{clients.ca}"')}""",
         "theirs": f"""tls = {tls_of(pair, more=f', client_ca = "{others.ca}"')}"""}, ANSWERS)
    of = {"open": None, "ours": clients.issue("me", use="clientAuth"),
          "theirs": others.issue("them", use="clientAuth")}
    for version in VERSIONS:
        for source, target in (("open", "ours"), ("ours", "theirs"), ("theirs", "open")):
            # One context, so that python's ssl takes the session: its certificate is the first's.
            made = context(pki.ca, pair=of[source], version=version)
            session = fresh(proxy.ports[source], made)
            demand(again(proxy.ports[source], made, session)[0], f"{source} resumes nothing")
            session = fresh(proxy.ports[source], made)
            refused = reused = False
            try:
                with dial(proxy.ports[target], made, session=session) as client:
                    reused = client.session_reused
                    client.sendall(request(fields="Connection: close\r\n"))
                    refused = not rest(client)
            except OSError:
                refused = True
            demand(not reused, f"{version}: a session of {source} was resumed on {target}")
            demand(refused == (target != "open"), f"{version}: {source} on {target}: {refused}")
    proxy.stop()
    return "six doors stay shut"


@check("openssl")
def names_keep_sessions_apart(site):
    """A session of one name is none for another whose certificate differs (TLS-1)."""
    pki = site.pki()
    tls = tls_of(pki.issue("a.example"), pki.issue("b.example"))
    proxy = site.tidegate({"web": f"tls = {tls}"}, ANSWERS)
    for version in VERSIONS:
        made = context(pki.ca, version=version)
        session = fresh(proxy.port, made)
        with dial(proxy.port, made, name="b.example", session=session) as client:
            demand(not client.session_reused, f"{version}: a.example's was resumed for b.example")
            demand(ask(client, host="b.example").status == 200, "not served")
    proxy.stop()
    return "a full handshake for another name"
