"""One keep-alive connection to a Talkoot, as bare as the standard library has it."""

from __future__ import annotations

import http.client
import json
import socket
import time
import uuid
from dataclasses import dataclass
from typing import Any

from benchmarks.processes import BenchError

CALL_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, parsed body, and the monotonic nanosecond at which the body had been read."""

    status: int
    body: Any
    at_ns: int


class _PromptConnection(http.client.HTTPConnection):
    """Sends at once: a small request must not wait for the acknowledgement of another."""

    def connect(self) -> None:
        super().connect()
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Client:
    """Speaks the API with one kind of authority, such as `Token …` or `Agent …`."""

    def __init__(self, port: int, authorization: str = "") -> None:
        self._connection = _PromptConnection("127.0.0.1", port, timeout=CALL_LIMIT_S)
        self.authorization = authorization

    def send(self, method: str, path: str, body: bytes | None, kind: str) -> Answer:
        """Do one request; a connection that the server closed meanwhile is opened again."""
        headers = {"Accept": "application/json", "Content-Type": kind}
        if self.authorization:
            headers["Authorization"] = self.authorization
        try:
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            self._connection.close()
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
        read = answer.read()
        at_ns = time.monotonic_ns()
        parsed = json.loads(read) if read[:1] in {b"{", b"["} else read
        return Answer(answer.status, parsed, at_ns)

    def call(self, method: str, path: str, body: Any = None) -> Answer:
        """Do one request with a JSON body; raises BenchError for any status of 400 or more."""
        packed = None if body is None else json.dumps(body).encode()
        answer = self.send(method, path, packed, "application/json")
        if answer.status >= 400:
            raise BenchError(f"{method} {path} answered {answer.status}: {answer.body!r:.500}")
        return answer

    def upload(self, path: str, fields: dict[str, str], name: str, content: bytes) -> Answer:
        """Send a form with one file."""
        border = uuid.uuid4().hex
        opening = f"--{border}\r\nContent-Disposition: form-data; name="
        parts = [f'{opening}"{key}"\r\n\r\n{value}\r\n'.encode() for key, value in fields.items()]
        parts.append(
            f'{opening}"{name}"; filename="data.tgz"\r\n'
            "Content-Type: application/gzip\r\n\r\n".encode()
        )
        packed = b"".join([*parts, content, f"\r\n--{border}--\r\n".encode()])
        answer = self.send("POST", path, packed, f"multipart/form-data; boundary={border}")
        if answer.status >= 400:
            raise BenchError(f"POST {path} answered {answer.status}: {answer.body!r:.500}")
        return answer

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
