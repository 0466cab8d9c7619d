"""The messages between the agent and the control service, and nothing else.

Standard library only, for the control service imports this module and no other of the agent
(architecture.md decision 3). All times are ISO 8601 UTC text with six fractional digits and no
zone (`2030-01-02T03:04:05.678901`), all sizes bytes, all durations seconds.

    POST /api/v0/agents/join/              Join          -> Joined
    POST /api/v0/agents/claim/             Claim         -> ExecutionSpec, or 204 when nothing waits
    POST /api/v0/agents/heartbeat/         Heartbeat     -> Orders
    POST /api/v0/agents/leave/             {}            -> 204
    GET  /api/v0/agents/release/?channel=C or ?version=V  -> ReleaseOffer
    POST /api/v0/attempts/ID/phases/       PhaseReports  -> Receipt
    POST /api/v0/attempts/ID/log/?first=N&count=M  log block (text, below)  -> LogReceipt
    POST /api/v0/attempts/ID/metadata/     MetadataReport -> Receipt
    POST /api/v0/attempts/ID/inputs/       {}            -> {"inputs": [InputSpec]}, with fresh URLs
    POST /api/v0/attempts/ID/outputs/      OutputsOffer  -> {"uploads": [Upload]}
    POST /api/v0/attempts/ID/outputs/DATUM/  OutputStored -> Receipt
    POST /api/v0/attempts/ID/status-detail/  {"status_detail": text} -> Receipt
    POST /api/v0/attempts/ID/finish/       Finish        -> Receipt

`/agents/` takes `Authorization: Agent TOKEN` (join and release: none), `/attempts/` takes
`Authorization: Claim CLAIM_TOKEN`. An answer 409 with `{"code": "fenced"}` means that the attempt
belongs to nobody any more: the agent kills the container, cleans up and forgets it.

A log block is UTF-8 text, `count` lines each ended by a line feed, numbered first, first + 1, …
within the execution: `<time> <stream> <text>`, where stream is one letter of STREAMS. The text
holds no line feed and no carriage return.
A block whose first number is not the next one expected is answered 409
`{"code": "log_gap", "expected": N}`: the agent goes on from line N. Blocks that were received
before are acknowledged and dropped.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from dataclasses import dataclass, field
from typing import Any, TypeVar

PROTOCOL = 1
"""Raised by one when an older agent could no longer talk to a newer control service."""

STREAMS = {"o": "stdout", "e": "stderr", "s": "status"}
"""The letter of a log line to the stream's name in the API (client-contract.md 2.5.3)."""

PHASES = ("code", "inputs", "image", "run", "outputs")
"""What an agent does for one attempt, in order (platform-behaviour.md section 9)."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Join:
    """Ask for an identity with a single-use enrolment token, or with a cloud's word for it.

    `instance_identity` is what the cloud signs for a machine: {"cloud": "aws", "group": name,
    "document": text, "signature": base64}; the token is then empty.
    """

    enrolment_token: str
    name: str
    runtime: str  # "docker" or "process"
    version: str
    protocol: int = PROTOCOL
    facts: dict[str, Any] = field(default_factory=dict)  # cpus, memory_bytes, disk_bytes, gpus …
    instance_identity: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Joined:
    """The agent's own identity, limited to its environment."""

    worker_id: str
    agent_token: str
    environment: str  # slug
    heartbeat_s: float


@dataclass(frozen=True, slots=True)
class Claim:
    """Wait up to `wait_s` (at most 30) for an execution."""

    wait_s: float = 20.0


@dataclass(frozen=True, slots=True)
class CodeSource:
    """The archive (gzip tar) of the commit; unpacks to the repository directory."""

    url: str  # absolute, or a path on the control service's own host
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file of an input. `size_bytes` and checksums are None when nobody has read it yet."""

    name: str  # relative to the input's directory, may hold sub-directories
    uri: str
    url: str  # what to GET now; may carry user:password for basic authentication
    storage_uri: str | None = None
    datum_id: str | None = None
    size_bytes: int | None = None
    checksums: dict[str, str] = field(default_factory=dict)  # md5, sha1, sha256 as hex
    metadata: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One declared input, also when it has no file."""

    name: str
    files: tuple[InputFile, ...] = ()
    input_id: str | None = None  # only for on-demand inputs
    download: str = "always"  # or "on-demand"


