from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from control.domain.states import PHASE_WORDS, REASONS, Status
from control.web.presenters.sentences import next_step, sentence
from control.web.presenters.status import BADGES, FILTERS, badge
from control.web.presenters.timelines import timeline

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


def row(**changed: Any) -> Any:
    about = {
        "status": "started",
        "phase": "run",
        "reason": None,
        "sentence": None,
        "status_detail": None,
        "worker_name": "vm-3",
        "attempt_count": 1,
        "queued_at": NOW - timedelta(seconds=60),
        "started_at": NOW - timedelta(seconds=50),
        "end_time": None,
        "stop_requested_at": None,
        "stop_requested_by": None,
        "output_count": 0,
    }
    return SimpleNamespace(**{**about, **changed})


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("phase", list(PHASE_WORDS))
def test_every_status_has_word_icon_and_tone(status: Status, phase: str) -> None:
    shown = badge(status, phase)
    assert shown.word
    assert shown.icon
    assert shown.tone.startswith("is-")


def test_no_two_outcomes_look_alike() -> None:
    final = [BADGES[one] for one in (Status.COMPLETE, Status.ERROR, Status.CRASHED, Status.STOPPED)]
    assert len({one.icon for one in final}) == 4
    assert len({one.tone for one in final}) == 4


def test_the_filters_reach_every_status_once() -> None:
    found = [status for _, statuses in FILTERS.values() for status in statuses]
    assert sorted(found) == sorted(Status)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        pytest.param({"status": "started"}, "On vm-3: running the command.", id="running"),
        pytest.param({"phase": "image"}, "On vm-3: getting the image.", id="preparing"),
        pytest.param({"phase": "outputs"}, "On vm-3: storing the outputs.", id="saving"),
        pytest.param(
            {"attempt_count": 2}, "On vm-3: running the command. This is attempt 2.", id="again"
        ),
        pytest.param(
            {
                "status": "stopping",
                "stop_requested_at": NOW - timedelta(seconds=12),
                "stop_requested_by": "ada",
            },
            "Asked by ada 12 s ago; the command is given time to end.",
            id="stopping",
        ),
        pytest.param(
            {"status": "complete", "reason": "exited", "end_time": NOW, "output_count": 3},
            "Took 50 s and stored 3 outputs.",
            id="done",
        ),
        pytest.param(
            {"status": "error", "reason": "oom", "end_time": NOW},
            "The step used more memory than it may.",
            id="failed-without-words-of-the-agent",
        ),
        pytest.param(
            {"status": "crashed", "reason": "worker_lost", "attempt_count": 3},
            "The worker stopped answering. This was not your code. It was tried 3 times.",
            id="lost",
        ),
        pytest.param(
            {"status": "stopped", "reason": "stopped_by_user", "sentence": "Stopped by ada."},
            "Stopped by ada.",
            id="stopped",
        ),
    ],
)
def test_the_sentence_answers_first(changed: dict[str, Any], expected: str) -> None:
    assert sentence(row(**changed), None, NOW) == expected


def test_the_reason_to_wait_is_said_without_the_chips_own_word() -> None:
    reason = "Waiting: 2nd of 4 on gpu; 1 worker is busy, it starts when one is free."
    said = sentence(row(status="queued"), reason, NOW)
    assert said == "2nd of 4 on gpu; 1 worker is busy, it starts when one is free."


@pytest.mark.parametrize("reason", [name for name, one in REASONS.items() if one.status == "error"])
def test_a_failure_says_its_reason(reason: str) -> None:
    failed = row(status="error", reason=reason, end_time=NOW)
    assert sentence(failed, None, NOW) == REASONS[reason].sentence


def test_only_what_went_wrong_has_a_next_step() -> None:
    assert next_step(row(status="error", reason="exit_nonzero"))
    assert next_step(row(status="complete", reason="exited")) == ""


def test_the_time_line_fills_its_width_and_the_running_part_ticks() -> None:
    phases = [
        SimpleNamespace(
            name=name,
            started_at=NOW - timedelta(seconds=start),
            ended_at=end and NOW - timedelta(seconds=end),
            done=5,
            total=total,
            unit="bytes",
        )
        for name, start, end, total in (
            ("code", 50, 49, None),
            ("inputs", 49, 45, 2048),
            ("run", 45, None, None),
        )
    ]
    parts = timeline(row(), phases, NOW).parts
    assert [part.name for part in parts] == ["queued", "code", "inputs", "run"]
    assert [part.seconds for part in parts] == [10, 1, 4, 45]
    assert sum(part.width for part in parts) == pytest.approx(1000, abs=1)
    assert [part.since is not None for part in parts] == [False, False, False, True]
    assert parts[2].progress == "2.0 KiB"
