"""What a group learns from what happened: each function answers the memory after one event.

Services call these and store the answer in the group's row. `now` is when it happened, which for a
cloud's report is often minutes ago. Source: infrastructure.md 3.3 steps 4, 5 and 8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from datetime import datetime, timedelta

from control.domain.cloud_ports import FailureClass
from control.domain.scaling import money
from control.domain.scaling.state import GroupMemory, GroupPolicy

BACKOFF_S = 180.0
"""The first pause after a capacity failure; it doubles with each later one."""

BACKOFF_MOST_S = 1800.0
"""The longest pause, and the pause after a quota: asking more often does not raise a quota."""

PARTLY_S = 15.0
"""The pause when the cloud gave other machines in the same minute: it is not empty."""

SAME_WAVE = timedelta(minutes=1)

CLEAN_AFTER = timedelta(hours=3)
"""After so long without a failure the pause starts small again."""

BOOTS_MOST = 3
"""So many machines in a row that never joined open the breaker."""

RECLAIM_WINDOW = timedelta(minutes=10)
RECLAIM_SHARE = 0.2
RECLAIMS_LEAST = 3
"""Fewer say nothing: of three machines one is a third."""


def remember_failure(
    memory: GroupMemory,
    policy: GroupPolicy,
    kind: FailureClass,
    message: str,
    now: datetime,
    given_at: datetime | None = None,
) -> GroupMemory:
    """Learn from a launch that failed. `message` is the cloud's own words, shown to people.

    `given_at` is the launch of the group's newest machine.

    Call it for a refusal only while the group is still short of machines: one zone may refuse and
    the next one give. A throttled call and a reclaimed machine are not failures and change nothing.
    """
    memory = remember_config(memory, policy)
    if kind in (FailureClass.CAPACITY, FailureClass.QUOTA):
        is_partly = given_at is not None and abs(now - given_at) <= SAME_WAVE
        return _refused(memory, kind, message, now, is_partly=is_partly)
    if kind is FailureClass.CONFIGURATION:
        return _open_breaker(memory, policy, message or "the configuration was refused", now)
    if kind is FailureClass.BOOT_TIMEOUT:
        return _never_joined(memory, policy, message, now)
    return memory


def _refused(
    memory: GroupMemory, kind: FailureClass, message: str, now: datetime, *, is_partly: bool
) -> GroupMemory:
    """Back off. Refusals of one wave, so before the pause ends, count once.

    Otherwise twenty machines asked for together and refused together would pause the group for
    half an hour at once.
    """
    is_same_wave = memory.backoff_until is not None and now < memory.backoff_until
    if is_same_wave and kind.value == memory.backoff_class:
        return replace(memory, last_failure_at=now, backoff_message=message)
    if kind is FailureClass.QUOTA:
        pause_s = BACKOFF_MOST_S
    elif is_partly:
        until = now + timedelta(seconds=PARTLY_S)
        return replace(
            memory,
            backoff_until=until,
            backoff_class=kind.value,
            backoff_message=message,
            last_failure_at=now,
        )
    else:
        last_s = 0.0 if _is_clean(memory, now) else memory.backoff_s
        pause_s = min(BACKOFF_MOST_S, max(BACKOFF_S, last_s * 2))
    return replace(
        memory,
        refused_at=now,
        backoff_until=now + timedelta(seconds=pause_s),
        backoff_s=pause_s,
        backoff_class=kind.value,
        backoff_message=message,
        last_failure_at=now,
    )


def _is_clean(memory: GroupMemory, now: datetime) -> bool:
    """Tell whether the last failure is over: a machine came up since, or it is long ago."""
    failed_at, joined_at = memory.last_failure_at, memory.last_joined_at
    if failed_at is None or now - failed_at >= CLEAN_AFTER:
        return True
    return joined_at is not None and joined_at > failed_at


def _never_joined(
    memory: GroupMemory, policy: GroupPolicy, message: str, now: datetime
) -> GroupMemory:
    """Halve the burst; after three in a row open the breaker.

    A machine that another one overtook, by joining after this one was launched, does not count as
    in a row: the image works.
    """
    launched_at = now - timedelta(seconds=policy.boot_grace_s)
    works = memory.last_joined_at is not None and memory.last_joined_at >= launched_at
    if works:
        return memory
    halved = replace(memory, burst_now=_halved(memory, policy), last_failure_at=now)
    row = memory.boot_failures + 1
    if row < BOOTS_MOST:
        return replace(halved, boot_failures=row)
    said = message or f"{row} machines in a row started and never joined"
    return replace(_open_breaker(halved, policy, said, now), boot_failures=row)


def _open_breaker(
    memory: GroupMemory, policy: GroupPolicy, reason: str, now: datetime
) -> GroupMemory:
    return replace(
        memory, breaker_reason=reason, breaker_version=policy.config_version, last_failure_at=now
    )


def _halved(memory: GroupMemory, policy: GroupPolicy) -> float:
    burst = float(policy.burst) if memory.burst_now is None else memory.burst_now
    return max(1.0, burst / 2)


def remember_joined(memory: GroupMemory, policy: GroupPolicy, now: datetime) -> GroupMemory:
    """Learn that a machine came up: the burst doubles back, and failures in a row are over.

    A breaker of an older configuration is forgotten.
    """
    burst = memory.burst_now
    if burst is not None:
        burst = burst * 2 if burst * 2 < policy.burst else None
    is_open = bool(memory.breaker_reason) and memory.breaker_version == policy.config_version
    return replace(
        memory,
        burst_now=burst,
        boot_failures=0,
        last_joined_at=now,
        joined_version=policy.config_version,
        breaker_reason=memory.breaker_reason if is_open else "",
        breaker_version=memory.breaker_version if is_open else "",
    )


def remember_launch(memory: GroupMemory, now: datetime) -> GroupMemory:
    """Learn that a decision with launches was recorded: drains wait from here."""
    return replace(memory, last_launch_at=now)


def remember_config(memory: GroupMemory, policy: GroupPolicy) -> GroupMemory:
    """Learn today's configuration: one that changed closes the breaker and forgets the row."""
    if not memory.breaker_reason or memory.breaker_version == policy.config_version:
        return memory
    return replace(memory, breaker_reason="", breaker_version="", boot_failures=0, burst_now=None)


