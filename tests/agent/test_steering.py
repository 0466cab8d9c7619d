"""The variables by which users steer the agent (client-contract.md 4.2), with a real engine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import docker
import pytest

from agent import wire
from agent.runtimes.base import Report
from tests.agent.conftest import AgentProcess, AgentStarter
from tests.agent.fake_control import FakeAttempt, FakeControl
from tests.agent.runtime_alone import job_in, runtime_of
from tests.agent.specs import make_spec
from tests.engines import images
from tests.engines.container_engine import DockerEngine, engine_apart
from tests.engines.processes import wait_until
from tests.engines.registry import Registry, registry

LIMIT_S = 60.0
SHOW = "cat $VH_INPUTS_DIR/data/a.txt"


@pytest.fixture(scope="module")
def engine() -> Iterator[DockerEngine]:
    """An engine whose images are nobody else's."""
    with engine_apart() as engine:
        yield engine


@pytest.fixture(scope="module")
def image_registry(engine: DockerEngine) -> Iterator[Registry]:
    with registry(engine) as server:
        yield server


@pytest.fixture
def client(engine: DockerEngine) -> Iterator[docker.DockerClient]:
    with closing(engine.client()) as client:
        yield client


@pytest.fixture
def step_image(client: docker.DockerClient, image_registry: Registry) -> str:
    """An image that the registry has and the engine has not; its SAYS is "one"."""
    return image_registry.put(client, images.busybox(client), "step:1", says="one")


@pytest.fixture
def agent(start_agent: AgentStarter, engine: DockerEngine) -> AgentProcess:
    return start_agent("docker", DOCKER_HOST=engine.host)


def data_of(control: FakeControl) -> tuple[wire.InputSpec, ...]:
    """An input of known content, so that it may come from the cache."""
    content = b"one\n"
    file = wire.InputFile(
        "a.txt",
        uri="datum://a",
        url=control.add_file("a.txt", content),
        checksums={"sha256": hashlib.sha256(content).hexdigest()},
    )
    return (wire.InputSpec("data", (file,)),)


def run(
    control: FakeControl,
    image: str,
    command: str,
    inputs: tuple[wire.InputSpec, ...] = (),
    **variables: str,
) -> FakeAttempt:
    """Run a step in a network that the engine has."""
    spec = make_spec(
        control, command, image=image, network="none", inputs=inputs, env_vars=variables
    )
    attempt = control.submit(spec)
    assert control.finished(attempt, LIMIT_S)["outcome"] == "complete", attempt.lines
    return attempt


def has(client: docker.DockerClient, image: str) -> bool:
    return bool(client.images.list(image))


@pytest.mark.usefixtures("agent")
def test_an_image_is_pulled_once_and_anew_with_no_image_cache(
    control: FakeControl,
    client: docker.DockerClient,
    image_registry: Registry,
    step_image: str,
) -> None:
    first = run(control, step_image, "echo $SAYS")
    assert f"Image: {step_image} pulled" in first.of("s")
    image_registry.put(client, images.busybox(client), "step:1", says="two")
    kept = run(control, step_image, "echo $SAYS")
    assert f"Image: {step_image} is on the machine" in kept.of("s")
    anew = run(control, step_image, "echo $SAYS", VH_NO_IMAGE_CACHE="1")
    assert [one.of("o") for one in (first, kept, anew)] == [["one"], ["one"], ["two"]]
    digests = [finished["image_digest"] for one in (kept, anew) if (finished := one.finish)]
    assert digests[0] != digests[1]


@pytest.mark.usefixtures("agent")
def test_clean_drops_images_and_data_before_and_after(
    control: FakeControl, client: docker.DockerClient, step_image: str
) -> None:
    other = images.busybox(client)
    for _ in range(2):
        run(control, step_image, SHOW, inputs=data_of(control))
    assert control.gets.count("/files/a.txt") == 1, "the second time from the cache"
    clean = run(control, step_image, SHOW, inputs=data_of(control), VH_CLEAN="true")
    assert clean.of("o") == ["one"]
    assert f"Image: {step_image} pulled" in clean.of("s"), "dropped before"
    assert control.gets.count("/files/a.txt") == 2
    wait_until(lambda: not has(client, step_image), what="the image dropped after")
    assert not has(client, other), "also images of others that nothing uses"
    run(control, step_image, SHOW, inputs=data_of(control))
    assert control.gets.count("/files/a.txt") == 3, "dropped after"


def test_clean_leaves_the_image_that_another_slot_is_about_to_start(
    control: FakeControl,
    engine: DockerEngine,
    client: docker.DockerClient,
    step_image: str,
    tmp_path: Path,
) -> None:
    job = job_in(tmp_path, make_spec(control, "true", image=step_image, network="none"))
    report = Report(lambda *_: None, lambda _: None, lambda: None)
    with closing(runtime_of(engine, job)) as runtime:
        runtime.prepare_image(job.spec, report)
        runtime.drop_images()
        handle = runtime.start(job)
        runtime.remove(handle, job.folder, job.spec.attempt_id)
        runtime.drop_images()
    assert not has(client, step_image)


@pytest.fixture
def answering() -> Iterator[str]:
    """The address of a server on this machine's loopback, where no container of a bridge gets."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"from the machine")

        def log_message(self, *_: object, **__: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def test_a_step_in_the_machines_network_reaches_it_and_still_reports_about_itself(
    control: FakeControl,
    start_agent: AgentStarter,
    docker_engine: DockerEngine,
    python_image: str,
    answering: str,
) -> None:
    start_agent("docker", DOCKER_HOST=docker_engine.host)
    fetch = f"python -c 'from urllib.request import *; print(urlopen(\"{answering}\").read())'"
    tell = "python -c 'import valohai; valohai.set_status_detail(\"half way\")'"
    inside = control.submit(
        make_spec(control, fetch, tell, image=python_image, env_vars={"VH_DOCKER_NETWORK": "host"})
    )
    assert control.finished(inside, LIMIT_S)["outcome"] == "complete", inside.lines
    assert inside.of("o") == ["b'from the machine'"]
    assert inside.details == ["half way"]
    outside = control.submit(make_spec(control, fetch, image=python_image))
    assert control.finished(outside, LIMIT_S)["reason"] == "exit_nonzero", outside.lines
    assert "Connection refused" in "\n".join(outside.of("e"))
