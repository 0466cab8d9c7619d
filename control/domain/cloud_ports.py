"""The ports of infrastructure: what loops ask of a cloud and of the engine that owns its resources.

Every verb is idempotent. Errors are TemporaryError (try again) and PermanentError (do not), both
in words for people. Growing is never a verb of a cloud: it is `up` on the group's stack
(architecture.md decision 6).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from control.domain.errors import PermanentError


class FailureClass(StrEnum):
    """Why a launch failed, by what must be done about it. Source: infrastructure.md 3.3 step 8."""

    CAPACITY = "capacity"  # back off this offering, take the next one
    QUOTA = "quota"  # back off the family and region, tell an administrator
    THROTTLE = "throttle"  # the same call again, later
    CREDENTIALS = "credentials"  # nothing works there until a person mends them: try rarely
    CONFIGURATION = "configuration"  # open the group's breaker until its config changes
    BOOT_TIMEOUT = "boot-timeout"  # created and never joined
    RECLAIM = "reclaim"  # the cloud took a spot machine back; not a failure


@dataclass(frozen=True, slots=True)
class GroupRef:
    """A worker group as a cloud knows it."""

    name: str  # ours, the value of the tag talkoot:group
    region: str
    resource: str  # of the Auto Scaling group, scale set, instance group; "" where there is none


@dataclass(frozen=True, slots=True)
class Instance:
    """A worker machine of ours, found by its tags; one that is gone for good is not listed."""

    id: str
    group: str  # value of the tag talkoot:group
    region: str
    zone: str
    instance_type: str
    market: str  # spot, on-demand
    state: str  # pending, running, stopping
    launched_at: datetime
    addresses: tuple[str, ...] = ()
    image: str = ""
    config_version: str = ""  # of the launch template it was made from


@dataclass(frozen=True, slots=True)
class GroupCapacity:
    """What the cloud's own group says of itself."""

    minimum: int
    maximum: int
    desired: int
    suspended: frozenset[str] = frozenset()  # processes, in the cloud's words


@dataclass(frozen=True, slots=True)
class LaunchFailure:
    """One launch that the cloud refused or gave up, as it reports it, often minutes later."""

    at: datetime
    group: str
    kind: FailureClass
    message: str  # the cloud's own words
    zone: str = ""


@dataclass(frozen=True, slots=True)
class ReclaimNotice:
    """The cloud will take a machine back at `deadline`."""

    instance_id: str
    deadline: datetime
    receipt: str = ""  # for `forget`


class Cloud(Protocol):
    """One cloud account, by an adapter. Each call ends within 30 s, or raises TemporaryError."""

    def instances(self, region: str) -> Sequence[Instance]:
        """List every machine with the tags of this installation and of any group, oldest first.

        A machine without a group's tag, such as a control host, is no worker: never listed.
        """
        ...

    def capacity(self, group: GroupRef) -> GroupCapacity | None:
        """Read the cloud's group; None when there is no such thing."""
        ...

    def failures(self, group: GroupRef, *, since: datetime) -> Sequence[LaunchFailure]:
        """List failed launches of a group after `since`, oldest first."""
        ...

    def may_terminate(self, group: GroupRef, instance_id: str) -> str | None:
        """Say why the cloud would refuse to terminate the machine now; None when it would not.

        A minimum size or a suspended process refuses: asked before the drain is final (step 7.4).
        """
        ...

    def terminate(self, group: GroupRef, instance_id: str, *, replace: bool = False) -> None:
        """End exactly this machine and lower the group's number by one; silent when it is gone.

        `replace` keeps the number, so that the cloud starts another one: for a broken machine of
        a group that is at its minimum.
        """
        ...

    def end_orphan(self, region: str, instance_id: str) -> None:
        """End a machine of a group that we do not know; silent when it is gone."""
        ...

    def console_output(self, region: str, instance_id: str) -> str:
        """Give the last part of what the machine wrote to its console; "" when there is none."""
        ...

    def notices(self, region: str) -> Sequence[ReclaimNotice]:
        """Read the reclaim notices that wait; each comes again until it is forgotten."""
        ...

    def forget(self, region: str, notices: Sequence[ReclaimNotice]) -> None:
        """Drop notices that were recorded."""
        ...

    def find_resource(self, region: str, stack: str, type_: str, name: str) -> str | None:
        """Find what a stack of ours made, by the engine's type and its name in the cloud.

        Answers its id; "" when there is no such thing with the tag of this stack; None for a type
        that the adapter does not know.
        """
        ...

    def price(self, region: str, instance_type: str, market: str) -> float | None:
        """US dollars an hour now, the dearest zone's; None when the cloud does not say."""
        ...

    def instance_types(self, region: str) -> Collection[str]:
        """List the names of the machine types that the region has."""
        ...

    def check(self) -> str:
        """Say who we are there. Raises PermanentError for wrong credentials, with what to do."""
        ...


