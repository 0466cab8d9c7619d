"""Short phases share a request, and none is lost."""

from __future__ import annotations

import threading

from agent import wire
from agent.loop.reports import PhaseReporter

LIMIT_S = 10.0


class Control:
    """Keeps what was delivered; the first delivery waits until it may be answered."""

    def __init__(self) -> None:
        self.requests: list[tuple[wire.PhaseReport, ...]] = []
        self.begun = threading.Event()
        self.may_answer = threading.Event()
        self.failures: list[Exception] = []

    def deliver(self, message: wire.PhaseReports) -> None:
        self.requests.append(message.reports)
        self.begun.set()
        assert self.may_answer.wait(LIMIT_S)

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(one.name, one.state) for request in self.requests for one in request]


def test_phases_that_follow_each_other_at_once_go_in_one_request_in_order() -> None:
    control = Control()
    control.may_answer.set()
    reporter = PhaseReporter(control.deliver, control.failures.append)
    phases = [
        (name, state) for name in ("code", "inputs", "image") for state in ("started", "ended")
    ]
    for name, state in phases:
        reporter.tell(name, state)
    reporter.start()
    reporter.end()
    assert control.told == phases
    assert len(control.requests) == 1
    assert control.failures == []


def test_what_gathers_while_an_answer_is_waited_for_goes_next_and_the_end_waits_for_it() -> None:
    control = Control()
    reporter = PhaseReporter(control.deliver, control.failures.append)
    reporter.start()
    reporter.tell("code", "started")
    assert control.begun.wait(LIMIT_S)
    reporter.tell("code", "ended")
    reporter.tell("inputs", "started")
    control.may_answer.set()
    reporter.end()
    assert control.told == [("code", "started"), ("code", "ended"), ("inputs", "started")]
    assert [len(request) for request in control.requests] == [1, 2]


def test_a_delivery_that_fails_for_good_is_heard_of() -> None:
    def refuse(_: wire.PhaseReports) -> None:
        raise ValueError("no")

    failures: list[Exception] = []
    reporter = PhaseReporter(refuse, failures.append)
    reporter.start()
    reporter.tell("code", "started")
    reporter.end()
    assert [str(one) for one in failures] == ["no"]
