"""The ports: what services ask of the world. Plug-ins implement them, `bootstrap` chooses.

Every verb is idempotent unless it says otherwise. Errors are TemporaryError (try again) and
PermanentError (do not); anything else is a bug. Source: architecture.md part 4, style-anchors 4.5.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol


# -- stores ------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request that needs no other authority. `url` may be a path on our own host."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What a store knows of one object."""

    key: str
    size_bytes: int


class Store(Protocol):
    """A place for bytes by key. Keys are relative paths of [A-Za-z0-9._/-]; never overwritten."""

    uri_prefix: str
    """What `datum.uri` begins with, such as `s3://bucket/` or `file://…/`."""

    def put_url(self, key: str, *, ttl_s: int, size_bytes: int) -> SignedRequest:
        """Sign one upload of exactly `size_bytes`. Makes no network call."""
        ...

    def get_url(self, key: str, *, ttl_s: int, file_name: str | None = None) -> str:
        """Sign one download, saved as `file_name` by a browser. Makes no network call."""
        ...

    def put(self, key: str, body: bytes | Path) -> None:
        """Store bytes or a file, whole or not at all."""
        ...

    def get(self, key: str) -> bytes:
        """Read an object whole. Raises PermanentError when it is not there."""
        ...

    def stat(self, key: str) -> StoredObject | None:
        """Look an object up; None when it is not there."""
        ...

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """List the objects whose key begins with `prefix`, in key order."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object; silent when it is not there."""
        ...

    def check(self) -> None:
        """Write, read and delete a small object; raises what is wrong. At most 10 s."""
        ...

    def check_pages(self, origin: str) -> None:
        """Ask, as a browser does, whether pages of `origin` may upload. Raises PermanentError."""
        ...


# -- queues ------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class QueueEntry:
    """An execution waiting in a queue. Higher `priority` first, then older `queued_at`, then id."""

    execution_id: str
    queue: str  # the environment's id
    priority: int
    queued_at: datetime


@dataclass(frozen=True, slots=True)
class TailBlock:
    """Consecutive log lines, `first` … `first + count - 1`, as the agent sent them."""

    first: int
    count: int
    text: bytes

    @property
    def last(self) -> int:
        """The number of the last line."""
        return self.first + self.count - 1


class Queue(Protocol):
    """Priority queues, live log tails and wake-ups; may be wiped at any moment (decision 2, 4)."""

    def push(self, entries: Sequence[QueueEntry]) -> None:
        """Add executions, in one round trip; one that is there already stays where it is."""
        ...

    def pop(self, queues: Sequence[str], *, wait_s: float) -> tuple[str, str] | None:
        """Take the first execution of the first queue that has one: (queue, execution id).

        None after `wait_s` seconds. At most once: the reaper puts back what a dead taker took.
        """
        ...

    def discard(self, queue: str, execution_ids: Iterable[str]) -> None:
        """Take executions out; silent for those that are not there."""
        ...

    def depth(self, queue: str) -> int:
        """Count what waits."""
        ...

    def position(self, queue: str, execution_id: str) -> int | None:
        """The place in the queue, counted from 1; None when it is not there."""
        ...

    def members(self, queue: str) -> set[str]:
        """All ids that wait; for the healing loop, read in pieces."""
        ...

    def append_tail(self, execution_id: str, block: TailBlock) -> None:
        """Add a block to the live tail and wake its readers. Bounded: old blocks go."""
        ...

    def read_tail(self, execution_id: str, *, after: int) -> Sequence[TailBlock]:
        """Blocks holding any line above `after`, oldest first; empty when there is none."""
        ...

    def drop_tail(self, execution_id: str, *, ttl_s: int) -> None:
        """Let the tail expire after `ttl_s` seconds: the log is stored."""
        ...

    def publish(self, topic: str, message: str) -> None:
        """Wake whoever listens to `topic` (execution:ID, project:ID); nobody there is fine."""
        ...

    def check(self) -> str:
        """Answer name and version of the server; raises TemporaryError when it does not answer."""
        ...


# -- git ---------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class GitRemote:
    """A repository and how to reach it. Secrets are plain here and live only in memory."""

    url: str
    private_key: str | None = None  # OpenSSH text of the deploy key
    host_key: str | None = None  # pinned "type base64" of the server; None: trust on first use
    username: str | None = None
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class FetchedCommit:
    """The tip of a ref after a fetch. `commit_time` is `2030-01-02T03:04:05Z`."""

    identifier: str
    ref: str
    commit_time: str
    message: str


@dataclass(frozen=True, slots=True)
class FetchResult:
    """What a fetch found; `host_key` is to be pinned when the remote had none yet."""

    commits: tuple[FetchedCommit, ...]
    errors: tuple[str, ...] = ()
    host_key: str | None = None


class Git(Protocol):
    """Reads repositories by a bounded subprocess: time limit, no hooks, no prompts (GIT-5)."""

    def fetch(self, mirror: str, remote: GitRemote, refs: Sequence[str]) -> FetchResult:
        """Bring the mirror up to date: newest commits (at most 200) of each ref, newest first.

        `mirror` is a name of ours. At most 120 s. Raises TemporaryError for an unreachable
        server, PermanentError for a wrong address, rights or ref, in words for people that
        never hold a secret.
        """
        ...

    def read_file(self, mirror: str, identifier: str, path: str) -> bytes | None:
        """Read a file of a fetched commit; None when it is not there."""
        ...

    def archive(self, mirror: str, identifier: str, target: Path) -> None:
        """Write the commit's tree as a deterministic gzip tar: same tree, same bytes."""
        ...

    def make_deploy_key(self, comment: str) -> tuple[str, str]:
        """Make an ed25519 key pair: (private OpenSSH text, public one-line text)."""
        ...
