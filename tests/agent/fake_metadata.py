"""A metadata service of one machine, over real HTTP, with session tokens as version 2 wants."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

IDENTITY = "/latest/dynamic/instance-identity"


class FakeMetadata:
    """`texts` by path; what is not there is 404. Tokens may be made worthless."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {
            f"{IDENTITY}/document": '{\n  "instanceId" : "i-1"\n}',
            f"{IDENTITY}/signature": "c2lnbmF0dXJl\n",
        }
        self.tokens: set[str] = set()
        self.asked: list[str] = []
        metadata = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: Any, **_: Any) -> None:
                pass

            def do_PUT(self) -> None:
                assert self.path == "/latest/api/token"
                assert self.headers["X-aws-ec2-metadata-token-ttl-seconds"]
                token = f"token-{len(metadata.asked)}-{len(metadata.tokens)}"
                metadata.tokens.add(token)
                self._answer(200, token)

            def do_GET(self) -> None:
                metadata.asked.append(self.path)
                if self.headers["X-aws-ec2-metadata-token"] not in metadata.tokens:
                    self._answer(401, "")
                elif self.path in metadata.texts:
                    self._answer(200, metadata.texts[self.path])
                else:
                    self._answer(404, "")

            def _answer(self, status: int, text: str) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
