"""What a cloud signs for a machine, and whether that lets the machine join a worker group.

Source: architecture.md part 4, "enrolment"; platform-behaviour.md BIN-4.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from control.domain.errors import Conflict, Forbidden, TemporaryError
from control.domain.reaping import is_suspect
from control.domain.scaling.state import MachineState

CLOCKS_DIFFER = timedelta(minutes=5)
"""A document from further in the future is not believed."""

STARTS_DIFFER = timedelta(minutes=15)
"""Between the start that the document tells and the one in the cloud's list."""

MAY_JOIN = frozenset(
    {MachineState.LAUNCHING, MachineState.READY, MachineState.DRAINING, MachineState.LOST}
)


@dataclass(frozen=True, slots=True)
class InstanceIdentity:
    """What a cloud's signature proves of a machine."""

    cloud: str
    account: str
    region: str
    instance_id: str
    instance_type: str
    image: str
    started_at: datetime


class IdentityCheck(Protocol):
    """Reads one cloud's signed documents; no network call."""

    def read(self, document: str, signature: str) -> InstanceIdentity:
        """Check the signature and read the document.

        Raises Unauthenticated for a document that the cloud has not signed, Forbidden for one of
        a foreign account, PermanentError where the installation lacks the cloud's certificate.
        """
        ...


@dataclass(frozen=True, slots=True)
class KnownGroup:
    """The worker group that the machine says it is of."""

    id: str
    name: str
    cloud: str
    region: str
    image: str  # "": any


@dataclass(frozen=True, slots=True)
class KnownMachine:
    """The machine of that id in the cloud's list, as last read."""

    group_id: str | None
    state: str
    launched_at: datetime


@dataclass(frozen=True, slots=True)
class Holder:
    """The worker that joined as this machine before and has not left."""

    last_seen_at: datetime


def check_join(
    proved: InstanceIdentity,
    group: KnownGroup | None,
    machine: KnownMachine | None,
    holder: Holder | None,
    now: datetime,
) -> None:
    """Let a proved machine join the group it names, or say why not.

    A document proves the same for as long as the machine lives, and whoever read it can send it
    again. So one machine is one worker: another join is refused while the first one is heard of,
    and takes its place when it has left or fallen silent, as after a lost disk.

    Raises Forbidden, Conflict, and TemporaryError while the cloud's list lags behind.
    """
    if group is None or group.cloud != proved.cloud:
        raise Forbidden(f"There is no such worker group on {proved.cloud}.")
    _check_group(proved, group)
    if proved.started_at > now + CLOCKS_DIFFER:
        raise Forbidden("The identity document is from the future: are the clocks right?")
    if machine is None:
        raise TemporaryError(
            f"{proved.instance_id} is not in the list of {proved.cloud} machines yet: try again.",
            delay_s=10.0,
        )
    _check_machine(proved, group, machine)
    if holder is not None and not is_suspect(holder.last_seen_at, now):
        raise Conflict(
            f"{proved.instance_id} has joined already and its worker is alive: "
            "a second one may take its place when that one has left or fallen silent."
        )


def _check_group(proved: InstanceIdentity, group: KnownGroup) -> None:
    if proved.region != group.region:
        raise Forbidden(f"The machine is in {proved.region}, group {group.name} in {group.region}.")
    if group.image and proved.image != group.image:
        raise Forbidden(f"The machine runs image {proved.image}, group {group.name} {group.image}.")


def _check_machine(proved: InstanceIdentity, group: KnownGroup, machine: KnownMachine) -> None:
    if machine.group_id != group.id:
        raise Forbidden(f"{proved.instance_id} is not a machine of group {group.name}.")
    if machine.state not in MAY_JOIN:
        raise Forbidden(f"{proved.instance_id} is {machine.state} and may not join any more.")
    if abs(machine.launched_at - proved.started_at) > STARTS_DIFFER:
        raise Forbidden(f"The identity document is of another start of {proved.instance_id}.")
