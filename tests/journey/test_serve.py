"""`talkoot serve` in a terminal: Ctrl-C once, twice, and what stands in its way."""

from __future__ import annotations

import signal
import socket

from tests.journey.installation import Installation
from tests.journey.project import WAIT_FOR_GATE, Execution, make_project, step


def running(place: Installation) -> Execution:
    execution = make_project(place, step("train", "echo on", WAIT_FOR_GATE, "echo off")).run()
    execution.wait_for_line("on")
    return execution


def test_ctrl_c_lets_the_running_step_end_and_a_second_serve_is_refused(
    fresh: Installation,
) -> None:
    execution = running(fresh)
    refused = fresh.run("serve", "--port", "1", "--runtime", "process", "--data", str(fresh.data))
    assert refused.returncode == 1
    assert f"Talkoot already runs on {fresh.data} (process {fresh.serve.pid})" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
    fresh.serve.send(signal.SIGINT)
    fresh.serve.wait_for_words("Ctrl-C stops at once")
    assert execution.lines() == ["on"]
    execution.open_gate()
    assert fresh.serve.wait() == 0
    assert fresh.left_over() == []
    fresh.serve_again()
    assert execution.wait("complete")["attempt_count"] == 1
    assert execution.lines() == ["on", "off"]


def test_ctrl_c_twice_stops_at_once_and_the_execution_is_run_again(fresh: Installation) -> None:
    execution = running(fresh)
    fresh.serve.send(signal.SIGINT)
    fresh.serve.wait_for_words("Ctrl-C stops at once")
    fresh.serve.send(signal.SIGINT)
    assert fresh.serve.wait(20) == 0
    assert fresh.left_over() == []
    fresh.serve_again()
    execution.wait("started")
    assert execution.get()["attempt_count"] == 2
    execution.stop()
    execution.stop()
    execution.wait("stopped")


def test_a_port_in_use_is_said_in_one_sentence(place: Installation) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = place.run(
            *("serve", "--port", str(port), "--runtime", "process", "--data", str(place.data))
        )
    assert done.returncode == 1
    assert f"Port {port} of 127.0.0.1 cannot be used" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
