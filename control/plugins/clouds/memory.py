"""A cloud in memory, for tests: groups that launch and end machines, and faults to order."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Self

from control.domain.cloud_ports import (
    FailureClass,
    GroupCapacity,
    GroupRef,
    Instance,
    LaunchFailure,
    ReclaimNotice,
)
from control.domain.errors import PermanentError, TemporaryError

EPOCH = datetime(2030, 1, 1, tzinfo=UTC)
ZONES = ("a", "b", "c")


@dataclass
class Faults:
    """What goes wrong from now on; each may be set and cleared at any time."""

    refused: dict[str, tuple[FailureClass, str]] = field(default_factory=dict)
    """Launches that fail: zone letter ("" for every zone) to class and the cloud's words."""
    throttled_calls: int = 0  # so many calls fail, then all is well
    is_unreachable: bool = False
    broken_regions: set[str] = field(default_factory=set)
    broken_groups: set[str] = field(default_factory=set)  # resources that cannot be changed
    has_no_console: bool = False  # it cannot be read
    has_wrong_credentials: bool = False
    empty_lists: int = 0  # so many lists come back empty
    forgotten: set[str] = field(default_factory=set)  # ids that lists leave out
    is_stale: bool = False  # lists are what they were when this was set
    end_s: float = 0.0  # how long a machine is `stopping`


@dataclass
class _Group:
    """The cloud's own group: it keeps its number of machines."""

    ref: GroupRef
    minimum: int
    maximum: int
    instance_type: str
    market: str
    config_version: str
    desired: int = 0
    suspended: set[str] = field(default_factory=set)


