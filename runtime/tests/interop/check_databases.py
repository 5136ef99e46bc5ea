"""redis and PostgreSQL, with their own clients, through TCP listeners (TUN-1)."""

import os
import pwd
import shutil

from common import (app, check, cluster, demand, find, peers, run, tls_of, until)

TCP = 'protocol = "tcp"\nto = "app"'
KEYS = 20_000


def redis(site):
    """Starts a redis and gives its port."""
    port, = peers.free_ports(1)
    process = site.stage.start([find("redis-server"), "--port", str(port), "--bind", "127.0.0.1",
                                "--save", "", "--dir", site.stage.dir])
    peers.wait_listening(port, process)
    return port


@check("redis-server", "redis-cli", "openssl")
def redis_cli(site):
    """redis-cli by itself, with a pipelined mass insert, and over TLS that ends at the proxy."""
    pki = site.pki()
    dead, = peers.free_ports(1)
    proxy = site.tidegate({"web": TCP, "secure": f'{TCP}\ntls = {tls_of(pki.issue("a.example"))}'},
                          cluster("app", dead, redis(site)), workers=2)
    secure = ["--tls", "--cacert", pki.ca, "--sni", "a.example"]
    for port, more in ((proxy.ports["web"], []), (proxy.ports["secure"], secure)):
        base = ["redis-cli", "-h", "127.0.0.1", "-p", port, *more]
        demand(run([*base, "FLUSHALL"]).strip() == "OK", "no redis")
        mass = b"".join(b"*3\r\n$3\r\nSET\r\n$%d\r\nkey%d\r\n$%d\r\n%s\r\n" % (
            len(b"key%d" % number), number, number % 500, b"v" * (number % 500))
            for number in range(KEYS))
        said = run([*base, "--pipe"], stdin=mass)
        demand(f"errors: 0, replies: {KEYS}" in said, said)
        demand(run([*base, "DBSIZE"]).strip() == str(KEYS), "keys are missing")
        demand(run([*base, "STRLEN", "key499"]).strip() == "499", "a value differs")
        said = run([*base, "-r", 1000, "INCR", "count"])
        demand(said.split() == [str(number) for number in range(1, 1001)], said[-100:])
        big = b"x" * (3 << 20)
        demand(run([*base, "-x", "SET", "big"], stdin=big).strip() == "OK", "SET of 3 MiB")
        demand(len(run([*base, "GET", "big"])) == len(big) + 1, "GET of 3 MiB")
    tls = [record for record in proxy.records(10) if record["listener"] == "secure"]
    demand(tls and all(one["tls"] == "TLSv1.3" and one["sni"] == "a.example" for one in tls), tls)
    # redis-cli ends its TLS without close_notify.
    for record in proxy.records(10):
        demand(record["ended_by"] in ("nobody", "client")[:1 + bool(record["tls"])], record)
    proxy.stop()
    return f"{KEYS} keys each, plain and TLS, past a dead server"


def postgres(site, pair):
    """Starts a PostgreSQL with TLS and gives its port."""
    data = os.path.dirname(site.stage.path("pg", "data", "x"))
    user = pwd.getpwnam("postgres")
    own = {"user": user.pw_uid, "group": user.pw_gid} if os.getuid() == 0 else {}
    for path, name in zip(pair, ("server.crt", "server.key")):
        path = shutil.copy(path, os.path.join(os.path.dirname(data), name))
        os.chmod(path, 0o600)
        if own:
            os.chown(path, user.pw_uid, user.pw_gid)
    if own:
        os.chown(os.path.dirname(data), user.pw_uid, user.pw_gid)
        os.chown(data, user.pw_uid, user.pw_gid)
    run(["initdb", "-D", data, "-A", "trust", "-U", "tester", "--no-sync"],
        **own, cwd=data)
    port, = peers.free_ports(1)
    command = [find("postgres"), "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", data]
    for option in ("ssl=on", f"ssl_cert_file={data}/../server.crt",
                   f"ssl_key_file={data}/../server.key", "fsync=off"):
        command += ["-c", option]
    if own:
        command[:0] = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}",
                       "--clear-groups"]
    with open(site.stage.path("postgres.log"), "wb") as log:
        process = site.stage.start(command, stderr=log)
    peers.wait_listening(port, process)
    probe = ["psql", "-h", "127.0.0.1", "-p", port, "-U", "tester", "-d", "postgres", "-c",
             "select"]
    until("PostgreSQL answers", lambda: "(1 row)" in run(probe, code=None))
    return port


@check("postgres", "psql", "openssl")
def psql(site):
    """psql with and without TLS of its own: queries, COPY both ways, a cancelled query."""
    pki = site.pki()
    port = postgres(site, pki.issue("localhost", "127.0.0.1"))
    proxy = site.tidegate({"web": TCP}, cluster("app", port), workers=2)
    rows = b"".join(b"%d\t%s\n" % (number, b"row" * (number % 200)) for number in range(20_000))
    for mode in ("disable", "verify-full"):
        where = (f"host=127.0.0.1 port={proxy.port} user=tester dbname=postgres sslmode={mode} "
                 f"sslrootcert={pki.ca}")
        base = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", where]
        said = run([*base, "-c", "select ssl from pg_stat_ssl where pid = pg_backend_pid()"])
        demand(said.strip() == ("f" if mode == "disable" else "t"), said)
        run([*base, "-c", "drop table if exists t; create table t (n int, s text)"])
        run([*base, "-c", "copy t from stdin"], stdin=rows)
        demand(run([*base, "-c", "select count(*), sum(n) from t"]).strip()
               == f"20000|{sum(range(20_000))}", "rows are missing")
        demand(run([*base, "-c", "copy (select * from t order by n) to stdout"]).encode() == rows,
               "COPY gives other rows")
        # A cancel comes on a connection of its own.
        said = run(["timeout", "-s", "INT", "1", find("psql"), *base[1:], "-c",
                    "select pg_sleep(30)"], code=None)
        demand("canceling statement due to user request" in said, said)
    # PostgreSQL resets a connection whose close_notify it has not read.
    for record in proxy.records(12):
        demand(record["ended_by"] in ("nobody", "client", "backend"), record)
    proxy.stop()
    return "20,000 rows there and back, plain and TLS"


@check("redis-server", "redis-cli")
def a_server_that_dies(site):
    """The server dies under a client, comes back, and is used again."""
    port, = peers.free_ports(1)
    command = [find("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    proxy = site.tidegate({"web": TCP}, app(port, more='backoff = { min = "100ms", max = "200ms" }')
                          .split("[[route]]", maxsplit=1)[0])
    base = ["redis-cli", "-h", "127.0.0.1", "-p", proxy.port, "PING"]
    for _ in range(3):
        process = site.stage.start(command)
        peers.wait_listening(port, process)
        until("it is used", lambda: "PONG" in run(base, code=None))
        site.stage.stop(process)
        demand("PONG" not in run(base, code=None), "a dead server answers")
    proxy.stop()
    return "three lives"
