"""A control service with a memory, over real HTTP: what agents are tested against.

It keeps executions, attempts, log lines, metadata, outputs; it can fence, answer 500, cut
connections, lose the end of a log, expire URLs and be slow.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from agent import wire


@dataclass
class FakeAttempt:
    """What the control service knows of one attempt."""

    spec: wire.ExecutionSpec
    first: int
    lines: list[str] = field(default_factory=list)
    phases: list[tuple[str, str]] = field(default_factory=list)
    points: dict[int, dict[str, Any]] = field(default_factory=dict)
    offered: dict[str, dict[str, Any]] = field(default_factory=dict)
    stored: dict[str, dict[str, Any]] = field(default_factory=dict)
    details: list[str] = field(default_factory=list)
    finish: dict[str, Any] | None = None
    finishes: int = 0
    order: tuple[str, str] = ("continue", "")
    is_fenced: bool = False
    beats: int = 0

    @property
    def texts(self) -> list[str]:
        """The log without times."""
        return [line[27:] for line in self.lines]

    def of(self, stream: str) -> list[str]:
        """The texts of one stream."""
        return [text[2:] for text in self.texts if text.startswith(stream + " ")]


class FakeControl:
    """The server; every attribute may be changed while it runs."""

    def __init__(self) -> None:
        self.lock = threading.Condition()
        self.waiting: list[wire.ExecutionSpec] = []
        self.attempts: dict[str, FakeAttempt] = {}
        self.files: dict[str, bytes] = {}  # by path: what GET /files/… answers
        self.stored: dict[str, bytes] = {}  # by path: what was PUT
        self.gets: list[str] = []
        self.broken_paths: dict[str, list[Any]] = {}  # path part → answers before the real one
        self.expired: set[str] = set()
        self.fresh_urls: dict[str, str] = {}
        self.refused_outputs: set[str] = set()
        self.output_store = ""  # begins the address of every output; "": this server
        self.enrolment = "enrol-me"
        self.joined: list[dict[str, Any]] = []
        self.early_joins = 0  # so many joins are answered "not yet"
        self.beats: list[dict[str, Any]] = []
        self.orders: dict[str, Any] = {}  # of the agent as a whole, in every answer to a beat
        self.left = 0
        self.is_down = False
        self.stored_lag = 0
        self.claimed_at: list[float] = []
        control = self

        class Handler(_Handler):
            owner = control

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self.thread.start()

    def close(self) -> None:
        with self.lock:
            self.is_down = True
            self.lock.notify_all()
        self.server.shutdown()
        self.server.server_close()

    def add_file(self, name: str, content: bytes) -> str:
        """Serve a file; give its path."""
        self.files[f"/files/{name}"] = content
        return f"/files/{name}"

    def submit(self, spec: wire.ExecutionSpec) -> FakeAttempt:
        """Let an agent claim this."""
        with self.lock:
            attempt = self.attempts[spec.attempt_id] = FakeAttempt(spec, spec.log_next)
            self.waiting.append(spec)
            self.lock.notify_all()
        return attempt

    def wait_for(self, condition: Any, what: str, limit_s: float = 30.0) -> None:
        """Wait for a condition of what is known here; fails with words."""
        with self.lock:
            if not self.lock.wait_for(condition, limit_s):
                shown = {
                    key: {"phases": one.phases, "lines": one.lines[-20:], "finish": one.finish}
                    for key, one in self.attempts.items()
                }
                raise AssertionError(f"never happened: {what}\n{json.dumps(shown, indent=1)}")

    def finished(self, attempt: FakeAttempt, limit_s: float = 30.0) -> dict[str, Any]:
        """Wait for the end of an attempt."""
        self.wait_for(lambda: attempt.finish is not None, "finish", limit_s)
        assert attempt.finish is not None
        return attempt.finish


class _Handler(BaseHTTPRequestHandler):
    owner: FakeControl
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *args: Any, **_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._serve("GET")

    def do_PUT(self) -> None:
        self._serve("PUT")

    def do_POST(self) -> None:
        self._serve("POST")

    def _serve(self, method: str) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size)
        if self.owner.is_down or self._break():
            self.close_connection = True
            return
        parts = urlsplit(self.path)
        if method == "GET":
            self._get(parts.path)
        elif method == "PUT":
            self._put(parts.path, body)
        else:
            self._post(parts.path, parse_qs(parts.query), body)

    def _break(self) -> bool:
        """Do what a test asked for before the real answer; True cuts the connection."""
        for part, answers in self.owner.broken_paths.items():
            if part in self.path and answers:
                with self.owner.lock:
                    answer = answers.pop(0)
                if answer == "cut":
                    return True
                if isinstance(answer, float):
                    time.sleep(answer)
                    return False
                self._answer(answer, {"detail": "broken by the test"})
                return True
        return False

    def _get(self, path: str) -> None:
        owner = self.owner
        with owner.lock:
            owner.gets.append(path)
        if path in owner.expired:
            self._answer(403, {"detail": "expired"})
            return
        content = owner.files.get(path)
        if content is None:
            self._answer(404, {"detail": "no such file"})
            return
        if path.startswith("/files/private/"):
            wanted = "Basic " + base64.b64encode(b"ada:secret").decode()
            if self.headers.get("Authorization") != wanted:
                self._answer(401, {})
                return
        start = 0
        if (ranged := self.headers.get("Range")) is not None:
            start = int(ranged.removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if path.startswith("/files/halting/") and not start:
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
            return
        self.wfile.write(content[start:])

    def _put(self, path: str, body: bytes) -> None:
        with self.owner.lock:
            self.owner.stored[path] = body
            self.owner.lock.notify_all()
        self._answer(200, {})

    def _answer(self, status: int, values: Any) -> None:
        body = b"" if status == 204 else json.dumps(values).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _post(self, path: str, query: dict[str, list[str]], body: bytes) -> None:
        words = path.removeprefix("/api/v0/").strip("/").split("/")
        if words[0] == "agents":
            {
                "join": self._join,
                "claim": self._claim,
                "heartbeat": self._heartbeat,
                "leave": self._leave,
            }[words[1]](json.loads(body))
            return
        attempt = self.owner.attempts.get(words[1])
        if attempt is None:
            self._answer(404, {"detail": "no such attempt"})
            return
        if attempt.is_fenced:
            self._answer(409, {"code": "fenced"})
            return
        assert self.headers["Authorization"] == f"Claim {attempt.spec.claim_token}"
        if words[2] == "log":
            self._log(attempt, int(query["first"][0]), int(query["count"][0]), body)
            return
        status, answer = self._attempt_post(attempt, words, json.loads(body))
        with self.owner.lock:
            self.owner.lock.notify_all()
        self._answer(status, answer)

    def _attempt_post(
        self, attempt: FakeAttempt, words: list[str], values: dict[str, Any]
    ) -> tuple[int, Any]:
        receipt = {"action": attempt.order[0], "reason": attempt.order[1]}
        kind = words[2]
        if kind == "phases":
            attempt.phases += [(one["name"], one["state"]) for one in values["reports"]]
        elif kind == "metadata":
            for point in values["points"]:
                attempt.points.setdefault(point["number"], point["values"])
        elif kind == "inputs":
            return 200, {"inputs": self._fresh_inputs(attempt)}
        elif kind == "outputs" and len(words) == 3:
            return self._offer_all(attempt, values["files"])
        elif kind == "outputs":
            attempt.stored[words[3]] = values["metadata"]
        elif kind == "status-detail":
            attempt.details.append(values["status_detail"])
        elif kind == "finish":
            expected = attempt.first + len(attempt.lines)
            if values["log_last"] != expected - 1:
                return 409, {"code": "log_gap", "expected": expected}
            attempt.finishes += 1
            attempt.finish = attempt.finish or values
        return 200, receipt

    def _fresh_inputs(self, attempt: FakeAttempt) -> list[dict[str, Any]]:
        inputs = [wire.encode(one) for one in attempt.spec.inputs]
        for given in inputs:
            for file in given["files"]:
                file["url"] = self.owner.fresh_urls.get(file["uri"], file["url"])
        return inputs

    def _offer_all(self, attempt: FakeAttempt, files: list[dict[str, Any]]) -> tuple[int, Any]:
        if any(one["name"] in self.owner.refused_outputs for one in files):
            return 400, {"detail": "a name is refused"}
        return 200, {"uploads": [self._offer(attempt, one) for one in files]}

    def _offer(self, attempt: FakeAttempt, file: dict[str, Any]) -> dict[str, Any]:
        datum = hashlib.sha256((file["name"] + file["sha256"]).encode()).hexdigest()[:16]
        attempt.offered[datum] = file
        path = f"/store/{attempt.spec.attempt_id}/{datum}"
        return {
            "name": file["name"],
            "datum_id": datum,
            "method": "PUT",
            "url": self.owner.output_store + path,
            "headers": {},
            "is_stored": datum in attempt.stored,
        }

    def _log(self, attempt: FakeAttempt, first: int, count: int, body: bytes) -> None:
        lines = body.decode().split("\n")[:-1]
        assert len(lines) == count, (len(lines), count)
        with self.owner.lock:
            expected = attempt.first + len(attempt.lines)
            if first > expected or first < expected < first + count:
                self._answer(409, {"code": "log_gap", "expected": expected})
                return
            if first == expected:
                attempt.lines += lines
            self.owner.lock.notify_all()
            received = attempt.first + len(attempt.lines) - 1
        receipt = wire.LogReceipt(received, received, *attempt.order)
        self._answer(200, wire.encode(receipt))

    def _join(self, values: dict[str, Any]) -> None:
        identity = values["instance_identity"]
        if identity is not None and self.owner.early_joins:
            self.owner.early_joins -= 1
            self._answer(503, {"detail": "not in the list yet"})
            return
        if identity is None and values["enrolment_token"] != self.owner.enrolment:
            self._answer(403, {"detail": "This enrolment token is not known."})
            return
        self.owner.joined.append(values)
        self._answer(200, wire.encode(wire.Joined("worker-1", "agent-token", "local", 0.1)))

    def _claim(self, values: dict[str, Any]) -> None:
        owner = self.owner
        assert self.headers["Authorization"] == "Agent agent-token"
        with owner.lock:
            owner.lock.wait_for(lambda: owner.waiting or owner.is_down, values["wait_s"])
            if owner.is_down:
                self.close_connection = True
                return
            spec = owner.waiting.pop(0) if owner.waiting else None
            owner.claimed_at.append(time.monotonic())
        if spec is None:
            self._answer(204, None)
        else:
            self._answer(200, wire.encode(spec))

    def _heartbeat(self, values: dict[str, Any]) -> None:
        orders: list[dict[str, Any]] = []
        with self.owner.lock:
            self.owner.beats.append(values)
            for beat in values["attempts"]:
                attempt = self.owner.attempts[beat["attempt_id"]]
                attempt.beats += 1
                action, reason = ("fenced", "") if attempt.is_fenced else attempt.order
                orders.append(
                    {
                        "attempt_id": beat["attempt_id"],
                        "action": action,
                        "reason": reason,
                        "lease_s": attempt.spec.lease_s,
                    }
                )
            self.owner.lock.notify_all()
            said = {"attempts": orders, "heartbeat_s": 0.1} | self.owner.orders
        self._answer(200, said)

    def _leave(self, _: dict[str, Any]) -> None:
        with self.owner.lock:
            self.owner.left += 1
            self.owner.lock.notify_all()
        self._answer(204, None)
