"""The command from outside: exit statuses, and one plain sentence for what is known to go wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from control.cli.main import COMMANDS
from tests.engines.places import free_port
from tests.journey.installation import ROOT, clean_environment

LISTED = sorted(name for name, (_, line) in COMMANDS.items() if line)


def talkoot(*arguments: str, text: str = "", **given: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "control.cli", *arguments],
        cwd=ROOT,
        env=clean_environment(given),
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def says_one_sentence(done: subprocess.CompletedProcess[str], *words: str) -> None:
    said = done.stdout + done.stderr
    assert "Traceback" not in said, said
    assert all(word in said for word in words), said
    assert len(said.strip().splitlines()) == 1, said


def test_the_list_of_commands_is_there_at_once() -> None:
    program = (
        "import sys; from control.cli.main import main; main(['--help'], standalone_mode=False);"
        "print('sqlalchemy' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    *words, is_slow = done.stdout.split()
    assert is_slow == "False"
    assert [name for name in LISTED if name in words] == LISTED
    assert "one-port" not in words


@pytest.mark.parametrize("command", LISTED)
def test_every_command_has_help(command: str) -> None:
    done = talkoot(command, "--help")
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout.lower()


@pytest.mark.parametrize(
    "arguments", [("sirve",), ("serve", "--prot", "1"), ("serve", "--port", "many"), ("agent",)]
)
def test_wrong_use_has_exit_status_2(arguments: tuple[str, ...]) -> None:
    done = talkoot(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["web", "streams", "loops"])
def test_a_database_that_is_not_migrated_is_said_in_one_sentence(
    tmp_path: Path, command: str
) -> None:
    done = talkoot(command, "--data", str(tmp_path))
    assert done.returncode == 1
    says_one_sentence(done, "talkoot migrate")


@pytest.mark.parametrize(
    "arguments",
    [["serve"], ["web"], ["doctor"], ["admin", "enrol", "local"]],
    ids=" ".join,
)
def test_an_unknown_setting_of_ours_is_wrong_use(tmp_path: Path, arguments: list[str]) -> None:
    done = talkoot(*arguments, "--data", str(tmp_path), TALKOOT_PROT="1")
    assert done.returncode == 2
    says_one_sentence(done, "TALKOOT_PROT", "docs/settings.md")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_setting_of_the_agent_is_wrong_use(tmp_path: Path) -> None:
    done = talkoot("agent", TALKOOT_AGENT_STATE=str(tmp_path), TALKOOT_AGENT_SLOT="2")
    assert done.returncode == 2
    says_one_sentence(done, "TALKOOT_AGENT_SLOT", "TALKOOT_AGENT_SLOTS")


def test_an_impossible_value_of_a_setting_is_wrong_use(tmp_path: Path) -> None:
    done = talkoot("migrate", "--data", str(tmp_path), STORE_URL="ftp://x")
    assert done.returncode == 2
    says_one_sentence(done, "ftp", "file, memory, s3")


def test_serve_ends_as_its_first_child_does(tmp_path: Path) -> None:
    arguments = ("serve", "--data", str(tmp_path), "--port", str(free_port()))
    done = talkoot(*arguments, "--runtime", "process", STORE_URL="ftp://x")
    assert done.returncode == 2
    assert done.stderr.count("Error:") == 1
    assert "Traceback" not in done.stderr


def test_a_database_that_is_away_is_said_in_one_sentence(tmp_path: Path) -> None:
    url = "postgresql+psycopg://nobody@127.0.0.1:1/none"
    done = talkoot("migrate", "--data", str(tmp_path), DATABASE_URL=url)
    assert done.returncode == 1
    says_one_sentence(done, "database")


def test_a_data_directory_that_cannot_be_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = talkoot("migrate", "--data", str(tmp_path / "file" / "data"))
    assert done.returncode == 1
    says_one_sentence(done, "file")


def test_an_operator_prepares_an_installation(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path))
    assert "Migrated" in talkoot("migrate", *data).stdout
    assert "already" in talkoot("migrate", *data).stdout
    add = ("admin", "user", "add", "ada")
    assert talkoot(*add, "--password-stdin", *data, text="").returncode == 2
    assert talkoot(*add, "--password-stdin", *data, text="a long secret\n").returncode == 0
    says_one_sentence(talkoot(*add, *data), "ada")
    assert talkoot("admin", "token", "add", "ada", *data).stdout.startswith("tkt_")
    says_one_sentence(talkoot("admin", "token", "add", "bob", *data), "bob")
    says_one_sentence(talkoot("admin", "enrol", "moon", *data), "moon")
    assert talkoot("admin", "environment", "add", "moon", *data).returncode == 0
    assert talkoot("admin", "enrol", "moon", *data).stdout.startswith("tke_")


def test_the_doctor_says_what_is_ill_and_what_to_do(tmp_path: Path) -> None:
    ill = talkoot("doctor", "--data", str(tmp_path))
    assert ill.returncode == 1
    assert "FAIL  database" in ill.stdout
    assert "run `talkoot migrate`" in ill.stdout.lower()
    talkoot("migrate", "--data", str(tmp_path))
    well = talkoot("doctor", "--data", str(tmp_path))
    assert well.returncode == 0, well.stdout
    assert "FAIL" not in well.stdout
    away = talkoot("doctor", "--data", str(tmp_path), QUEUE_URL="redis://127.0.0.1:1/0")
    assert away.returncode == 1
    assert "FAIL  queue" in away.stdout
    assert "Traceback" not in away.stdout + away.stderr


def test_a_folder_named_agent_does_not_stand_in_for_the_agent(tmp_path: Path) -> None:
    (tmp_path / "agent" / "cache").mkdir(parents=True)
    done = subprocess.run(
        [Path(sys.executable).with_name("talkoot"), "agent", "--help"],
        cwd=tmp_path,
        env=clean_environment({}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
