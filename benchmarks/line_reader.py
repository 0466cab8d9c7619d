"""The open page: a reader of server-sent events that counts the lines which hold a marker.

The same for both sides and blind to how a server frames its events. Run as its own process:

    line_reader.py HOST PORT PATH MARKER LINES LIMIT_S

Prints "open" when the stream is open, then one JSON line: the lines seen and the seconds from
the first chunk that held one to the last. BENCH_COOKIE, when set, signs the reader in.
"""

from __future__ import annotations

import http.client
import io
import json
import os
import sys
import time

CHUNK = 1 << 20


def _open(host: str, port: int, path: str, limit_s: float) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(host, port, timeout=limit_s)
    headers = {"Accept": "text/event-stream"}
    for name, variable in (("Cookie", "BENCH_COOKIE"), ("Authorization", "BENCH_AUTHORIZATION")):
        if os.environ.get(variable):
            headers[name] = os.environ[variable]
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    if answer.status != 200:
        raise SystemExit(f"{path} answered {answer.status}: {answer.read(500).decode()}")
    return answer


def count_lines(stream: io.BufferedIOBase, marker: bytes, wanted: int) -> dict[str, float]:
    """Read until `wanted` markers came or the stream ends."""
    seen, rest = 0, b""
    first = last = time.monotonic()
    while seen < wanted:
        chunk = stream.read1(CHUNK)
        if not chunk:
            break
        held = rest + chunk
        found = held.count(marker)
        if found:
            last = time.monotonic()
            first = first if seen else last
            seen += found
            held = held[held.rfind(marker) + len(marker) :]
        rest = held[-(len(marker) - 1) :]
    return {"lines": seen, "seconds": last - first}


def main() -> None:
    """Follow one stream."""
    host, port, path, marker, wanted, limit_s = sys.argv[1:7]
    stream = _open(host, int(port), path, float(limit_s))
    print("open", flush=True)
    print(json.dumps(count_lines(stream, marker.encode(), int(wanted))), flush=True)


if __name__ == "__main__":
    main()
