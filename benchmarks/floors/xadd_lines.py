"""The peer of the log path: one stream entry a line, to a reader of server-sent events.

    produce KEY LINES    XADD, pipelined by 500, one entry a line
    serve PORT           GET /KEY -> XREAD BLOCK loop -> `data:` frames

The reader is benchmarks.sse_reader, the same for both sides.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from typing import Any

import redis
import redis.asyncio

URL = os.environ["REDIS_URL"]
PIPELINE = 500
KEPT = 2_000_000  # nothing is trimmed while a slow reader follows


def produce(key: str, line_count: int, line: bytes) -> None:
    """Send all lines."""
    server = redis.Redis.from_url(URL)
    for sent in range(0, line_count, PIPELINE):
        batch = server.pipeline(transaction=False)
        for _ in range(min(PIPELINE, line_count - sent)):
            batch.xadd(key, {b"l": line}, maxlen=KEPT, approximate=True)
        batch.execute()


async def _follow(key: str, writer: asyncio.StreamWriter) -> None:
    server = redis.asyncio.Redis.from_url(URL)
    last: bytes = b"0-0"
    while True:
        got: Any = await server.xread({key: last}, count=500, block=5000)
        if not got:
            continue
        entries = got[key.encode()] if isinstance(got, dict) else got[0][1]
        if entries and isinstance(entries[0], list):
            entries = entries[0]
        frames = [b"id: " + entry + b"\ndata: " + held[b"l"] + b"\n\n" for entry, held in entries]
        last = entries[-1][0]
        writer.write(b"".join(frames))
        await writer.drain()


async def _handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    key = (await reader.readline()).split()[1][1:].decode()
    while (await reader.readline()).strip():
        pass
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
    with suppress(ConnectionError):
        await _follow(key, writer)
    writer.close()


async def serve(port: int) -> None:
    """Serve for ever."""
    server = await asyncio.start_server(_handle, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "produce":
        produce(sys.argv[2], int(sys.argv[3]), sys.argv[4].encode())
    else:
        asyncio.run(serve(int(sys.argv[2])))
