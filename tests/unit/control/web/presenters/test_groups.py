"""What people read of a group whose cloud is in doubt, and of machines that will not end."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from control.domain.scaling.state import MachineState
from control.services.group_views import GroupView
from control.web.presenters import groups

NOW = datetime(2030, 1, 2, 3, 4, tzinfo=UTC)


def group(**given: Any) -> Any:
    """Make a group's row."""
    usual = {"is_enabled": True, "paused_by": None, "cloud_error": "", "memory": None, "wanted": 0}
    usual["hold"] = ""
    return SimpleNamespace(**(usual | given))


def machine(**given: Any) -> Any:
    """Make a machine's row as the list of machines has it."""
    usual: dict[str, Any] = {
        "id": "1",
        "instance_id": "i-1",
        "group_id": "g",
        "group": "gpu",
        "worker": None,
        "held": 0,
        "instance_type": "g5.xlarge",
        "market": "spot",
        "zone": "a",
        "state": MachineState.TERMINATING,
        "launched_at": NOW,
        "joined_at": None,
        "gone_at": None,
        "reclaim_at": None,
        "reason": "Its agent did not join within 15 minutes of its launch.",
        "end_error": "",
    }
    return SimpleNamespace(**(usual | given))


def test_a_group_whose_cloud_cannot_be_read_says_why() -> None:
    badge, sentence = groups.state(GroupView(group(cloud_error="AWS does not answer")), NOW)
    assert badge is groups.UNREAD
    assert sentence == "AWS does not answer."


def test_a_group_whose_cloud_is_read_says_what_it_does() -> None:
    assert groups.state(GroupView(group()), NOW)[0] is groups.EMPTY


def test_a_machine_that_will_not_end_says_both_reasons_until_it_is_gone() -> None:
    hindered = {"end_error": "It could not be ended yet: AWS does not answer."}
    stuck = groups.machine_row(machine(**hindered), 900, "", NOW)
    assert stuck.sentence == (
        "Its agent did not join within 15 minutes of its launch. "
        "It could not be ended yet: AWS does not answer."
    )
    gone = groups.machine_row(machine(**hindered, gone_at=NOW), 900, "", NOW)
    assert "could not be ended" not in gone.sentence
