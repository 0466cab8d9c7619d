"""A web server whose file comes slowly until a test lets it go: an input that takes its time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SIZE = 100_000
PIECE = 1000


class SlowSource:
    """`url` answers one piece, and the rest once `release` was called."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.released = threading.Event()
        source = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                source.asked.set()
                if self.path == "/missing":
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(SIZE))
                self.end_headers()
                self._write(PIECE)
                while not source.released.wait(0.05):
                    # One byte at a time shows when the other side has gone.
                    self._write(1)
                self.close_connection = True

            def _write(self, count: int) -> None:
                try:
                    self.wfile.write(b"x" * count)
                except OSError:
                    source.released.set()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def slow_source() -> Iterator[SlowSource]:
    source = SlowSource()
    try:
        yield source
    finally:
        source.close()
