"""What every stack engine must do; a plug-in's tests subclass this and give a `stage`.

class TestMine(EngineContract):
    @pytest.fixture
    def stage(self) -> Stage: ...
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from control.domain.cloud_ports import (
    FailureClass,
    StackEngine,
    StackEvent,
    StackOperation,
    StackResult,
)
from control.domain.errors import PermanentError

LIMIT_S = 120.0


@dataclass
class Stage:
    """An engine, the name of a stack that does not exist yet, and config that misbehaves."""

    engine: StackEngine
    stack: str
    slow: Mapping[str, str]  # a run tells something, then takes minutes unless it is stopped
    failing: Mapping[str, str]  # a run fails with InvalidAMIID

    def up(self, size: int, **changed: Any) -> StackResult:
        """Run `up` with a size."""
        return self.run({"size": str(size)}, **changed)

    def run(self, config: Mapping[str, str], verb: str = "up", **changed: Any) -> StackResult:
        """Run a verb; what is not said has a plain value."""
        heard = changed.pop("heard", Heard())
        settings: dict[str, Any] = {"may_create": True, "time_limit_s": LIMIT_S} | changed
        operation = StackOperation(
            self.stack, verb, config, "decision 1: two waiting executions", **settings
        )
        return self.engine.run(
            operation,
            on_event=heard.event,
            on_start=heard.started,
            should_stop=heard.stop.is_set,
        )


@dataclass
class Heard:
    """What a run told, and the order to stop it."""

    events: list[StackEvent] = field(default_factory=list)
    pids: list[int] = field(default_factory=list)
    has_started: threading.Event = field(default_factory=threading.Event)
    has_told: threading.Event = field(default_factory=threading.Event)
    stop: threading.Event = field(default_factory=threading.Event)

    def event(self, event: StackEvent) -> None:
        """Note an event."""
        self.events.append(event)
        self.has_told.set()

    def started(self, pid: int) -> None:
        """Note the pid."""
        self.pids.append(pid)
        self.has_started.set()


class EngineContract:
    """The suite."""

    def test_a_first_up_makes_the_stack_and_tells_what_it_does(self, stage: Stage) -> None:
        heard = Heard()
        result = stage.up(2, heard=heard)
        assert result.outcome == "succeeded", result.error
        assert result.changes.get("create")
        assert result.engine_s >= 0
        assert len(heard.pids) == 1
        assert heard.pids[0] > 1
        assert [event.kind for event in heard.events][-1] == "summary"
        assert any(event.operation == "create" for event in heard.events)
        assert str(stage.engine.outputs(stage.stack)["size"]) == "2"

    def test_the_same_up_again_changes_nothing_and_another_size_does(self, stage: Stage) -> None:
        stage.up(2)
        assert set(stage.up(2).changes) <= {"same"}
        changed = stage.up(3)
        assert changed.outcome == "succeeded"
        assert str(stage.engine.outputs(stage.stack)["size"]) == "3"

    def test_a_preview_changes_nothing(self, stage: Stage) -> None:
        stage.up(2)
        assert stage.run({"size": "5"}, "preview").outcome == "succeeded"
        assert str(stage.engine.outputs(stage.stack)["size"]) == "2"

    def test_a_stack_that_is_not_there_is_only_made_when_that_is_wanted(self, stage: Stage) -> None:
        assert stage.up(1, may_create=False).outcome == "missing"
        assert not stage.engine.outputs(stage.stack)

    def test_a_size_below_what_is_there_is_refused(self, stage: Stage) -> None:
        with pytest.raises(PermanentError, match="4"):
            stage.up(3, live=4)
        assert stage.up(4, live=4).outcome == "succeeded"

    def test_a_failure_has_its_words_and_its_class(self, stage: Stage) -> None:
        heard = Heard()
        result = stage.run({"size": "1", **stage.failing}, heard=heard)
        assert (result.outcome, result.failure) == ("failed", FailureClass.CONFIGURATION)
        assert "InvalidAMIID" in result.error
        assert any(
            "InvalidAMIID" in event.text for event in heard.events if event.severity == "error"
        )
        assert stage.up(1).outcome == "succeeded"

    def test_a_run_is_stopped_and_the_next_one_works(self, stage: Stage) -> None:
        stage.up(1)
        heard = Heard()
        threading.Thread(
            target=lambda: heard.has_started.wait(LIMIT_S) and heard.stop.set()
        ).start()
        result = stage.run({"size": "2", **stage.slow}, heard=heard)
        assert result.outcome == "interrupted", result
        assert not stage.engine.is_alive(heard.pids[0])
        assert stage.up(2).outcome == "succeeded"

    def test_a_run_ends_at_its_time_limit(self, stage: Stage) -> None:
        stage.up(1)
        result = stage.run({"size": "2", **stage.slow}, time_limit_s=0.5)
        assert result.outcome == "timed-out"
        assert "time limit" in result.error

    def test_of_two_at_once_the_second_is_told_of_the_first(self, stage: Stage) -> None:
        stage.up(1)
        first, results = Heard(), list[StackResult]()
        thread = threading.Thread(
            target=lambda: results.append(stage.run({"size": "2", **stage.slow}, heard=first))
        )
        thread.start()
        try:
            assert first.has_told.wait(LIMIT_S), "a slow run says so when it holds its lock"
            second = stage.up(1)
            assert second.outcome == "conflict"
            assert "locked" in second.error
        finally:
            first.stop.set()
            thread.join(LIMIT_S)
        assert [result.outcome for result in results] == ["interrupted"]

    def test_recovery_of_a_stack_that_is_well_is_harmless(self, stage: Stage) -> None:
        stage.up(2)
        assert stage.engine.recover(stage.stack, None, lambda _type, _name: None).endswith(".")
        assert str(stage.engine.outputs(stage.stack)["size"]) == "2"
        assert set(stage.up(2).changes) <= {"same"}

    def test_it_names_its_commit_and_says_what_it_is(self, stage: Stage) -> None:
        assert len(stage.engine.commit()) >= 40
        assert stage.engine.check()["engine"]
