"""The floor of a container execution: create, start, wait, remove, by bare HTTP on one socket."""

from __future__ import annotations

import http.client
import json
import socket
import time
from typing import Any

API = "/v1.41"
CALL_LIMIT_S = 60


class EngineConnection(http.client.HTTPConnection):
    """One keep-alive connection to the engine's unix socket."""

    def __init__(self, address: str) -> None:
        super().__init__("localhost", timeout=CALL_LIMIT_S)
        self._path = address.removeprefix("unix://")

    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(CALL_LIMIT_S)
        self.sock.connect(self._path)

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Do one request and answer its JSON, or None."""
        packed = None if body is None else json.dumps(body)
        self.request(method, API + path, packed, {"Content-Type": "application/json"})
        answer = self.getresponse()
        read = answer.read()
        if answer.status >= 400:
            raise RuntimeError(read.decode())
        return json.loads(read) if read[:1] in {b"{", b"["} else None


def run_once(engine: EngineConnection, image: str, network: str) -> float:
    """Run one no-op container to its end; answer the milliseconds of its whole life."""
    spec = {
        "Image": image,
        "Cmd": ["/bin/sh", "-c", "true"],
        "HostConfig": {"NetworkMode": network, "LogConfig": {"Type": "json-file"}},
    }
    began = time.perf_counter()
    made = engine.call("POST", "/containers/create", spec)["Id"]
    engine.call("POST", f"/containers/{made}/start")
    engine.call("POST", f"/containers/{made}/wait")
    engine.call("DELETE", f"/containers/{made}?force=1")
    return (time.perf_counter() - began) * 1e3
