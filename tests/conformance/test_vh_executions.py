"""Executions by the unmodified `vh` (client-contract.md 3.3)."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import signal
from pathlib import Path

import httpx
import pytest

from tests.conformance.conftest import Desk, commit_all, said
from tests.engines.processes import wait_until


def upload(desk: Desk, name: str, body: bytes) -> str:
    """Store a datum in two steps and answer its id."""
    sha256 = hashlib.sha256(body).hexdigest()
    about = {"project": desk.project_id, "name": name, "size": len(body), "sha256": sha256}
    started = desk.api.post("data/", json=about)
    assert started.status_code == 201, started.text
    where = started.json()["upload"]
    sent = httpx.request(where["method"], where["url"], headers=where["headers"], content=body)
    assert sent.status_code < 300, sent.text
    datum_id = started.json()["datum"]["id"]
    assert desk.api.post(f"data/{datum_id}/confirm/").status_code == 200
    return datum_id


def test_a_run_from_git_with_parameters_and_an_input_ends_with_stored_outputs(
    desk: Desk, tmp_path: Path
) -> None:
    datum_id = upload(desk, "hello.txt", b"hello there\n")
    counter = desk.run(
        "greet",
        "--times=3",
        "--rate=0.25",
        "--loud=yes",
        f"--words=datum://{datum_id}",
        "--title=one",
    )
    shown = desk.wait(counter)
    assert (shown["status"], shown["reason"]) == ("complete", "exited")
    assert shown["parameters"] == {"times": 3, "rate": 0.25, "loud": True}
    assert shown["commit"]["identifier"] == desk.head

    info = desk.vh("exec", "info", str(counter)).stdout
    assert f"datum://{datum_id}" in info
    assert "complete" in info

    log = desk.vh("exec", "logs", str(counter)).stdout
    assert "arguments --times=3 --rate=0.25 --loud" in log
    assert "input hello.txt hello there" in log

    target = tmp_path / "out"
    desk.vh("exec", "outputs", str(counter), "--download", str(target))
    assert (target / "sub" / "deep" / "result.txt").read_text() == "done\n"
    assert (target / "empty.bin").read_bytes() == b""

    listed = said(desk.vh("data", "list"))
    assert "sub/deep/result.txt" in listed
    assert "hello.txt" in listed

    summary = desk.vh("--table-format", "csv", "exec", "summarize", str(counter)).stdout
    assert "score" in summary
    assert "1.0" in summary


def test_the_list_has_what_ran_newest_first(desk: Desk) -> None:
    desk.wait(desk.run("fail"))
    desk.wait(desk.run("greet"))
    rows = json.loads(desk.vh("--table-format", "json", "exec", "list").stdout)
    assert [(row["counter"], row["status"]) for row in rows] == [(2, "complete"), (1, "error")]
    only = json.loads(desk.vh("--table-format", "json", "exec", "list", "--status", "error").stdout)
    assert [row["counter"] for row in only] == [1]
    assert desk.execution(1)["reason_text"]
    assert "complete" in said(desk.vh("project", "status"))


def test_an_adhoc_package_is_uploaded_once_and_its_name_is_its_hash(desk: Desk) -> None:
    first = said(desk.vh("exec", "run", "--adhoc", "greet"))
    uploaded = re.search(r"Uploaded ad-hoc code ~([0-9a-f]{64})", first)
    assert uploaded
    again = said(desk.vh("exec", "run", "--adhoc", "greet"))
    assert f"Ad-hoc code ~{uploaded[1]} already uploaded" in again
    (desk.folder / "more.txt").write_text("changed")
    commit_all(desk.folder, "More")
    other = said(desk.vh("exec", "run", "--adhoc", "greet"))
    assert "Uploaded ad-hoc code" in other
    assert uploaded[1] not in other
    for counter in (1, 2, 3):
        assert desk.wait(counter)["status"] == "complete"


def test_a_short_commit_is_found(desk: Desk) -> None:
    desk.vh("exec", "run", "--commit", desk.head[:8], "greet")
    assert desk.execution("latest")["commit"]["identifier"] == desk.head


def test_a_watch_shows_the_log_as_it_comes(desk: Desk) -> None:
    watching = desk.vh.start("exec", "run", "--watch", "greet")
    try:
        wait_until(lambda: bool(desk.executions()), what="the execution", limit_s=30)
        assert desk.wait("latest")["status"] == "complete"
        assert watching.stdout is not None
        descriptor, seen = watching.stdout.fileno(), bytearray()
        os.set_blocking(descriptor, False)

        def has_all() -> bool:
            with contextlib.suppress(BlockingIOError):
                seen.extend(os.read(descriptor, 65536))
            return b"arguments" in seen and b"complete" in seen

        wait_until(has_all, what="the watch", limit_s=20)
    finally:
        watching.send_signal(signal.SIGINT)
        try:
            watching.wait(10)
        finally:
            watching.kill()
            watching.communicate()


def test_a_long_log_is_cut_unless_all_is_asked_for(desk: Desk) -> None:
    counter = str(desk.run("lines"))
    assert desk.wait(counter)["status"] == "complete"
    some = desk.vh("exec", "logs", counter)
    assert "line 2999" in some.stdout
    assert "line 12\n" not in some.stdout
    everything = said(desk.vh("exec", "logs", "--all", counter))
    assert [int(found) for found in re.findall(r"line (\d+)", everything)] == list(range(3000))


def test_a_stream_of_the_log_ends_with_the_execution(desk: Desk) -> None:
    counter = str(desk.run("greet"))
    streamed = said(desk.vh("exec", "logs", "--stream", counter))
    assert desk.execution(counter)["status"] == "complete"
    assert streamed


def test_running_and_queued_executions_are_stopped(desk: Desk) -> None:
    first = desk.run("nap")
    desk.wait(first, "started")
    second = desk.run("nap")
    assert str(first) in said(desk.vh("exec", "stop", f"{first}-{second}"))
    assert desk.wait(first)["status"] == "stopped"
    assert desk.wait(second)["status"] == "stopped"
    assert desk.vh("exec", "stop", f"{first}-{second}").returncode == 0
    third = desk.run("nap")
    desk.vh("exec", "stop", "latest")
    assert desk.wait(third)["status"] == "stopped"


def test_deleting_purges_outputs_when_asked(desk: Desk) -> None:
    counter = desk.run("greet")
    outputs = desk.wait(counter)["outputs"]
    assert len(outputs) == 2
    desk.vh("exec", "delete", "--purge-outputs", str(counter))
    gone = desk.vh("exec", "info", str(counter), check=False)
    assert gone.returncode == 1
    for output in outputs:
        assert desk.api.get(f"data/{output['id']}/").json()["purged"] is True
        assert desk.api.get(f"data/{output['id']}/download/").status_code == 404
    assert "No executions" in said(desk.vh("exec", "list"))
    deleted = json.loads(desk.vh("--table-format", "json", "exec", "list", "-d").stdout)
    assert [row["counter"] for row in deleted] == [counter]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(
            ("-e", "nope", "greet"),
            ("No environment with id or slug 'nope'", "vh environments"),
            id="an-unknown-environment-brings-the-hint",
        ),
        pytest.param(
            ("greet", "--times=99"), ("99 is greater than the maximum",), id="out-of-range"
        ),
    ],
)
def test_a_run_that_cannot_be_says_what_is_wrong_and_makes_nothing(
    desk: Desk, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    done = desk.vh("exec", "run", *arguments, check=False)
    assert done.returncode != 0
    for word in words:
        assert word in said(done)
    assert "No executions" in said(desk.vh("exec", "list"))


def test_a_secret_variable_reaches_the_step_and_not_its_log(desk: Desk) -> None:
    desk.vh("project", "environment-variables", "create", "--secret", "KEY=hush-hush")
    body = {
        "project": desk.project_id,
        "commit": "main",
        "step": "fail",
        "command": ["echo length ${#KEY} value $KEY", "true"],
    }
    made = desk.api.post("executions/", json=body)
    assert made.status_code == 201, made.text
    counter = made.json()["counter"]
    assert desk.wait(counter)["status"] == "complete"
    log = desk.vh("exec", "logs", str(counter)).stdout
    assert "length 9" in log
    assert "hush-hush" not in log