@dataclass(frozen=True, slots=True)
class ExecutionSpec:
    """Everything an agent needs for one attempt; `claim_token` fences all later writes."""

    execution_id: str
    attempt_id: str
    attempt_number: int
    claim_token: str
    counter: int
    project_id: str
    step: str
    lease_s: float
    heartbeat_s: float
    log_next: int  # number of the first log line of this attempt
    code: CodeSource
    image: str
    commands: tuple[str, ...]  # rendered; run by one shell, in order
    inputs: tuple[InputSpec, ...] = ()
    parameters: dict[str, Any] = field(default_factory=dict)  # typed, none without a value
    env_vars: dict[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()  # values never shown in the log
    execution_facts: dict[str, Any] = field(default_factory=dict)  # execution.json
    runtime_config: dict[str, Any] = field(default_factory=dict)  # runtime.json
    time_limit_s: float | None = None
    no_output_timeout_s: float | None = None
    stop_grace_s: float = 10.0
    stop_at_first_error: bool = True
    network: str = "bridge"


@dataclass(frozen=True, slots=True)
class AttemptBeat:
    """Proof that this agent still works on an attempt."""

    attempt_id: str
    claim_token: str


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Sent every `heartbeat_s`; extends the lease of every attempt named."""

    attempts: tuple[AttemptBeat, ...] = ()
    is_draining: bool = False
    drain_epoch: int = 0  # of the order that is obeyed: the acknowledgement
    reclaim_at: str = ""  # the cloud takes this machine back then, as it told the machine
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Order:
    """What the control side wants of one attempt: continue, stop, stop_now or fenced."""

    attempt_id: str
    action: str
    reason: str = ""  # a sentence for the log, such as "Stop requested by ada."
    lease_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Orders:
    """The answer to a heartbeat."""

    attempts: tuple[Order, ...] = ()
    heartbeat_s: float = 5.0
    should_drain: bool = False  # claim nothing more; taken back while it is False again
    drain_epoch: int = 0
    keep_alive_s: float | None = None  # a machine in a cloud powers itself off after that silence
    wanted_version: str = ""  # of the agent; it changes itself between executions


@dataclass(frozen=True, slots=True)
class ReleaseOffer:
    """A release of the agent. `signature` is base64 of ed25519 over the text `manifest`.

    The manifest is JSON: name, version, protocol, sha256 and size_bytes of the file at `url`, and
    of each file in it under `files`. `url` is absolute, or a path on the control service's host.
    """

    version: str
    protocol: int
    manifest: str
    signature: str
    url: str


@dataclass(frozen=True, slots=True)
class PhaseReport:
    """A phase began, moved or ended. `total` is None where nothing can be counted."""

    name: str  # one of PHASES
    state: str  # "started", "progress" or "ended"
    at: str
    done: int = 0
    total: int | None = None
    unit: str = ""  # "bytes", "files", "layers"


@dataclass(frozen=True, slots=True)
class PhaseReports:
    """What happened since the last reports, oldest first; never none."""

    reports: tuple[PhaseReport, ...]


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to every report of an attempt; `action` as in Order."""

    action: str = "continue"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LogReceipt:
    """Lines up to `received` have arrived; lines up to `stored` may leave the machine."""

    received: int
    stored: int
    action: str = "continue"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class MetadataPoint:
    """One line of stdout that was a JSON object, with the time of that line."""

    number: int  # of the log line: reported twice, kept once
    time: str
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MetadataReport:
    """Points, oldest first."""

    points: tuple[MetadataPoint, ...] = ()


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A finished file below the outputs directory."""

    name: str  # relative path with "/"
    size_bytes: int
    sha256: str
    md5: str = ""
    sha1: str = ""


@dataclass(frozen=True, slots=True)
class OutputsOffer:
    """Ask where to put these files. Asked again for the same name and sha256: the same datum."""

    files: tuple[OutputFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Upload:
    """Where one file goes: send the bytes by `method` to `url` with `headers`."""

    name: str
    datum_id: str
    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    is_stored: bool = False  # True: these bytes are there already, do not send them


@dataclass(frozen=True, slots=True)
class OutputStored:
    """The bytes are in the store. `metadata` is the side-car's object, reserved keys included."""

    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of an attempt, sent when its log is sent whole and its outputs are stored.

    `outcome` is complete, error, stopped or crashed; `reason` a member of
    control.domain.states.REASONS; `sentence` what a person reads. Sent again: the same answer.
    """

    outcome: str
    reason: str
    sentence: str
    log_last: int  # number of the last log line; log_next - 1 when there is none
    exit_code: int | None = None
    failing_item: int | None = None  # counted from 1
    image_digest: str | None = None
    ended_at: str = ""


def encode(message: Any) -> dict[str, Any]:
    """Turn a message into what `json.dumps` takes."""
    return dataclasses.asdict(message)


def decode(kind: type[T], values: Any) -> T:
    """Build a message from parsed JSON; unknown keys are ignored.

    Raises ValueError naming the field that is missing or of the wrong shape.
    """
    if not isinstance(values, dict):
        raise ValueError(f"{kind.__name__}: an object is expected")
    hints = _hints(kind)
    given: dict[str, Any] = {}
    for item in dataclasses.fields(typing.cast("Any", kind)):
        if item.name in values:
            given[item.name] = _value(hints[item.name], values[item.name], item.name)
    try:
        return kind(**given)
    except TypeError as error:
        raise ValueError(f"{kind.__name__}: {error}") from error


@functools.cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    """Read the annotations once a class: they are text until then, and slow to evaluate."""
    return typing.get_type_hints(kind)


def _value(hint: Any, value: Any, name: str) -> Any:
    origin = typing.get_origin(hint)
    if origin is types.UnionType:
        if value is None:
            return None
        hint = next(part for part in typing.get_args(hint) if part is not type(None))
        origin = typing.get_origin(hint)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"{name}: a list is expected")
        part = typing.get_args(hint)[0]
        many = typing.cast("tuple[Any, ...]", value)
        return tuple(_value(part, one, name) for one in many)
    if dataclasses.is_dataclass(hint):
        return decode(typing.cast("type[Any]", hint), value)
    expected: Any = (int, float) if hint is float else origin or hint
    if (expected is bool or not isinstance(value, bool)) and isinstance(value, expected):
        return value
    raise ValueError(f"{name}: {getattr(hint, '__name__', hint)} is expected")
