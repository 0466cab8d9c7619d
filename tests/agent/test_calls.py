"""Calls from inside a step, by the unmodified valohai-utils."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from agent import wire
from tests.agent.conftest import AgentStarter, Worker
from tests.agent.fake_control import FakeControl
from tests.agent.specs import make_spec

TRAIN = """
import valohai

valohai.prepare(
    step="train",
    default_parameters={"epochs": 1, "lr": 0.5, "name": "x"},
    default_inputs={"data": "datum://nothing", "lazy": "datum://nothing"},
)
print("epochs", valohai.parameters("epochs").value, type(valohai.parameters("lr").value).__name__)
print("data", open(valohai.inputs("data").path()).read().strip())
print("lazy", open(valohai.inputs("lazy").path()).read().strip())
with valohai.logger() as logger:
    logger.log("epoch", 1)
    logger.log("loss", float("nan"))
path = valohai.outputs().path("sub/model.txt")
open(path, "w").write("model")
valohai.set_status_detail("nearly there")
with valohai.output_properties() as properties:
    properties.add(file="sub/model.txt", properties={"label": "cat"})
live = valohai.outputs().path("live.txt")
open(live, "w").write("live")
valohai.outputs().live_upload("live.txt")
"""


@pytest.fixture(params=["process", "docker"])
def python_worker(request: pytest.FixtureRequest, start_agent: AgentStarter) -> Worker:
    if request.param == "process":
        return Worker(start_agent(), "process", "none")
    engine = request.getfixturevalue("docker_engine")
    image = request.getfixturevalue("python_image")
    return Worker(start_agent("docker", DOCKER_HOST=engine.host), "docker", image)


def test_valohai_utils_works_unmodified(control: FakeControl, python_worker: Worker) -> None:
    data = wire.InputFile("a.txt", "datum://a", control.add_file("a.txt", b"one\n"))
    lazy = wire.InputFile("deep/b.txt", "datum://b", control.add_file("b.txt", b"two\n"))
    attempt = control.submit(
        make_spec(
            control,
            "python train.py --epochs=5",
            image=python_worker.image,
            code={"train.py": TRAIN},
            inputs=(
                wire.InputSpec("data", (data,)),
                wire.InputSpec("lazy", (lazy,), input_id="in-1", download="on-demand"),
            ),
            parameters={"epochs": 5, "lr": 1.0, "name": "x"},
            execution_facts={"valohai.execution-id": "e-1", "valohai.execution-counter": 7},
        )
    )
    finish = control.finished(attempt, 90)
    assert finish["outcome"] == "complete", "\n".join(attempt.lines)
    assert "epochs 5 float" in attempt.of("o")
    assert "data one" in attempt.of("o")
    assert "lazy two" in attempt.of("o")
    assert attempt.details == ["nearly there"]
    assert {"epoch": 1, "loss": None}.items() <= next(iter(attempt.points.values())).items()
    names = {one["name"]: datum for datum, one in attempt.offered.items()}
    assert set(names) == {"sub/model.txt", "live.txt"}
    assert attempt.stored[names["sub/model.txt"]] == {"label": "cat"}


def test_the_relay_opens_nothing_to_strangers(
    control: FakeControl, start_agent: AgentStarter, tmp_path: Path
) -> None:
    start_agent()
    attempt = control.submit(
        make_spec(control, f"cp $VH_CONFIG_DIR/api.json {tmp_path}/api.json; echo ready; sleep 600")
    )
    control.wait_for(lambda: "ready" in attempt.of("o"), "ready")
    calls = json.loads((tmp_path / "api.json").read_text())
    assert set(calls) == {"set_status_detail", "input_request"}
    assert set(calls["set_status_detail"]) == {"method", "url", "headers"}
    assert attempt.spec.claim_token not in json.dumps(calls)
    for call in calls.values():
        request = urllib.request.Request(
            call["url"], b"{}" if call["method"] == "POST" else None, method=call["method"]
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=5)
        refused.value.close()
        assert refused.value.code == 401
    attempt.order = ("stop_now", "")
    control.finished(attempt)
