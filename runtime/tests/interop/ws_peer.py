#!/usr/bin/env python3
"""One side of a WebSocket conversation, by python's websockets.

    ws_peer.py server PORT                 echoes, in fragments and with pings at times
    ws_peer.py client URL COUNT [CA]       sends COUNT messages, checks the echoes, closes
"""

import asyncio
import json
import random
import ssl
import sys

import websockets

WINDOW = 32
MAX = 1 << 20
EDGES = [0, 1, 125, 126, 127, 128, 4096, 16384, 65535, 65536, 65537, 300_000]
BYTES = random.Random(1).randbytes(1 << 20)
TEXT = "aé漢😀z" * 60_000


def message(number, draw):
    """The message of that number: text and binary in turn, of all sizes."""
    if number < 2 * len(EDGES):
        size = EDGES[number // 2]
    else:
        kind = draw.random()
        size = draw.randrange(1024 if kind < 0.9 else 20_000 if kind < 0.99 else 300_000)
    start = draw.randrange(1000)
    return TEXT[start:start + size] if number % 2 else BYTES[start:start + size]


def fragments(whole, count=3):
    """`whole` in pieces, the last of which may be empty."""
    step = len(whole) // count + 1
    return [whole[at:at + step] for at in range(0, count * step, step)]


async def echo(peer):
    """Serves a connection; a text `close CODE` asks for a close."""
    number = 0
    async for whole in peer:
        if isinstance(whole, str) and whole.startswith("close "):
            await peer.close(int(whole[6:]), "as asked")
            return
        await peer.send(fragments(whole) if number % 7 == 3 else whole)
        if number % 400 == 200:
            # Its pong stands behind messages that this loop has yet to take.
            await peer.ping(b"%d" % number)
        number += 1


async def serve(port):
    """Serves until it is killed."""
    async with websockets.serve(echo, "127.0.0.1", port, compression=None, max_size=MAX):
        await asyncio.get_running_loop().create_future()


async def converse(url, count, ca):
    """The client's side of everything."""
    tls = ssl.create_default_context(cafile=ca) if ca else None
    options = {"compression": None, "max_size": MAX, "ssl": tls, "proxy": None}
    if tls:
        options.update(host="127.0.0.1", server_hostname="a.example")
    total = pings = 0
    async with websockets.connect(url, **options) as peer:
        window, draw, sent = asyncio.Semaphore(WINDOW), random.Random(count), asyncio.Queue()

        async def send():
            nonlocal pings
            for number in range(count):
                await window.acquire()
                whole = message(number, draw)
                sent.put_nowait(whole)
                await peer.send(fragments(whole) if number % 5 == 4 else whole)
                if number % 500 == 250:
                    await (await peer.ping())
                    pings += 1

        sender = asyncio.create_task(send())
        for number in range(count):
            came, expected = await peer.recv(), await sent.get()
            assert came == expected, f"message {number}: {len(came)} came, not {len(expected)}"
            total += len(came)
            window.release()
        await sender
        await peer.close(4001, "done")
        assert peer.close_code == 4001, peer.close_code
    async with websockets.connect(url, **options) as peer:
        await peer.send("close 4002")
        try:
            await peer.recv()
            raise AssertionError("no close came")
        except websockets.ConnectionClosed as closed:
            assert (closed.rcvd.code, closed.rcvd.reason) == (4002, "as asked"), closed
    print(json.dumps({"messages": count, "units": total, "pings": pings}))


if __name__ == "__main__":
    if sys.argv[1] == "server":
        asyncio.run(serve(int(sys.argv[2])))
    else:
        asyncio.run(converse(sys.argv[2], int(sys.argv[3]), (sys.argv[4:] or [None])[0]))
