"""The main job: a step of a Git repository runs, and everything it made is stored."""

from __future__ import annotations

import pytest

from tests.engines.container_engine import DockerEngine
from tests.engines.processes import wait_until
from tests.journey.fixtures import no_container_is_left
from tests.journey.installation import Installation
from tests.journey.project import Execution, Project, make_project, step

PHASES = ["code", "inputs", "image", "run", "outputs"]

COMMANDS = (
    "echo first $(cat words.txt) {parameters}",
    'echo \'{"epoch": 1, "loss": 0.5}\'',
    'echo \'{"epoch": 2, "loss": 0.25}\'',
    "echo oops >&2",
    'mkdir -p "$VH_OUTPUTS_DIR/sub" && printf model > "$VH_OUTPUTS_DIR/sub/model.bin"',
)


def training(image: str) -> dict[str, object]:
    return step(
        "train", *COMMANDS, image=image, parameters=[{"name": "n", "type": "integer", "default": 3}]
    )


def check_it_ran(execution: Execution) -> None:
    ended = execution.wait()
    assert ended["status"] == "complete", execution.story()
    assert ended["exit_code"] == 0
    assert execution.lines("stdout")[0] == "first hello --n=7"
    assert execution.lines("stderr") == ["oops"]
    assert execution.outputs() == {"sub/model.bin": b"model"}
    points = execution.get("metadata/")
    assert [(one["epoch"], one["loss"]) for one in points] == [(1, 0.5), (2, 0.25)]
    assert ended["cumulative_metadata"]["epoch"] == 2
    seen = execution.get(include="phases")["phases"]
    assert [one["name"] for one in seen if one["name"] in PHASES] == PHASES
    assert all(one["ended_at"] for one in seen)
    numbers = [one["number"] for one in execution.events()]
    assert numbers == list(range(1, len(numbers) + 1))


def project_of(place: Installation, image: str) -> Project:
    return make_project(place, training(image), files={"words.txt": "hello\n"})


def test_a_step_runs_as_a_process_and_everything_it_made_is_stored(shared: Installation) -> None:
    check_it_ran(project_of(shared, "python:3.12").run(parameters={"n": 7}))


def test_a_step_runs_in_a_container_and_everything_it_made_is_stored(
    shared_docker: Installation, docker_engine: DockerEngine, busybox_image: str
) -> None:
    execution = project_of(shared_docker, busybox_image).run(parameters={"n": 7})
    check_it_ran(execution)
    assert execution.get()["image_digest"]
    # The agent cleans after it has told the end.
    wait_until(lambda: not execution.folders(), what="the cleaning")
    no_container_is_left(docker_engine, shared_docker)


def test_the_output_of_one_step_is_the_input_of_the_next(shared: Installation) -> None:
    make = step("make", 'printf 12345 > "$VH_OUTPUTS_DIR/numbers.txt"')
    use = step(
        "use", 'cat "$VH_INPUTS_DIR/numbers/numbers.txt"; echo', inputs=[{"name": "numbers"}]
    )
    project = make_project(shared, make, use)
    first = project.run("make")
    first.wait("complete")
    datum = first.get("outputs/")[0]["id"]
    second = project.run("use", inputs={"numbers": [f"datum://{datum}"]})
    second.wait("complete")
    assert second.lines() == ["12345"]


def test_executions_that_wait_run_in_the_order_they_came(shared: Installation) -> None:
    project = make_project(shared, step("train", "date +%s%N"))
    made = [project.run() for _ in range(3)]
    times = []
    for one in made:
        one.wait("complete")
        times.append(int(one.lines()[0]))
    assert times == sorted(times)


@pytest.mark.parametrize("step_name", ["tain", ""])
def test_an_unknown_step_is_refused_by_its_name(shared: Installation, step_name: str) -> None:
    project = project_of(shared, "python:3.12")
    answer = project.submit(step_name)
    assert answer.status_code == 400
    assert "step" in answer.json(), answer.text
