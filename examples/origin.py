#!/usr/bin/env python3
"""A small HTTP/1.1 server to put behind Tidegate and try things with. Standard library only.

    examples/origin.py --port 9001 --name a          listens on 127.0.0.1:9001
    examples/origin.py --port 0                      on any free port, which it prints

    curl 127.0.0.1:9001/                             who answered
    curl -T big.iso 127.0.0.1:9001/upload            size, checksum and framing
    curl -T - -H 'Transfer-Encoding: chunked' 127.0.0.1:9001/upload <big.iso
    curl 127.0.0.1:9001/bytes/1000000                that many bytes, with a Content-Length
    curl 127.0.0.1:9001/bytes/1000000?chunked        the same in chunks
    curl 127.0.0.1:9001/bytes/1000000?cut            in chunks, the last of which never comes
    curl 127.0.0.1:9001/wait/2.5                     answers after 2.5 seconds
"""

import argparse
import hashlib
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

BLOCK = 64 * 1024
# A block whose every 32 bytes differ, so that a piece in the wrong place changes the checksum.
PATTERN = b"".join(hashlib.sha256(b"%d" % i).digest() for i in range(BLOCK // 32))
CHUNK_LINE_MAX = 256


class BadBody(Exception):
    """The request's body does not follow its framing, or ended too early."""


def pieces(size):
    """The first `size` bytes of the pattern, which repeats with its block number in front."""
    number = 0
    while size > 0:
        block = (number.to_bytes(8, "big") + PATTERN[8:])[:size]
        yield block
        size -= len(block)
        number += 1


def sha256_of(size):
    """The checksum of the body of /bytes/SIZE."""
    digest = hashlib.sha256()
    for piece in pieces(size):
        digest.update(piece)
    return digest.hexdigest()


class Origin(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    # One write for the head and one for each piece of the body, without waiting for ACKs.
    wbufsize = BLOCK
    disable_nagle_algorithm = True

    def handle(self):
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def do_GET(self):
        """Everything that needs no body."""
        url = urlsplit(self.path)
        parts = url.path.strip("/").split("/")
        try:
            if parts[0] == "bytes":
                self.send_bytes(int(parts[1]), url.query)
            elif parts[0] == "wait":
                time.sleep(float(parts[1]))
                self.answer(200, {"server": self.server.name, "waited": float(parts[1])})
            else:
                self.answer(200, {"server": self.server.name, "path": self.path,
                                  "headers": dict(self.headers.items())})
        except (IndexError, ValueError):
            self.answer(404, {"error": "no such path"})

    do_HEAD = do_GET

    def do_POST(self):
        """Reads the body, by Content-Length or in chunks, and tells its checksum."""
        digest, size = hashlib.sha256(), 0
        try:
            framing, body = self.body()
            for piece in body:
                digest.update(piece)
                size += len(piece)
        except (BadBody, ValueError) as error:
            self.close_connection = True
            self.answer(400, {"error": str(error)})
            return
        self.answer(200, {"server": self.server.name, "bytes": size, "framing": framing,
                          "sha256": digest.hexdigest()})

    do_PUT = do_POST

    def body(self):
        """How the request's body is framed, and its pieces."""
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return "chunked", self.chunks()
        return "length", self.exactly(int(self.headers.get("Content-Length", "0")))

    def exactly(self, size):
        """The next `size` bytes, in pieces."""
        while size > 0:
            piece = self.rfile.read(min(size, BLOCK))
            if not piece:
                raise BadBody(f"the body ended {size} bytes early")
            size -= len(piece)
            yield piece

    def chunks(self):
        """The data of a chunked body, its trailers left out (RFC 9112, section 7.1)."""
        while True:
            line = self.rfile.readline(CHUNK_LINE_MAX)
            if not line.endswith(b"\r\n"):
                raise BadBody("no chunk size where one must be")
            size = int(line.split(b";")[0].strip(), 16)
            if size == 0:
                break
            yield from self.exactly(size)
            if self.rfile.read(2) != b"\r\n":
                raise BadBody("no line end behind a chunk")
        while self.rfile.readline(CHUNK_LINE_MAX) not in (b"\r\n", b"\n", b""):
            pass

    def send_bytes(self, size, query):
        """A body of `size` bytes: by length, `chunked`, or chunked and `cut` before its end."""
        chunked = query in ("chunked", "cut")
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(size))
        self.end_headers()
        if self.command == "HEAD":
            return
        for piece in pieces(size):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
        if query == "cut":
            self.close_connection = True
        elif chunked:
            self.wfile.write(b"0\r\n\r\n")

    def answer(self, status, value):
        """A JSON body."""
        body = json.dumps(value).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *args):
        if self.server.verbose:
            super().log_message(*args)


class Server(ThreadingHTTPServer):
    """One thread a connection; threads end with the process."""

    daemon_threads = True
    request_queue_size = 1024


def main():
    """Listens until it is interrupted."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=9001, help="0: any free one")
    parser.add_argument("--name", default="origin", help="what it calls itself in its answers")
    parser.add_argument("--verbose", action="store_true", help="a line on stderr for each request")
    args = parser.parse_args()
    server = Server(("127.0.0.1", args.port), Origin)
    server.name, server.verbose = args.name, args.verbose
    print(f"{args.name} listens on http://127.0.0.1:{server.server_port}/", flush=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        thread.join()
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
