"""What goes wrong with a step is told to its owner in words, and keeps what there is."""

from __future__ import annotations

from typing import Any

import pytest

from tests.journey.installation import Installation
from tests.journey.project import WAIT_FOR_GATE, make_project, step
from tests.journey.slow_source import slow_source


def test_a_failing_item_is_named_and_its_outputs_are_kept(shared: Installation) -> None:
    fail = step(
        "fail",
        "echo one",
        'printf kept > "$VH_OUTPUTS_DIR/kept.txt"',
        "sh -c 'exit 7'",
        "echo never",
    )
    execution = make_project(shared, fail).run("fail")
    ended = execution.wait("error")
    assert (ended["exit_code"], ended["failing_item"], ended["reason"]) == (7, 3, "exit_nonzero")
    assert "3 of 4" in ended["reason_text"]
    assert "7" in ended["reason_text"]
    assert execution.lines() == ["one"]
    assert execution.outputs() == {"kept.txt": b"kept"}


def test_a_failing_container_is_told_in_the_same_way(
    shared_docker: Installation, busybox_image: str
) -> None:
    fail = step("fail", "echo one", "sh -c 'exit 7'", image=busybox_image)
    ended = make_project(shared_docker, fail).run("fail").wait("error")
    assert (ended["exit_code"], ended["failing_item"], ended["reason"]) == (7, 2, "exit_nonzero")


def test_an_image_that_is_not_there_is_named(shared_docker: Installation) -> None:
    image = "localhost:1/nobody/has-this:1"
    execution = make_project(shared_docker, step("train", "true", image=image)).run()
    ended = execution.wait("error")
    assert ended["reason"] == "image_pull_failed"
    assert image in ended["reason_text"]
    assert ended["reason_text"] in execution.status_lines()
    assert "Traceback" not in execution.status_lines()


def test_an_input_that_is_not_there_is_named(shared: Installation) -> None:
    read = step("read", "true", inputs=[{"name": "file"}])
    with slow_source() as source:
        url = f"{source.url}/missing"
        execution = make_project(shared, read).run("read", inputs={"file": [url]})
        ended = execution.wait("error")
    assert ended["reason"] == "input_download_failed"
    assert url in ended["reason_text"]
    assert "404" in ended["reason_text"]


def test_an_input_whose_server_is_away_is_named(shared: Installation) -> None:
    read = step("read", "true", inputs=[{"name": "file"}])
    url = "http://127.0.0.1:1/data.bin"
    execution = make_project(shared, read).run("read", inputs={"file": [url]})
    ended = execution.wait("error")
    assert ended["reason"] == "input_download_failed"
    assert "127.0.0.1:1" in ended["reason_text"]


def test_a_step_over_its_time_limit_is_ended(shared: Installation) -> None:
    execution = make_project(shared, step("train", "echo on", WAIT_FOR_GATE)).run(time_limit=1)
    ended = execution.wait("error")
    assert ended["reason"] == "time_limit"
    assert "1 s" in ended["reason_text"]
    assert execution.lines() == ["on"]


def test_a_silent_step_is_ended_where_it_says_so(shared: Installation) -> None:
    project = make_project(shared, step("train", "echo on", WAIT_FOR_GATE))
    ended = project.run(runtime_config={"no_output_timeout": 1}).wait("crashed")
    assert ended["reason"] == "no_output_timeout"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"parameters": {"n": 101}}, "parameters"),
        ({"parameters": {"typo": 1}}, "parameters"),
        ({"parameters": {"n": "many"}}, "parameters"),
        ({"inputs": {"typo": ["http://127.0.0.1/x"]}}, "inputs"),
        ({"inputs": {"file": []}}, "inputs"),
        ({"environment": "moon"}, "environment"),
        ({"commit": "f" * 40}, "commit"),
        ({"step": "typo"}, "step"),
    ],
)
def test_a_wrong_wish_names_its_field_and_makes_nothing(
    shared: Installation, given: dict[str, Any], field: str
) -> None:
    train = step(
        "train",
        "true",
        parameters=[{"name": "n", "type": "integer", "default": 1, "min": 1, "max": 100}],
        inputs=[{"name": "file"}],
    )
    project = make_project(shared, train)
    whole: dict[str, Any] = {"inputs": {"file": ["http://127.0.0.1/x"]}}
    answer = project.submit(**{**whole, **given})
    assert answer.status_code == 400, answer.text
    assert any(name.partition(".")[0] == field for name in answer.json()), answer.text
    listed = project.api.get("executions/", params={"project": project.id}).json()
    assert listed["results"] == []
