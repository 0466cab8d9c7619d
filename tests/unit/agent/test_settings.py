from __future__ import annotations

from pathlib import Path

import pytest

from agent.phases.failures import Refused
from agent.settings import read_settings

GIVEN = ["--url", "http://c:1/", "--state", "/tmp/x", "--runtime", "process"]


def test_the_command_line_wins_over_the_environment() -> None:
    settings = read_settings(GIVEN, {"TALKOOT_AGENT_URL": "http://d", "TALKOOT_AGENT_SLOTS": "3"})
    assert (settings.url, settings.slots) == ("http://c:1", 3)


def test_everything_may_come_from_the_environment() -> None:
    environ = {
        "TALKOOT_AGENT_URL": "https://c",
        "TALKOOT_AGENT_STATE": "/tmp/x",
        "TALKOOT_AGENT_RUNTIME": "docker",
        "TALKOOT_ENROL_TOKEN": "t",
    }
    settings = read_settings([], environ)
    assert (settings.runtime, settings.enrol_token) == ("docker", "t")


def test_unknown_variables_are_refused() -> None:
    with pytest.raises(Refused, match="TALKOOT_AGENT_SLOT "):
        read_settings(GIVEN, {"TALKOOT_AGENT_SLOT": "1"})


def test_a_token_file_that_is_missing_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be read"):
        read_settings([*GIVEN, "--enrol-token-file", str(tmp_path / "no")], {})


@pytest.mark.parametrize(
    "argv", [[], [*GIVEN, "--runtime", "auto"], [*GIVEN, "--slots", "0"], [*GIVEN, "--url", "c"]]
)
def test_wrong_use_ends_with_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        read_settings(argv, {})
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err
