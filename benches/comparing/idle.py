"""Resident memory of idle keep-alive connections that have each made one request."""

import socket
import time

import peers

from .proxies import Certificate, start_origins, start_proxy
from .scenarios import SIZES, trusting

IDLE_CONNECTIONS, IDLE_CAP, IDLE_WAVE, IDLE_SECONDS = 10_000, 12_000, 100, 5
# Listener: what it is called, the file, bytes of the request's body.
CASES = {
    "http": ("plain, one request without a body and a 1 KiB answer each", "1k", 0),
    "https": ("TLS 1.3, one request with a body of 16 KiB and a 16 KiB answer each", "16k", 16384),
}


def idle(stage, args):
    """KiB a connection by listener and proxy; true when no proxy failed."""
    certificate = Certificate(stage)
    origins = start_origins(stage, CASES, SIZES, args, connections=IDLE_CAP)
    # Two descriptors a connection and some of its own: what a proxy demands before it starts.
    cap = min(IDLE_CAP, (args.nofile - 64) // 2)
    count = min(IDLE_CONNECTIONS, cap // IDLE_WAVE * IDLE_WAVE)
    if count < IDLE_CONNECTIONS:
        print(f"\nonly {args.nofile} open files are allowed here: {count} connections instead of "
              f"{IDLE_CONNECTIONS}, max_connections {cap} instead of {IDLE_CAP}")
    results, complete = {}, True
    for kind, (title, file, body) in CASES.items():
        print(f"\n{count} connections, {title}, in waves of {IDLE_WAVE}, "
              f"then {IDLE_SECONDS} s idle\n")
        print("| proxy          | KiB a connection | RSS before | RSS after  |")
        print("|----------------|-----------------:|-----------:|-----------:|")
        results[kind] = {}
        for name in args.proxies:
            proxy = start_proxy(stage, name, [kind], origins, certificate, args, connections=cap)
            clients = []
            try:
                before = peers.rss_kib(proxy.process.pid)
                for _ in range(count // IDLE_WAVE):
                    clients += wave(proxy.ports[kind], kind == "https", file, body)
                time.sleep(IDLE_SECONDS)
                after = peers.rss_kib(proxy.process.pid)
                each = (after - before) / count
                results[kind][name] = each
                print(f"| {name:14} | {each:16.3f} | {before:6} KiB | {after:6} KiB |")
            except (OSError, peers.Failed) as failure:
                complete = False
                print(f"| {name:14} | void: {failure}")
            finally:
                for client in clients:
                    client.close()
            stage.stop(proxy.process)
    return results, complete


def wave(port, tls, file, body):
    """Opens a wave of connections; each makes its request and stays open."""
    clients = [socket.create_connection(("127.0.0.1", port), timeout=10)
               for _ in range(IDLE_WAVE)]
    if tls:
        context = trusting()
        clients = [context.wrap_socket(client, server_hostname="localhost") for client in clients]
    head = (f"POST /{file} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {body}\r\n\r\n" if body
            else f"GET /{file} HTTP/1.1\r\nHost: localhost\r\n\r\n")
    for client in clients:
        client.sendall(head.encode("ascii") + b"b" * body)
    for client in clients:
        answer = b""
        while b"\r\n\r\n" not in answer or (
                len(answer) < answer.find(b"\r\n\r\n") + 4 + SIZES[file]):
            part = client.recv(65536)
            if not part:
                raise peers.Failed("a connection was closed instead of answered")
            answer += part
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise peers.Failed("answered " + answer[:20].decode("latin-1"))
    return clients
