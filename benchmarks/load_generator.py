"""A small closed-loop load generator for machines without wrk, run as its own process.

    load_generator.py HOST PORT PATH CONNECTIONS SECONDS

Prints one JSON line: answers a second, percentiles in milliseconds, and answers that were not 2xx.
It shares the processors with the server and costs more of them than wrk, on both sides alike.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time


class Tally:
    """What the connections saw."""

    def __init__(self) -> None:
        self.waits_ms: list[float] = []
        self.errors = 0


def _request(host: str, path: str) -> bytes:
    body = os.environ["BENCH_BODY"].encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Accept: application/json\r\nAuthorization: {os.environ['BENCH_AUTHORIZATION']}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _answer(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    await reader.readexactly(length)
    return int(head.split(b" ", 2)[1])


async def _one_connection(host: str, port: int, packed: bytes, end: float, tally: Tally) -> None:
    reader, writer = await asyncio.open_connection(host, port, limit=1 << 20)
    try:
        while time.monotonic() < end:
            began = time.monotonic()
            writer.write(packed)
            status = await _answer(reader)
            tally.waits_ms.append((time.monotonic() - began) * 1e3)
            tally.errors += not 200 <= status < 300
    except (ConnectionError, asyncio.IncompleteReadError):
        tally.errors += 1
    finally:
        writer.close()


async def _run(host: str, port: int, path: str, connection_count: int, limit_s: float) -> Tally:
    tally = Tally()
    packed = _request(host, path)
    end = time.monotonic() + limit_s
    clients = (_one_connection(host, port, packed, end, tally) for _ in range(connection_count))
    await asyncio.gather(*clients)
    return tally


def main() -> None:
    """Run the load named on the command line."""
    host, port, path, connection_count, limit = sys.argv[1:6]
    limit_s = float(limit)
    tally = asyncio.run(_run(host, int(port), path, int(connection_count), limit_s))
    ordered = sorted(tally.waits_ms) or [0.0]
    found = {
        "per_s": len(tally.waits_ms) / limit_s,
        "p50_ms": ordered[len(ordered) // 2],
        "p99_ms": ordered[int(len(ordered) * 0.99)],
        "errors": tally.errors,
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