class MemoryCloud:
    """Machines in a dictionary. `now` is its clock: a test moves it with `at`."""

    def __init__(self, installation: str) -> None:
        if "PYTEST_VERSION" not in os.environ:
            warnings.warn("The memory cloud forgets everything when it ends.", stacklevel=2)
        self.installation = installation
        self.now = EPOCH
        self.faults = Faults()
        self.console: dict[str, str] = {}
        self.prices: dict[tuple[str, str], float] = {}  # type and market to US dollars an hour
        self.types = {"g5.xlarge", "g5.2xlarge", "m7i.large"}
        self.calls: list[str] = []
        self.watch: Callable[[], object] = lambda: None  # called at every call
        self._groups: dict[tuple[str, str], _Group] = {}
        self._machines: dict[str, Instance] = {}
        self._ends: dict[str, datetime] = {}  # stopping until then
        self._failures: list[LaunchFailure] = []
        self._notices: list[tuple[str, ReclaimNotice]] = []  # with the region
        self._stale: dict[str, list[Instance]] = {}
        self._strays: set[str] = set()  # that no group holds, whatever their tags say
        self._made = 0
        self._lock = threading.RLock()

    @classmethod
    def from_url(cls, url: str, *, options: Mapping[str, str]) -> Self:
        """Build from `memory:`; the option `installation` is a name only."""
        del url
        return cls(options.get("installation", ""))

    # -- what a test does to it ----------------------------------------------------------------
    def at(self, now: datetime) -> None:
        """Move the clock."""
        self.now = now

    def add_group(
        self,
        ref: GroupRef,
        *,
        minimum: int = 0,
        maximum: int = 10,
        market: str = "on-demand",
        config_version: str = "1",
    ) -> None:
        """Make an empty group, as a stack would."""
        key = (ref.region, ref.resource)
        self._groups[key] = _Group(ref, minimum, maximum, "fake.small", market, config_version)

    def suspend(self, ref: GroupRef, *processes: str) -> None:
        """Suspend processes of a group, in the words that `may_terminate` will use."""
        self._groups[ref.region, ref.resource].suspended = set(processes)

    def set_desired(self, ref: GroupRef, count: int) -> None:
        """Ask for a number of machines, as `up` does: more are launched, fewer end at random."""
        with self._lock:
            group = self._groups[ref.region, ref.resource]
            group.desired = count
            self._level(group)

    def launch_stray(self, region: str, group: str, at: datetime | None = None) -> str:
        """Start a machine with our tags that no group holds; answer its id."""
        with self._lock:
            stray = self._start(region, group, region + "a", "", at)
            self._strays.add(stray)
            return stray

    def vanish(self, instance_id: str) -> None:
        """Let a machine disappear, as after a fault of its host; its group is not refilled."""
        with self._lock:
            self._lower_group_of(instance_id)
            self._machines.pop(instance_id, None)

    def power_off(self, instance_id: str) -> None:
        """Let a machine end itself; its group is refilled when it is levelled next."""
        with self._lock:
            self._stop(instance_id)

    def reclaim(self, instance_id: str, deadline: datetime) -> None:
        """Announce that a machine is taken back."""
        with self._lock:
            region = self._machines[instance_id].region
            receipt = f"receipt-{len(self._notices)}-{instance_id}"
            self._notices.append((region, ReclaimNotice(instance_id, deadline, receipt)))

    # -- the port --------------------------------------------------------------------------------
    def instances(self, region: str) -> Sequence[Instance]:
        """List the machines that are not gone, oldest first."""
        with self._lock:
            self._answer("instances", region)
            if self.faults.empty_lists > 0:
                self.faults.empty_lists -= 1
                return []
            self._end_stopped()
            if not self.faults.is_stale:
                self._stale[region] = sorted(
                    (one for one in self._machines.values() if one.region == region),
                    key=lambda one: (one.launched_at, one.id),
                )
            listed = self._stale.get(region, [])
            return [one for one in listed if one.id not in self.faults.forgotten]

    def capacity(self, group: GroupRef) -> GroupCapacity | None:
        """Read the group."""
        with self._lock:
            self._answer("capacity", group.region)
            found = self._groups.get((group.region, group.resource))
            if found is None:
                return None
            suspended = frozenset(found.suspended)
            return GroupCapacity(found.minimum, found.maximum, found.desired, suspended)

    def failures(self, group: GroupRef, *, since: datetime) -> Sequence[LaunchFailure]:
        """List launches that failed; a group that still lacks machines tries again first."""
        with self._lock:
            self._answer("failures", group.region)
            found = self._groups.get((group.region, group.resource))
            if found is not None:
                self._level(found)
            return [one for one in self._failures if one.group == group.name and one.at > since]

    def may_terminate(self, group: GroupRef, instance_id: str) -> str | None:
        """Refuse below the minimum and while terminating is suspended."""
        del instance_id
        found = self.capacity(group)
        if found is None:
            return None
        if "Terminate" in found.suspended:
            return "The cloud's group has its process Terminate suspended."
        if found.desired <= found.minimum:
            return f"The cloud's group is at its minimum of {found.minimum}."
        return None

    def terminate(self, group: GroupRef, instance_id: str, *, replace: bool = False) -> None:
        """End one machine of a group and lower its number, or start another."""
        with self._lock:
            self._answer("terminate", group.region)
            if group.resource in self.faults.broken_groups:
                raise TemporaryError(f"The cloud fails to change {group.resource}.")
            if not self._is_here(instance_id):
                return
            found = self._groups[group.region, group.resource]
            if not replace and instance_id not in self._strays:
                if found.desired <= found.minimum:
                    raise PermanentError(f"The group is at its minimum of {found.minimum}.")
                found.desired -= 1
            self._stop(instance_id)
            self._level(found)

    def end_orphan(self, region: str, instance_id: str) -> None:
        """End a machine of no group that we know."""
        with self._lock:
            self._answer("end_orphan", region)
            if not self._is_here(instance_id):
                return
            self._lower_group_of(instance_id)
            self._stop(instance_id)

    def console_output(self, region: str, instance_id: str) -> str:
        """Give what a test put into `console`."""
        self._answer("console_output", region)
        if self.faults.has_no_console:
            raise TemporaryError("The cloud has no console just now.")
        return self.console.get(instance_id, "")

    def notices(self, region: str) -> Sequence[ReclaimNotice]:
        """Read the notices that wait."""
        with self._lock:
            self._answer("notices", region)
            return [notice for place, notice in self._notices if place == region]

    def forget(self, region: str, notices: Sequence[ReclaimNotice]) -> None:
        """Drop notices."""
        with self._lock:
            self._answer("forget", region)
            done = {notice.receipt for notice in notices}
            self._notices = [one for one in self._notices if one[1].receipt not in done]

    def find_resource(self, region: str, stack: str, type_: str, name: str) -> str | None:
        """Look for a group by its name in the cloud; the memory cloud's type is `group`."""
        del stack
        with self._lock:
            self._answer("find_resource", region)
            if type_ != "group":
                return None
            return name if (region, name) in self._groups else ""

    def price(self, region: str, instance_type: str, market: str) -> float | None:
        """Give what a test put into `prices`."""
        self._answer("price", region)
        return self.prices.get((instance_type, market))

    def instance_types(self, region: str) -> Collection[str]:
        """Give what a test put into `types`."""
        self._answer("instance_types", region)
        return set(self.types)

    def check(self) -> str:
        """Say who we are."""
        self._answer("check", "")
        return f"memory cloud of installation {self.installation}"

    # -- its parts -------------------------------------------------------------------------------
    def _answer(self, call: str, region: str) -> None:
        self.calls.append(call)
        self.watch()
        if self.faults.has_wrong_credentials:
            raise PermanentError("The cloud does not know these credentials: set others.")
        if self.faults.is_unreachable or region in self.faults.broken_regions:
            raise TemporaryError(f"The cloud does not answer in {region or 'any region'}.")
        if self.faults.throttled_calls > 0:
            self.faults.throttled_calls -= 1
            raise TemporaryError("The cloud asks us to call less often.", delay_s=5.0)

    def _level(self, group: _Group) -> None:
        mine = [
            one
            for one in self._machines.values()
            if one.group == group.ref.name
            and one.region == group.ref.region
            and one.state != "stopping"
            and one.id not in self._strays
        ]
        for number in range(len(mine), group.desired):
            self._launch(group, group.ref.region + ZONES[number % len(ZONES)])
        if len(mine) > group.desired:  # whoever it hits: no wish is heard, and busy ones too
            victims = sorted(mine, key=lambda one: sha256(one.id.encode()).digest())
            for victim in victims[: len(mine) - group.desired]:
                self._stop(victim.id)

    def _launch(self, group: _Group, zone: str) -> None:
        refused = self.faults.refused.get(zone[-1]) or self.faults.refused.get("")
        if refused is not None:
            kind, message = refused
            self._failures.append(LaunchFailure(self.now, group.ref.name, kind, message, zone))
            return
        made = self._start(group.ref.region, group.ref.name, zone, group.config_version, None)
        self._machines[made] = replace(
            self._machines[made], instance_type=group.instance_type, market=group.market
        )

    def _start(
        self, region: str, group: str, zone: str, config_version: str, at: datetime | None
    ) -> str:
        self._made += 1
        machine = Instance(
            id=f"i-{self._made:017x}",
            group=group,
            region=region,
            zone=zone,
            instance_type="fake.small",
            market="on-demand",
            state="running",
            launched_at=at or self.now,
            config_version=config_version,
        )
        self._machines[machine.id] = machine
        return machine.id

    def _lower_group_of(self, instance_id: str) -> None:
        for group in self._groups.values():
            is_member = instance_id not in self._strays
            if is_member and group.ref.name == self._machines[instance_id].group:
                group.desired -= 1

    def _is_here(self, instance_id: str) -> bool:
        found = self._machines.get(instance_id)
        return found is not None and found.state != "stopping"

    def _stop(self, instance_id: str) -> None:
        machine = self._machines[instance_id]
        self._machines[instance_id] = replace(machine, state="stopping")
        self._ends[instance_id] = self.now + timedelta(seconds=self.faults.end_s)
        self._end_stopped()

    def _end_stopped(self) -> None:
        for instance_id in [one for one, end in self._ends.items() if end <= self.now]:
            del self._ends[instance_id]
            self._machines.pop(instance_id, None)
