"""What is compared: each scenario puts one kind of load on one listener and counts units."""

import dataclasses
import http.client
import json
import ssl
import subprocess

import peers

from .proxies import LOAD_CORE

CONNECTIONS = 64
MIB = 1024 * 1024
SIZES = {"1k": 1024, "16k": 16 * 1024, "1m": MIB}


@dataclasses.dataclass(frozen=True)
class Scenario:
    """One row of a table. Keep its title's width: the table is made for 30 characters."""

    title: str
    listener: str = "http"
    unit: str = "request"
    # Requested with wrk, or else the mode of `load`.
    file: str = ""
    mode: str = ""
    connections: int = CONNECTIONS
    # Each unit is a connection of its own.
    connects: bool = False
    # Each unit is a record of the access log; others have one record a connection, which costs
    # nothing to speak of, and are not run with the log on.
    recorded: bool = True

    def check(self, proxy):
        """One request by hand: a run whose answer is wrong from the start measures nothing.
        `load` checks every unit itself."""
        if not self.file:
            return
        port = proxy.ports[self.listener]
        if self.listener == "https":
            client = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=trusting())
        else:
            client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            client.request("GET", f"/{self.file}")
            answer = client.getresponse()
            length = len(answer.read())
        finally:
            client.close()
        if answer.status != 200 or length != SIZES[self.file]:
            raise peers.Failed(f"{proxy.name} answered {answer.status} with {length} bytes")

    def load(self, stage, proxy, seconds, certificate, args):
        """Loads the proxy and gives the `units` it completed, in `duration_us`, and why the run is
        `void`, if it is."""
        if self.file:
            scheme, conf = "http", None
            if self.listener == "https":
                scheme, conf = "https", certificate.openssl_conf
            url = f"{scheme}://127.0.0.1:{proxy.ports[self.listener]}/{self.file}"
            result = peers.wrk(stage, url, max(1, round(seconds)), self.connections, self.connects,
                               LOAD_CORE, conf)
            result["units"], void = result["requests"], None
            if result["errors"]:
                kinds = ("connect", "read", "write", "status", "timeout")
                void = "errors: " + ", ".join(f"{k} {result[k]}" for k in kinds if result[k])
            elif result["bytes"] < result["units"] * SIZES[self.file]:
                void = "answers shorter than the file"
        else:
            result = self.run_load(stage, proxy, seconds, args)
            void = result["error"]
            if self.mode == "bulk":
                result["units"] = result["bytes"] / MIB
            # The first connection of each slot has nothing to resume with.
            firsts = self.connections if self.mode == "resumed" else 0
            if self.mode == "full" and result["resumed"] or (
                    self.mode == "resumed" and result["full"] > firsts):
                void = f"{result['full']} full and {result['resumed']} resumed handshakes"
        if not result["units"]:
            void = void or "nothing was completed"
        return {"units": result["units"], "duration_us": result["duration_us"], "void": void}

    def run_load(self, stage, proxy, seconds, args):
        """Runs `load` and gives what it printed."""
        with open(stage.path("load.out"), "w+", encoding="utf-8") as out:
            process = stage.start(
                [args.load, self.mode, "--port", str(proxy.ports[self.listener]), "--connections",
                 str(self.connections), "--seconds", str(seconds)],
                core=LOAD_CORE, stdout=out, stderr=subprocess.STDOUT)
            try:
                process.wait(seconds + 30)
            finally:
                stage.stop(process)
            out.seek(0)
            text = out.read()
        try:
            return json.loads(text)
        except ValueError:
            raise peers.Failed("load gave no result: " + text[-300:]) from None


SCENARIOS = {
    "1k": Scenario("keep-alive 1 KiB", file="1k"),
    "16k": Scenario("keep-alive 16 KiB", file="16k"),
    "1m": Scenario("keep-alive 1 MiB", file="1m"),
    "close": Scenario("a connection a request, 1 KiB", file="1k", connects=True),
    "tls-1k": Scenario("TLS keep-alive 1 KiB", "https", file="1k"),
    "tls-16k": Scenario("TLS keep-alive 16 KiB", "https", file="16k"),
    "tls-full": Scenario("full handshake, 1 KiB", "https", "handshake", mode="full",
                         connects=True),
    "tls-resumed": Scenario("resumed handshake, 1 KiB", "https", "handshake", mode="resumed",
                            connects=True),
    "tcp-bulk": Scenario("TCP bulk to the client", "tcp", "MiB", mode="bulk", connections=16,
                         recorded=False),
    "tcp-pingpong": Scenario("TCP ping-pong, 64 bytes", "tcp", "round trip", mode="pingpong",
                             recorded=False),
    "ws-echo": Scenario("WebSocket echo, 64 bytes", "ws", "round trip", mode="websocket",
                        recorded=False),
}
# The quick ones, of which each goes another way through a proxy.
SMOKE = ("1k", "close", "tls-1k", "tls-full", "tls-resumed", "tcp-bulk", "tcp-pingpong", "ws-echo")


def kinds(names):
    """The listeners that scenarios of these names need."""
    return list(dict.fromkeys(SCENARIOS[name].listener for name in names))


def trusting():
    """A TLS client that trusts anybody: what it is told here is not secret."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