Clouds = Callable[[str], Cloud]
"""The adapter of a cloud by its name, made on first use. Raises PermanentError, with what to do."""


def no_clouds(name: str) -> Cloud:
    """Stand in where no cloud is wired."""
    raise PermanentError(f"This process talks to no cloud, and was asked for '{name}'.")


FindResource = Callable[[str, str], str | None]
"""Type and name of a stack's resource to its id, as `Cloud.find_resource` answers."""


# -- the engine that owns the resources -----------------------------------------------------------
@dataclass(frozen=True, slots=True)
class StackOperation:
    """One run of the engine on one stack."""

    stack: str
    verb: str  # up, preview, refresh, destroy
    config: Mapping[str, str]  # what is added to Git's Pulumi.<stack>.yaml, such as size; no secret
    message: str  # the decision's id and reason
    time_limit_s: float
    unless_in_git: Mapping[str, str] = field(default_factory=dict)  # config where Git has no file
    may_create: bool = False  # a stack that does not exist yet is made; else that is a failure
    live: int = 0  # machines there now: a smaller size is refused, for it would pick victims


@dataclass(frozen=True, slots=True)
class StackEvent:
    """A step of a run, for the page: what happens to which resource, or a line of diagnostics."""

    at: datetime
    kind: str  # resource, diagnostic, summary
    text: str
    resource: str = ""  # type and name
    operation: str = ""  # create, update, delete, same, replace
    severity: str = "info"


@dataclass(frozen=True, slots=True)
class StackResult:
    """How a run ended.

    `outcome`: succeeded, failed, conflict (locked), missing (no such stack), interrupted,
    timed-out.
    """

    outcome: str
    changes: Mapping[str, int] = field(default_factory=dict)  # operation to count
    error: str = ""  # the first diagnostic that a person must read; no secret
    failure: FailureClass | None = None
    engine_s: float = 0.0  # wall time of the engine itself, without ours


class StackEngine(Protocol):
    """Runs stack operations in our own checkout of the infrastructure repository.

    One operation a stack at a time is the caller's business (a lease in the database).
    """

    def run(
        self,
        operation: StackOperation,
        *,
        on_event: Callable[[StackEvent], None],
        on_start: Callable[[int], None],
        should_stop: Callable[[], bool],
    ) -> StackResult:
        """Run to the end. `on_start` gets the pid of the process group, to be kept for recovery.

        When `should_stop` turns true (asked at least once a second), or this process dies, the
        engine is interrupted once and given five minutes. `on_event` is called from one thread.
        Never raises for what the engine reports: that is a StackResult.
        """
        ...

    def recover(self, stack: str, pid: int | None, find: FindResource) -> str:
        """Clear what a killed run left (infrastructure.md 1.7); say in a sentence what was done.

        What it had begun to make is recorded where `find` knows its id, and forgotten elsewhere.
        Raises PermanentError when a person must look, such as a lock of another host, and
        TemporaryError, or what `find` raises, when it can not be done now.
        """
        ...

    def outputs(self, stack: str) -> Mapping[str, object]:
        """Read the stack's outputs; empty for a stack that was never updated."""
        ...

    def git_config(self, stack: str) -> Mapping[str, str]:
        """Read the stack's config in Git, our own keys without their `talkoot:`; empty: no file."""
        ...

    def commit(self) -> str:
        """Name the commit of the checkout that operations run from."""
        ...

    def plugins(self) -> Sequence[str]:
        """Name the clouds' providers that are here, each with its version.

        Raises PermanentError when there is none.
        """
        ...

    def pull(self) -> str:
        """Read the repository; the commit that later operations run from."""
        ...

    def warm(self) -> None:
        """Get ready for a run that may come soon; cheap, and never needed."""
        ...

    def close(self) -> None:
        """End what was made ready."""
        ...

    def is_alive(self, pid: int) -> bool:
        """Say whether anything of the process group that `on_start` named still runs here."""
        ...

    def check(self) -> Mapping[str, str]:
        """Say what was found of each part: engine, repository, state.

        Raises PermanentError for the first part that is not well, with what to do.
        """
        ...
