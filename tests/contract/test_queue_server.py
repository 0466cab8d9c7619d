"""The embedded queue server: private, quiet about its secrets, and gone when we are."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from control.domain.errors import PermanentError, TemporaryError
from control.plugins.queues.contract import entry
from control.plugins.queues.server import ServerProcess, find_program, start_server
from control.plugins.queues.valkey import ValkeyQueue
from tests.engines.processes import wait_until

PARENT = """
import sys
from pathlib import Path
from control.plugins.queues.server import start_server
server = start_server(Path(sys.argv[1]), socket_path=Path(sys.argv[1]) / "q.sock")
print(server.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def by_socket(tmp_path: Path) -> Iterator[ServerProcess]:
    server = start_server(tmp_path / "queue", socket_path=tmp_path / "queue" / "q.sock")
    yield server
    server.stop()


@pytest.fixture
def by_port(tmp_path: Path) -> Iterator[ServerProcess]:
    server = start_server(tmp_path / "queue", port=0)
    yield server
    server.stop()


def test_its_socket_is_for_us_alone(by_socket: ServerProcess, tmp_path: Path) -> None:
    mode = (tmp_path / "queue" / "q.sock").stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o700
    assert stat.S_IMODE((tmp_path / "queue").stat().st_mode) == 0o700
    with ValkeyQueue.from_url(by_socket.url, options={}) as queue:
        queue.push([entry("a")])
        assert queue.pop(["e"], wait_s=1) == ("e", "a")


def test_by_a_port_it_asks_for_a_password_that_no_command_line_shows(
    by_port: ServerProcess,
) -> None:
    password = by_port.url.partition(":")[2].partition("@")[0].lstrip("/:")
    assert len(password) == 32
    command = Path(f"/proc/{by_port.pid}/cmdline").read_bytes()
    assert password.encode() not in command
    bare_url = by_port.url.replace(f":{password}@", "")
    with ValkeyQueue(bare_url) as queue, pytest.raises(PermanentError):
        queue.depth("e")
    with ValkeyQueue.from_url(by_port.url, options={}) as queue:
        assert queue.depth("e") == 0


def test_it_writes_nothing_to_disk_but_its_log(by_socket: ServerProcess, tmp_path: Path) -> None:
    with ValkeyQueue.from_url(by_socket.url, options={}) as queue:
        queue.push([entry("a")])
    by_socket.stop()
    left = {path.name for path in (tmp_path / "queue").iterdir()}
    assert left <= {"queue-server.log", "q.sock"}


def test_stopping_it_twice_is_fine(by_socket: ServerProcess) -> None:
    by_socket.stop()
    by_socket.stop()
    assert not by_socket.is_running()
    with ValkeyQueue.from_url(by_socket.url, options={}) as queue, pytest.raises(TemporaryError):
        queue.check()


def test_it_starts_over_the_socket_of_one_that_was_killed(tmp_path: Path) -> None:
    for _ in range(2):
        server = start_server(tmp_path, socket_path=tmp_path / "q.sock")
        os.kill(server.pid, signal.SIGKILL)
        server.process.wait(10)
    assert (tmp_path / "q.sock").exists()


def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_alive(pid)
        parent.kill()
    wait_until(lambda: not is_alive(pid), what="the end of the server")


def test_its_socket_may_lie_in_a_folder_that_it_makes(tmp_path: Path) -> None:
    place = tmp_path / "elsewhere" / "q.sock"
    server = start_server(tmp_path / "queue", socket_path=place)
    server.stop()
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700


def test_a_socket_in_a_folder_for_everybody_is_refused(tmp_path: Path) -> None:
    shared, link = tmp_path / "shared", tmp_path / "link"
    shared.mkdir()
    shared.chmod(0o777)
    link.symlink_to(tmp_path)
    for folder in (shared, link):
        with pytest.raises(PermanentError, match="only you"):
            start_server(tmp_path / "queue", socket_path=folder / "q.sock")


def test_a_directory_that_is_too_deep_for_a_socket_is_said_in_words(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    with pytest.raises(PermanentError, match="too long for a socket"):
        start_server(deep, socket_path=deep / "q.sock")


def test_a_server_that_ends_at_once_says_why(by_port: ServerProcess, tmp_path: Path) -> None:
    port = int(by_port.url.rpartition(":")[2].partition("/")[0])
    with pytest.raises(PermanentError, match=r"queue server .*: \S+"):
        start_server(tmp_path / "second", port=port)


def test_without_any_server_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("control.plugins.queues.server.importlib.util.find_spec", lambda _: None)
    with pytest.raises(PermanentError, match="Install valkey-server or redis-server"):
        find_program()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