def remember_reclaim(memory: GroupMemory, live: int, now: datetime) -> GroupMemory:
    """Learn that the cloud took a machine back; `live` machines were there, with that one.

    A fifth of them, and at least three, in ten minutes: other groups come first for as long.
    """
    recent = tuple(at for at in memory.reclaimed_at if now - at < RECLAIM_WINDOW)
    recent = (*recent, now)[-100:]
    is_many = len(recent) >= max(RECLAIMS_LEAST, RECLAIM_SHARE * live)
    avoid_until = now + RECLAIM_WINDOW if is_many else memory.avoid_until
    return replace(memory, reclaimed_at=recent, avoid_until=avoid_until)


def remember_spend(memory: GroupMemory, dollars: float, now: datetime) -> GroupMemory:
    """Count money that was spent until `now`; a new month starts at 0.

    Worked example: 12 live machines of 0.50 an hour for one minute are 12 x 0.50 / 60 = 0.10.
    """
    return replace(memory, spent_this_month=money.spent(memory, now) + dollars, spent_at=now)


def as_json(memory: GroupMemory) -> dict[str, object]:
    """Write a memory as plain values for a JSON column; times as ISO 8601."""
    return {name: _plain(value) for name, value in asdict(memory).items()}


def from_json(stored: Mapping[str, object] | None) -> GroupMemory:
    """Read a memory back; None, and what is not known, is a memory without that.

    A row that an older or newer version wrote is read as far as it is understood.
    """
    known = {field.name for field in fields(GroupMemory)}
    values = {name: value for name, value in (stored or {}).items() if name in known}
    for name, value in values.items():
        if name.endswith(("_at", "_until")):
            values[name] = _time(value)
    return replace(GroupMemory(), **values)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value


def _time(value: object) -> object:
    if isinstance(value, list):
        return tuple(datetime.fromisoformat(str(one)) for one in value)
    return datetime.fromisoformat(value) if isinstance(value, str) else None
