"""Code and inputs: caches, checks, retries, and a stop at any moment."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from agent import wire
from tests.agent.conftest import AgentProcess, AgentStarter, Worker
from tests.agent.fake_control import FakeControl
from tests.agent.specs import make_spec

SHOW = "find $VH_INPUTS_DIR -type f | sort | sed s,$VH_INPUTS_DIR/,,; cat $VH_INPUTS_DIR/*/*"


def input_file(control: FakeControl, path: str, content: bytes, **changes: Any) -> wire.InputFile:
    values: dict[str, Any] = {
        "name": path.rpartition("/")[2],
        "uri": f"datum://{path}",
        "url": control.add_file(path, content),
    }
    return wire.InputFile(**(values | changes))


def sums_of(content: bytes) -> dict[str, str]:
    return {"sha256": hashlib.sha256(content).hexdigest()}


def inputs_of(*files: wire.InputFile) -> tuple[wire.InputSpec, ...]:
    return (wire.InputSpec("data", files),)


def test_inputs_are_there_and_described(control: FakeControl, worker: Worker) -> None:
    content = b"one\n"
    files = inputs_of(
        input_file(control, "a.txt", content, size_bytes=4, metadata=({"label": "cat"},)),
        input_file(control, "b.txt", b"two\n", name="sub/b.txt"),
    )
    empty = wire.InputSpec("none")
    attempt = control.submit(
        make_spec(
            control,
            "cd $VH_INPUTS_DIR; cat data/a.txt data/sub/b.txt; ls -d none; cd $VH_CONFIG_DIR",
            "tr -d '\\n' < inputs.json; echo; tr -d '\\n' < parameters.json; echo",
            "cat parameters.yaml",
            image=worker.image,
            inputs=(*files, empty),
            parameters={"lr": 1.0, "layers": [1, 2], "flag": True, "empty": None},
        )
    )
    assert control.finished(attempt, 60)["outcome"] == "complete", attempt.lines
    one, two, _, inputs, parameters, *_ = attempt.of("o")
    assert (one, two) == ("one", "two")
    described = json.loads(inputs)
    assert described["none"] == {"files": []}
    first = described["data"]["files"][0]
    assert (first["name"], first["size"], first["metadata"]) == ("a.txt", 4, [{"label": "cat"}])
    assert first["checksums"]["sha256"] == sums_of(content)["sha256"]
    assert first["path"].endswith("/inputs/data/a.txt")
    assert json.loads(parameters) == {"lr": 1.0, "layers": [1, 2], "flag": True}


def test_a_known_file_is_downloaded_once(control: FakeControl, agent: AgentProcess) -> None:
    last: list[str] = []
    for _ in range(2):
        file = input_file(control, "a.txt", b"one\n", checksums=sums_of(b"one\n"))
        attempt = control.submit(make_spec(control, SHOW, inputs=inputs_of(file)))
        assert control.finished(attempt)["outcome"] == "complete", attempt.lines
        assert attempt.of("o")[-1] == "one"
        last = attempt.of("s")
    assert control.gets.count("/files/a.txt") == 1
    assert "Inputs: data/a.txt from cache" in last


def test_a_cached_file_that_a_step_changed_is_fetched_again(
    control: FakeControl, agent: AgentProcess
) -> None:
    file = input_file(control, "a.txt", b"one\n", checksums=sums_of(b"one\n"))
    harm = "chmod u+w $VH_INPUTS_DIR/data/a.txt; echo harm >> $VH_INPUTS_DIR/data/a.txt"
    control.finished(control.submit(make_spec(control, harm, inputs=inputs_of(file))))
    attempt = control.submit(make_spec(control, SHOW, inputs=inputs_of(file)))
    control.finished(attempt)
    assert attempt.of("o") == ["data/a.txt", "one"]


def test_no_data_cache_downloads_again(control: FakeControl, agent: AgentProcess) -> None:
    file = input_file(control, "a.txt", b"one\n", checksums=sums_of(b"one\n"))
    for env_vars in ({}, {"VH_NO_DATA_CACHE": "1"}):
        spec = make_spec(control, SHOW, inputs=inputs_of(file), env_vars=env_vars)
        control.finished(control.submit(spec))
    assert control.gets.count("/files/a.txt") == 2


def test_an_expired_address_is_replaced(control: FakeControl, agent: AgentProcess) -> None:
    file = input_file(control, "old.txt", b"one\n")
    control.expired.add("/files/old.txt")
    control.fresh_urls[file.uri] = control.add_file("fresh.txt", b"one\n")
    attempt = control.submit(make_spec(control, SHOW, inputs=inputs_of(file)))
    assert control.finished(attempt)["outcome"] == "complete", attempt.lines
    assert attempt.of("o") == ["data/old.txt", "one"]


def test_a_broken_download_goes_on_where_it_was(control: FakeControl, agent: AgentProcess) -> None:
    content = os.urandom(3_000_000)
    file = input_file(
        control, "halting/a", content, checksums=sums_of(content), size_bytes=len(content)
    )
    attempt = control.submit(
        make_spec(control, "cksum $VH_INPUTS_DIR/data/a", inputs=inputs_of(file))
    )
    assert control.finished(attempt)["outcome"] == "complete", attempt.lines
    assert control.gets.count("/files/halting/a") == 2


def test_a_password_in_the_address_is_used_and_not_shown(
    control: FakeControl, agent: AgentProcess
) -> None:
    path = control.add_file("private/a.txt", b"one\n")
    url = control.url.replace("://", "://ada:secret@") + path
    good = wire.InputFile("a.txt", uri=url, url=url)
    bad = wire.InputFile("b.txt", uri=url + "-gone?sig=abc", url=url + "-gone?sig=abc")
    attempt = control.submit(make_spec(control, SHOW, inputs=inputs_of(good)))
    assert control.finished(attempt)["outcome"] == "complete", attempt.lines
    failing = control.submit(make_spec(control, SHOW, inputs=inputs_of(bad)))
    finish = control.finished(failing)
    assert (finish["outcome"], finish["reason"]) == ("error", "input_download_failed")
    shown = "\n".join(failing.lines) + finish["sentence"] + agent.log.read_text()
    assert "private/a.txt-gone" in shown
    assert "secret" not in shown
    assert "sig=abc" not in shown


def test_a_wrong_checksum_is_an_error_that_names_the_file(
    control: FakeControl, agent: AgentProcess
) -> None:
    file = input_file(control, "a.txt", b"one\n", checksums=sums_of(b"other"))
    attempt = control.submit(make_spec(control, "echo never", inputs=inputs_of(file)))
    finish = control.finished(attempt)
    assert finish["reason"] == "input_download_failed"
    assert "datum://a.txt" in finish["sentence"]
    assert "checksum" in finish["sentence"]
    assert attempt.of("o") == []


def test_on_demand_inputs_get_directories_and_no_bytes(
    control: FakeControl, agent: AgentProcess
) -> None:
    file = input_file(control, "a.txt", b"one\n", name="deep/er/a.txt")
    given = wire.InputSpec("data", (file,), input_id="in-1", download="on-demand")
    attempt = control.submit(
        make_spec(control, "cd $VH_INPUTS_DIR/data/deep/er; ls; pwd", inputs=(given,))
    )
    assert control.finished(attempt)["outcome"] == "complete", attempt.lines
    assert len(attempt.of("o")) == 1
    assert "/files/a.txt" not in control.gets


def test_an_input_cannot_leave_its_directory(control: FakeControl, agent: AgentProcess) -> None:
    file = input_file(control, "a.txt", b"one\n", name="../../a.txt")
    attempt = control.submit(make_spec(control, "true", inputs=inputs_of(file)))
    assert control.finished(attempt)["reason"] == "input_download_failed"


@pytest.mark.parametrize("part", ["/files/code-", "/files/a.txt"])
def test_a_stop_while_preparing_works_at_once(
    control: FakeControl, agent: AgentProcess, part: str
) -> None:
    file = input_file(control, "a.txt", b"one\n")
    control.broken_paths[part] = [503] * 1000
    attempt = control.submit(make_spec(control, "echo never", inputs=inputs_of(file)))
    control.wait_for(lambda: len(control.broken_paths[part]) < 999, "a second try")
    attempt.order = ("stop", "Stop requested by ada.")
    finish = control.finished(attempt, 5)
    assert (finish["outcome"], finish["reason"]) == ("stopped", "stopped_by_user")
    assert "Stop requested by ada." in attempt.of("s")
    assert attempt.of("o") == []


def test_code_with_a_wrong_checksum_is_refused(control: FakeControl, agent: AgentProcess) -> None:
    spec = make_spec(control, "true")
    control.files[spec.code.url] = b"x" * spec.code.size_bytes
    finish = control.finished(control.submit(spec))
    assert finish["reason"] == "code_download_failed"


def test_code_that_points_outside_is_refused(control: FakeControl, agent: AgentProcess) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        tar.addfile(link)
    content = packed.getvalue()
    code = wire.CodeSource(
        control.add_file("evil", content), sums_of(content)["sha256"], len(content)
    )
    spec = make_spec(control, "true")
    spec = wire.decode(wire.ExecutionSpec, wire.encode(spec) | {"code": wire.encode(code)})
    finish = control.finished(control.submit(spec))
    assert finish["reason"] == "code_download_failed"
    assert "refused" in finish["sentence"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_is_named(
    control: FakeControl, start_agent: AgentStarter, small_disk: Path
) -> None:
    start_agent(state=small_disk / "agent", TALKOOT_AGENT_KEEP_FREE_BYTES="0")
    file = input_file(control, "big", bytes(32_000_000))
    attempt = control.submit(make_spec(control, "echo never", inputs=inputs_of(file)))
    finish = control.finished(attempt)
    assert (finish["outcome"], finish["reason"]) == ("error", "disk_full")
    assert attempt.of("s")[-1].startswith("The worker's disk is full:")


def test_a_step_that_fills_the_disk_is_stopped_and_told(
    control: FakeControl, start_agent: AgentStarter, small_disk: Path
) -> None:
    start_agent(state=small_disk / "agent", TALKOOT_AGENT_KEEP_FREE_BYTES="0")
    attempt = control.submit(make_spec(control, "yes 123456789 | head -c 30000000; sleep 600"))
    finish = control.finished(attempt)
    assert (finish["outcome"], finish["reason"]) == ("error", "disk_full")
    following = control.submit(make_spec(control, "echo next"))
    assert control.finished(following)["outcome"] == "complete"


def test_a_cache_that_fills_the_disk_gives_way_to_a_new_execution(
    control: FakeControl, start_agent: AgentStarter, small_disk: Path
) -> None:
    room = {"TALKOOT_AGENT_KEEP_FREE_BYTES": "0", "TALKOOT_AGENT_CACHE_BYTES": "16000000"}
    start_agent(state=small_disk / "agent", **room)
    file = input_file(control, "a.txt", bytes(8_000_000))
    control.finished(control.submit(make_spec(control, "true", inputs=inputs_of(file))))
    with (small_disk / "others").open("wb", buffering=0) as others, suppress(OSError):
        while True:
            others.write(bytes(4096))
    following = control.submit(make_spec(control, "echo next"))
    assert control.finished(following)["outcome"] == "complete"


def test_an_agent_killed_while_it_prepares_begins_that_part_again(
    control: FakeControl, agent: AgentProcess
) -> None:
    file = input_file(control, "a.txt", b"one\n")
    control.broken_paths["/files/a.txt"] = [503] * 3
    attempt = control.submit(make_spec(control, SHOW, inputs=inputs_of(file)))
    control.wait_for(lambda: len(control.broken_paths["/files/a.txt"]) < 3, "a first try")
    agent.kill()
    agent.start_again()
    assert control.finished(attempt)["outcome"] == "complete", attempt.lines
    assert attempt.of("o") == ["data/a.txt", "one"]
    assert sum("WITHOUT ISOLATION" in text for text in attempt.of("s")) == 1


def test_a_step_fenced_while_its_agent_was_dead_is_killed(
    control: FakeControl, agent: AgentProcess, tmp_path: Path
) -> None:
    beat = tmp_path / "beat"
    attempt = control.submit(
        make_spec(control, f"echo ready; while :; do touch {beat}; sleep 0.02; done")
    )
    control.wait_for(lambda: "ready" in attempt.of("o"), "ready")
    agent.kill()
    attempt.is_fenced = True
    agent.start_again()
    following = control.submit(make_spec(control, "echo next"))
    assert control.finished(following)["outcome"] == "complete"
    before = beat.stat().st_mtime_ns
    control.finished(control.submit(make_spec(control, "sleep 0.3")))
    assert beat.stat().st_mtime_ns == before
