"""Stopping an execution in whatever state it is."""

from __future__ import annotations

import time

from tests.agent.silent_server import SilentServer
from tests.engines.container_engine import DockerEngine
from tests.engines.processes import wait_until
from tests.journey.fixtures import no_container_is_left
from tests.journey.installation import Installation
from tests.journey.project import WAIT_FOR_GATE, Project, make_project, step
from tests.journey.slow_source import slow_source

POLITE = (
    "trap 'echo got TERM; printf late > \"$VH_OUTPUTS_DIR/late.txt\"; exit 0' TERM",
    'printf early > "$VH_OUTPUTS_DIR/early.txt"',
    "echo ready",
    WAIT_FOR_GATE,
)
STUBBORN = ("trap '' TERM", "echo ready", WAIT_FOR_GATE)


def project_of(place: Installation, image: str = "python:3.12") -> Project:
    return make_project(
        place,
        step("polite", *POLITE, image=image),
        step("stubborn", *STUBBORN, image=image),
        step("slow", "cat $VH_INPUTS_DIR/file/*", image=image, inputs=[{"name": "file"}]),
    )


def check_a_polite_step(place: Installation, image: str = "python:3.12") -> None:
    execution = project_of(place, image).run("polite")
    execution.wait_for_line("ready")
    assert "Stopping" in execution.stop()
    ended = execution.wait("stopped")
    assert ended["reason"] == "stopped_by_user"
    assert execution.lines() == ["ready", "got TERM"], execution.story()
    assert execution.outputs() == {"early.txt": b"early", "late.txt": b"late"}
    assert "Stop requested by ada." in execution.status_lines()


def check_a_stubborn_step(place: Installation, image: str = "python:3.12") -> None:
    execution = project_of(place, image).run("stubborn")
    execution.wait_for_line("ready")
    execution.stop()
    execution.wait("stopping")
    began = time.monotonic()
    assert "without grace" in execution.stop()
    assert execution.wait("stopped")["status"] == "stopped"
    assert time.monotonic() - began < 8, "the grace of 10 s was waited for"


def test_a_running_step_hears_sigterm_and_keeps_its_outputs(shared: Installation) -> None:
    check_a_polite_step(shared)


def test_a_second_stop_does_not_wait_for_the_grace(shared: Installation) -> None:
    check_a_stubborn_step(shared)


def test_a_container_hears_sigterm_and_keeps_its_outputs(
    shared_docker: Installation, docker_engine: DockerEngine, busybox_image: str
) -> None:
    check_a_polite_step(shared_docker, busybox_image)
    no_container_is_left(docker_engine, shared_docker)


def test_a_second_stop_kills_the_container(
    shared_docker: Installation, docker_engine: DockerEngine, busybox_image: str
) -> None:
    check_a_stubborn_step(shared_docker, busybox_image)
    no_container_is_left(docker_engine, shared_docker)


def test_a_queued_execution_stops_at_once_and_never_runs(shared: Installation) -> None:
    project = project_of(shared)
    running = project.run("polite")
    running.wait_for_line("ready")
    waiting = project.run("polite")
    assert waiting.get()["status"] == "queued"
    assert "busy" in waiting.get()["reason_text"]
    assert "before it started" in waiting.stop()
    ended = waiting.get()
    assert (ended["status"], ended["reason"]) == ("stopped", "stopped_by_user")
    assert waiting.lines("status") == ["Stopped by ada before it started."]
    running.open_gate()
    running.wait("complete")
    after = project.run("polite")
    after.wait_for_line("ready")  # the one behind the stopped one came to its turn
    assert waiting.get()["attempt_count"] == 0
    after.stop()
    after.wait("stopped")


def test_an_execution_that_is_preparing_stops_before_it_runs(shared: Installation) -> None:
    with slow_source() as source:
        execution = project_of(shared).run("slow", inputs={"file": [f"{source.url}/file.bin"]})
        wait_until(source.asked.is_set, what="the download", limit_s=60)
        execution.wait_for_phase("inputs")
        execution.stop()
        ended = execution.wait("stopped", limit_s=15)
        assert ended["reason"] == "stopped_by_user"
        assert execution.lines() == []
        assert not execution.folders()


def test_an_input_whose_server_says_nothing_does_not_hold_up_a_stop(shared: Installation) -> None:
    source = SilentServer()
    try:
        execution = project_of(shared).run("slow", inputs={"file": [f"http://{source.address}/f"]})
        assert source.asked.wait(60)
        execution.wait_for_phase("inputs")
        execution.stop()
        ended = execution.wait("stopped", limit_s=8)
        assert ended["reason"] == "stopped_by_user"
        wait_until(lambda: not execution.folders(), what="the end of its folder")
    finally:
        source.close()


def test_stopping_what_has_ended_changes_nothing(shared: Installation) -> None:
    execution = make_project(shared, step("train", "true")).run()
    before = execution.wait("complete")
    assert "ended already" in execution.stop()
    after = execution.get()
    assert (after["status"], after["mtime"]) == ("complete", before["mtime"])
