"""What `make run` shows and makes, piece by piece; tests/journey runs all of it at once."""

from __future__ import annotations

import importlib
import io
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[3] / "examples"


class Screen(io.StringIO):
    """A terminal that keeps everything written to it."""

    encoding = "utf-8"

    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Answer a function that imports a module of the runner."""
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")

    def load(name: str) -> ModuleType:
        return importlib.import_module(f"runner.{name}")

    yield load
    for name in [each for each in sys.modules if each.split(".")[0] == "runner"]:
        del sys.modules[name]


def phase(name: str, **known: Any) -> dict[str, Any]:
    empty = {"started_at": None, "ended_at": None, "done": None, "total": None, "unit": None}
    return {"name": name, **empty, **known}


def state(phases: list[dict[str, Any]], **known: Any) -> dict[str, Any]:
    return {"status": "started", "phase": phases[-1]["name"], "phases": phases, **known}


BEGAN, ENDED = "2026-01-02T03:04:05.000000Z", "2026-01-02T03:04:06.500000Z"


def test_a_file_or_pipe_gets_plain_lines_and_no_redrawn_one(runner: Any) -> None:
    screen = Screen(is_terminal=False)
    terminal = runner("terminal").Terminal(screen)
    terminal.status("queued")
    terminal.done("Ready")
    terminal.close()
    assert screen.getvalue() == "✓ Ready\n"


def test_a_terminal_gets_the_redrawn_line_below_all_others(runner: Any) -> None:
    screen = Screen(is_terminal=True)
    terminal = runner("terminal").Terminal(screen)
    terminal.status("one")
    terminal.line("a line")
    terminal.status("two")
    terminal.close()
    shown = screen.getvalue()
    assert "\r\x1b[2Ka line\n" in shown
    assert shown.endswith("two\r\x1b[2K")


def test_no_color_is_honoured(runner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    screen = Screen(is_terminal=True)
    runner("terminal").Terminal(screen).fail("broken")
    assert screen.getvalue() == "✗ broken\n"


def test_a_log_cannot_move_the_cursor_of_who_reads_it(runner: Any) -> None:
    plain = runner("terminal").plain
    assert plain("\x1b[2J\x1b[31mred\x1b[0m\rback\x07") == "redback"


@pytest.mark.parametrize(
    ("size_bytes", "words"),
    [(0, "0 B"), (1023, "1023 B"), (57_523, "56.2 KiB"), (2**31, "2.0 GiB")],
)
def test_sizes_read_well(runner: Any, size_bytes: float, words: str) -> None:
    assert runner("terminal").size_words(size_bytes) == words


def test_each_phase_is_announced_once_and_ends_once(runner: Any) -> None:
    screen = Screen(is_terminal=False)
    view = runner("following").View(runner("terminal").Terminal(screen))
    began = [phase("queued", started_at=BEGAN)]
    ended = [phase("queued", started_at=BEGAN, ended_at=ENDED), phase("code", started_at=ENDED)]
    for phases in (began, began, ended, ended):
        view.show(state(phases))
    assert screen.getvalue().splitlines() == [
        "phase queued: waiting for a worker",
        "✓ phase queued     1.5 s",
        "phase code: taking the code from the store",
    ]


def test_a_counted_phase_has_a_bar(runner: Any) -> None:
    screen = Screen(is_terminal=True)
    view = runner("following").View(runner("terminal").Terminal(screen))
    counted = {"done": 500, "total": 2000, "unit": "bytes"}
    view.show(state([phase("inputs", started_at=BEGAN, **counted)]))
    assert "25%  500 B of 2.0 KiB" in screen.getvalue()


def test_epochs_in_the_metadata_move_the_bar_of_the_run(runner: Any) -> None:
    screen = Screen(is_terminal=True)
    view = runner("following").View(runner("terminal").Terminal(screen))
    line = '{"epoch": 10, "accuracy": 0.97}'
    view.event({"time": BEGAN, "stream": "stdout", "message": line})
    view.show(state([phase("run", started_at=BEGAN)], parameters={"epochs": 40}))
    assert "epoch 10   accuracy 0.97" in screen.getvalue()
    assert "25%  epoch 10 of 40" in screen.getvalue()


def test_the_log_is_read_to_its_end_after_the_execution_has_ended(runner: Any) -> None:
    lines: list[dict[str, Any]] = [
        {"number": number, "time": BEGAN, "stream": "stdout", "message": f"line {number}"}
        for number in range(1, 26)
    ]

    class Server:
        def get(self, path: str, **query: Any) -> dict[str, Any]:
            return {"status": "complete", "phase": "done", "phases": [], "reason": ""}

        def events(self, execution_id: str, after: int) -> dict[str, Any]:
            return {"events": [line for line in lines if line["number"] > after][:10]}

    screen = Screen(is_terminal=False)
    follow = runner("following").follow
    ended = follow(Server(), "an-id", runner("terminal").Terminal(screen))
    assert ended["status"] == "complete"
    shown = screen.getvalue().splitlines()
    assert [line.rsplit(" ", 1)[1] for line in shown] == [str(n) for n in range(1, 26)]


def test_equal_files_give_an_equal_commit_and_a_change_is_one_more(
    runner: Any, tmp_path: Path
) -> None:
    sync = runner("repository").sync
    source = tmp_path / "source"
    source.mkdir()
    (source / "train.py").write_text("print(1)\n")
    (source / "old.py").write_text("\n")
    first = sync(source, tmp_path / "a")
    assert sync(source, tmp_path / "a") == first
    assert sync(source, tmp_path / "b") == first

    (source / "train.py").write_text("print(2)\n")
    (source / "old.py").unlink()
    second = sync(source, tmp_path / "a")
    assert second != first
    log = ["git", "-C", str(tmp_path / "a"), "log", "--format=%H", "--name-status"]
    history = subprocess.run(log, capture_output=True, text=True, check=True).stdout.split()
    assert history[:6] == [second, "D", "old.py", "M", "train.py", first]


def test_an_error_of_the_api_names_its_fields(runner: Any) -> None:
    explain = runner("client").explain
    assert explain({"detail": "Not found."}) == ["Not found."]
    tree = {"inputs": {"digits": [{"message": "This input is required.", "code": "required"}]}}
    assert explain(tree) == ["inputs: digits: This input is required."]
    assert explain({"non_field_errors": ["Too many."]}) == ["Too many."]


def test_the_token_file_is_only_its_owners(runner: Any, tmp_path: Path) -> None:
    path = tmp_path / "example" / "account.json"
    runner("account").write_secret(path, "first")
    runner("account").write_secret(path, "second")
    assert path.read_text() == "second\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_used_port_is_seen(runner: Any) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert not runner("server").port_is_free(port)
    assert runner("server").port_is_free(port)
