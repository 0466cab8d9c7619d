"""One agent with two slots, through the real control service and a real engine."""

from __future__ import annotations

from pathlib import Path

from tests.engines.container_engine import DockerEngine
from tests.journey.fixtures import installed, no_container_is_left
from tests.journey.installation import kill
from tests.journey.project import WAIT_FOR_GATE, make_project, step


def test_two_containers_of_one_agent_live_and_end_apart(
    tmp_path: Path, docker_engine: DockerEngine, busybox_image: str
) -> None:
    environment = {"TALKOOT_AGENT_SLOTS": "2", **docker_engine.environment}
    with installed(tmp_path, environment) as place:
        place.start("docker")
        train = step("train", "echo on", WAIT_FOR_GATE, "echo off", image=busybox_image)
        project = make_project(place, train)
        first, second = project.run(), project.run()
        for one in (first, second):
            one.wait_for_line("on")
        third = project.run()
        assert "1 worker is busy" in third.get()["reason_text"]

        agent = place.child("agent")
        kill(agent)
        place.wait_for_child("agent", other_than=agent)
        second.stop()
        second.wait("stopped")
        assert second.lines() == ["on"]
        assert first.status == "started"
        third.wait_for_line("on")  # in the slot that is free now

        for one in (first, third):
            one.open_gate()
        for one in (first, third):
            assert one.wait("complete")["attempt_count"] == 1
            assert one.lines() == ["on", "off"]
        no_container_is_left(docker_engine, place)
