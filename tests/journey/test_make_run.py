"""`make run`, for real: the program, the command, the server, an agent, the step, the store."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
PHASES = ["queued", "code", "inputs", "image", "run", "outputs"]
READY_WITHIN_S = 5.0
USUAL_START_S = 0.8
"""What a machine with two idle cores takes at most to start a program with Flask and SQLAlchemy."""
LIMIT_S = 150.0


@dataclass
class Talk:
    """What one run said, and how it ended."""

    status: int
    lines: list[str]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(data: Path, port: int, *more: str, program: Path) -> subprocess.Popen[str]:
    options = ["--data", str(data), "--port", str(port), "--runtime", "process", *more]
    return subprocess.Popen(
        [sys.executable, str(program), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "PYTHONDONTWRITEBYTECODE": "1"},
    )


def lines_of(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout
    for line in process.stdout:
        yield line.rstrip("\n")


def run(data: Path, port: int, *more: str, program: Path = ROOT / "examples" / "run.py") -> Talk:
    with start(data, port, *more, program=program) as process:
        try:
            output, _nothing = process.communicate(timeout=LIMIT_S)
        finally:
            end(process)
    return Talk(process.returncode, output.splitlines())


def end(process: subprocess.Popen[str]) -> None:
    """End a run that should have ended: first so that it can end its server, then at once."""
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        process.send_signal(number)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            continue


def nobody_listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("make-run") / "data"


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def first(data: Path, port: int) -> Talk:
    talk = run(data, port, "--exit")
    assert talk.status == 0, talk.text
    return talk


def test_the_first_run_passes_every_phase_in_order(first: Talk) -> None:
    ended = [match[1] for line in first.lines if (match := re.match(r"✓ phase (\w+)", line))]
    assert ended == PHASES


def test_the_log_shows_every_epoch_once_and_in_order(first: Talk) -> None:
    points = [json.loads(line[line.index("{") :]) for line in first.lines if '{"epoch"' in line]
    assert [point["epoch"] for point in points] == list(range(1, 31))


def test_the_last_metadata_has_more_than_95_percent_right(first: Talk) -> None:
    after = first.text.split("Last metadata")[1]
    match = re.search(r"^  accuracy +(\S+)$", after, re.MULTILINE)
    assert match
    assert float(match[1]) > 0.95


def test_the_outputs_lie_where_it_says(first: Talk) -> None:
    after = first.text.split("\nOutputs\n")[1]
    lies_at = dict(re.findall(r"^  (\S+) +[\d.]+ (?:[KM]i)?B  (\S+)$", after, re.MULTILINE))
    assert sorted(lies_at) == ["confusion.png", "metrics.json", "model.json"]
    files = {name: Path(unquote(urlsplit(where).path)) for name, where in lies_at.items()}
    assert json.loads(files["metrics.json"].read_text())["accuracy"] > 0.95
    assert files["confusion.png"].read_bytes().startswith(b"\x89PNG")
    assert len(json.loads(files["model.json"].read_text())["hidden"]) == 32


def test_leaving_stops_the_server(first: Talk, port: int) -> None:
    assert first.lines[-1] == "Talkoot has stopped."
    assert nobody_listens(port)


def test_what_it_keeps_is_only_its_owners(first: Talk, data: Path) -> None:
    kept = data / "example" / "account.json"
    assert kept.stat().st_mode & 0o077 == 0
    assert json.loads(kept.read_text())["token"] not in first.text


def interrupted_run(data: Path, port: int) -> tuple[Talk, float]:
    """Press Ctrl-C while the step runs; answer also the seconds until all was ready."""
    begun = time.monotonic()
    ready_after_s = float("inf")
    seen: list[str] = []
    with start(data, port, program=ROOT / "examples" / "run.py") as process:
        try:
            for line in lines_of(process):
                seen.append(line)
                if "Ready" in line:
                    ready_after_s = time.monotonic() - begun
                if '"epoch": 2' in line:
                    process.send_signal(signal.SIGINT)
            process.wait(timeout=60)
        finally:
            end(process)
    return Talk(process.returncode, seen), ready_after_s


def start_s() -> float:
    """Seconds that a program which does nothing takes to start here, the best of three."""
    waits_s: list[float] = []
    for _ in range(3):
        begun = time.monotonic()
        subprocess.run([sys.executable, "-c", "import flask, sqlalchemy"], check=True)
        waits_s.append(time.monotonic() - begun)
    return min(waits_s)


@pytest.mark.usefixtures("first")
def test_a_second_run_reuses_all_and_is_ready_in_5_seconds_and_ctrl_c_ends_it(
    data: Path, port: int
) -> None:
    # The best of three, and shared out: neither what else the machine does nor a machine that is
    # slow at every start is what this measures.
    sharers = max(1.0, os.getloadavg()[0] / len(os.sched_getaffinity(0)))
    slowness = start_s() / USUAL_START_S
    within_s = READY_WITHIN_S * max(sharers, slowness)
    waits_s: list[float] = []
    while len(waits_s) < 3 and min(waits_s, default=within_s + 1) > within_s:
        talk, ready_after_s = interrupted_run(data, port)
        waits_s.append(ready_after_s)
        assert "is in the store already" in talk.text
        assert "Account" not in talk.text
        assert (talk.status, talk.lines[-1]) == (130, "Talkoot has stopped."), talk.text
        assert nobody_listens(port)
    told = f"{waits_s} with {sharers:.1f} programs a core, starts {slowness:.1f} x as slow as usual"
    assert min(waits_s) <= within_s, told


@pytest.mark.usefixtures("first")
def test_a_step_that_fails_gives_status_1_and_says_so(
    data: Path, port: int, tmp_path: Path
) -> None:
    examples = tmp_path / "examples"
    shutil.copytree(ROOT / "examples", examples)
    (examples / "digits" / "train.py").write_text("raise SystemExit('no luck today')\n")
    talk = run(data, port, "--exit", program=examples / "run.py")
    assert talk.status == 1, talk.text
    assert "no luck today" in talk.text
    assert re.search(r"^✗ Execution #\d+ ended: error", talk.text, re.MULTILINE)
    assert nobody_listens(port)


def test_a_used_port_is_one_sentence_and_status_2(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        taken = listener.getsockname()[1]
        talk = run(tmp_path / "data", taken, "--exit")
    assert talk.status == 2
    assert len(talk.lines) == 1
    assert f"Port {taken} is used by another program" in talk.lines[0]
    assert "--port" in talk.lines[0]


def answer_as_talkoot(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response_only(200)
    handler.end_headers()
    handler.wfile.write(b'{"flavor": "talkoot", "version": "0"}')


OtherTalkoot = type("OtherTalkoot", (BaseHTTPRequestHandler,), {"do_GET": answer_as_talkoot})


def test_a_server_of_another_data_directory_is_not_used(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), OtherTalkoot) as other:
        thread = Thread(target=other.serve_forever)
        thread.start()
        try:
            talk = run(tmp_path / "data", other.server_port, "--exit")
        finally:
            other.shutdown()
            thread.join()
    assert talk.status == 2
    assert len(talk.lines) == 1
    assert "does not use" in talk.lines[0]
    assert "--port" in talk.lines[0]
