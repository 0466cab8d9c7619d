from __future__ import annotations

import pytest

from agent.loop.lease import Lease


@pytest.mark.parametrize(
    ("lease_s", "at", "expected"),
    [
        pytest.param(600, 569, False, id="long-leases-lose-30-s"),
        pytest.param(600, 571, True, id="and-no-more"),
        pytest.param(60, 29, False, id="short-leases-lose-half"),
        pytest.param(60, 31, True, id="of-themselves"),
    ],
)
def test_the_step_ends_before_its_lease(lease_s: float, at: float, expected: bool) -> None:
    now = [0.0]
    lease = Lease(lease_s, lambda: now[0])
    now[0] = at
    assert lease.is_ending is expected


def test_a_lease_counts_from_when_the_heartbeat_was_sent() -> None:
    now = [0.0]
    lease = Lease(60, lambda: now[0])
    now[0] = 25.0
    lease.renew(asked_at=20.0, lease_s=60.0)
    now[0] = 49.0
    assert not lease.is_ending
    now[0] = 51.0
    assert lease.is_ending
