"""HTTP to the control service: one warm connection for claims, a small pool for the rest."""

from __future__ import annotations

import json
import random
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast
from urllib.parse import urljoin, urlsplit

import urllib3

from agent import wire
from agent.phases.failures import Fenced, Refused

T = TypeVar("T")

BACKOFF_FIRST_S = 0.1
BACKOFF_LIMIT_S = 10.0


class Unreachable(Exception):
    """No answer, or one that asks to come again: try again later."""


class Rejected(Exception):
    """The control service says no, and would say so again."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail


class LogGap(Exception):
    """A block came too early; go on from line `expected`."""

    def __init__(self, expected: int) -> None:
        super().__init__(f"the log goes on at line {expected}")
        self.expected = expected


@dataclass
class Backoff:
    """Growing, jittered waits: 0.1 s to 10 s."""

    delay_s: float = BACKOFF_FIRST_S
    event: threading.Event = field(default_factory=threading.Event)

    def wait(self) -> bool:
        """Wait; True when the event was set meanwhile."""
        delay_s = self.delay_s * random.SystemRandom().uniform(0.5, 1.0)
        self.delay_s = min(self.delay_s * 2, BACKOFF_LIMIT_S)
        return self.event.wait(delay_s)


def make_pool(num_pools: int, maxsize: int, ca_file: str | None) -> urllib3.PoolManager:
    """Make a pool that trusts the system's authorities, and one more. Raises Refused."""
    if ca_file is None:
        return urllib3.PoolManager(num_pools=num_pools, maxsize=maxsize)
    try:
        trusted = ssl.create_default_context()
        trusted.load_verify_locations(ca_file)
    except (OSError, ssl.SSLError) as error:
        raise Refused(f"The CA in {ca_file} cannot be used: {error}.") from error
    return urllib3.PoolManager(num_pools=num_pools, maxsize=maxsize, ssl_context=trusted)


class ControlClient:
    """Requests with one identity (`Agent TOKEN` or `Claim TOKEN`); safe between threads."""

    def __init__(self, url: str, authorization: str | None, pool: urllib3.PoolManager) -> None:
        self.url = url
        self._base_path = urlsplit(url).path.rstrip("/")
        self._pool = pool.connection_from_url(url)
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if authorization is not None:
            self._headers["Authorization"] = authorization

    def absolute(self, url: str) -> str:
        """Complete a URL that is a path on the control service's own host."""
        return urljoin(self.url + "/", url)

    def post(self, path: str, message: Any, *, timeout_s: float = 30.0) -> Any:
        """Send a message once; give the parsed answer, or None for 204."""
        values: Any = message if isinstance(message, dict) else wire.encode(message)
        return self._send(path, json.dumps(values).encode(), None, timeout_s)

    def post_text(self, path: str, block: bytes) -> Any:
        """Send a block of log lines once."""
        return self._send(path, block, "text/plain; charset=utf-8", 30.0)

    def _send(self, path: str, body: bytes, kind: str | None, timeout_s: float) -> Any:
        headers = self._headers if kind is None else {**self._headers, "Content-Type": kind}
        try:
            answer = self._pool.urlopen(
                "POST",
                f"{self._base_path}/api/v0{path}",
                body=body,
                headers=headers,
                retries=False,
                redirect=False,
                timeout=urllib3.Timeout(connect=10.0, read=timeout_s),
            )
        except urllib3.exceptions.HTTPError as error:
            raise Unreachable(f"{type(error).__name__} at {path}") from error
        return _read(answer.status, answer.data)


def _read(status: int, data: bytes) -> Any:
    if status == 204:
        return None
    values: Any = {}
    try:
        values = json.loads(data) if data else {}
    except ValueError:
        if status < 300:
            raise Unreachable("the answer is not JSON") from None
    if 200 <= status < 300:
        return values
    if status == 409:
        _raise_conflict(values)
    if status >= 500 or status in (408, 425, 429):
        raise Unreachable(f"answered {status}")
    raise Rejected(status, str(_field(values, "detail") or ""))


def _field(values: Any, name: str) -> Any:
    return cast("dict[str, Any]", values).get(name) if isinstance(values, dict) else None


def _raise_conflict(values: Any) -> None:
    code = _field(values, "code")
    if code == "fenced":
        raise Fenced("The attempt belongs to another worker now")
    if code == "log_gap":
        raise LogGap(int(values["expected"]))


def until_answered(
    send: Callable[[], T], *, give_up: threading.Event | None = None, limit_s: float | None = None
) -> T:
    """Repeat while the control service is unreachable: for ever, or until told or too late."""
    backoff = Backoff(event=give_up or threading.Event())
    began = time.monotonic()
    while True:
        try:
            return send()
        except Unreachable:
            if backoff.wait() or (limit_s is not None and time.monotonic() - began > limit_s):
                raise


class AttemptClient:
    """The calls of one attempt."""

    def __init__(self, client: ControlClient, attempt_id: str) -> None:
        self.client = client
        self._path = f"/attempts/{attempt_id}"

    def report_phases(self, reports: wire.PhaseReports) -> wire.Receipt:
        """Tell of phases."""
        return wire.decode(wire.Receipt, self.client.post(f"{self._path}/phases/", reports))

    def send_log(self, first: int, count: int, block: bytes) -> wire.LogReceipt:
        """Send a block. Raises LogGap."""
        path = f"{self._path}/log/?first={first}&count={count}"
        return wire.decode(wire.LogReceipt, self.client.post_text(path, block))

    def send_points(self, report: wire.MetadataReport) -> wire.Receipt:
        """Send metadata."""
        return wire.decode(wire.Receipt, self.client.post(f"{self._path}/metadata/", report))

    def fetch_inputs(self) -> tuple[wire.InputSpec, ...]:
        """Ask for fresh URLs."""
        answer = self.client.post(f"{self._path}/inputs/", {})
        return tuple(wire.decode(wire.InputSpec, one) for one in answer["inputs"])

    def offer_outputs(self, offer: wire.OutputsOffer) -> tuple[wire.Upload, ...]:
        """Ask where files go."""
        answer = self.client.post(f"{self._path}/outputs/", offer)
        return tuple(wire.decode(wire.Upload, one) for one in answer["uploads"])

    def confirm_output(self, datum_id: str, stored: wire.OutputStored) -> wire.Receipt:
        """Tell that a file is in the store."""
        path = f"{self._path}/outputs/{datum_id}/"
        return wire.decode(wire.Receipt, self.client.post(path, stored))

    def set_status_detail(self, text: str) -> wire.Receipt:
        """Pass on what the step says of itself."""
        answer = self.client.post(f"{self._path}/status-detail/", {"status_detail": text})
        return wire.decode(wire.Receipt, answer)

    def finish(self, finish: wire.Finish) -> wire.Receipt:
        """Report the end."""
        return wire.decode(wire.Receipt, self.client.post(f"{self._path}/finish/", finish))
