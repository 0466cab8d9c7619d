"""Settings: defaults from the data directory, what is set wins, slips are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from control.settings import SettingsError, read_settings


def test_the_data_directory_gives_only_defaults(tmp_path: Path) -> None:
    settings = read_settings({"DATABASE_URL": "postgresql://db/talkoot"}, data_dir=tmp_path)
    assert settings.database_url == "postgresql://db/talkoot"
    assert settings.store_url == (tmp_path / "store").as_uri()
    assert settings.log_store_url == settings.store_url
    assert settings.queue_is_private


def test_an_unknown_variable_of_ours_is_an_error() -> None:
    with pytest.raises(SettingsError, match="TALKOOT_DATABSE"):
        read_settings({"TALKOOT_DATABSE": "x"})


def test_the_agents_variables_are_not_ours_to_judge() -> None:
    assert read_settings({"TALKOOT_AGENT_URL": "http://x", "TALKOOT_ENROL_TOKEN": "t"})


@pytest.mark.parametrize(
    "name", ["TALKOOT_TRUSTED_PROXIES", "TALKOOT_SESSION_HOURS", "TALKOOT_DEVELOPMENT"]
)
def test_a_value_of_the_wrong_kind_names_its_variable(name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        read_settings({name: "many"})


def test_a_number_is_not_below_nought() -> None:
    with pytest.raises(SettingsError, match="TALKOOT_SESSION_HOURS"):
        read_settings({"TALKOOT_SESSION_HOURS": "-1"})


def test_an_impossible_log_level_names_the_possible_ones() -> None:
    with pytest.raises(SettingsError, match="debug, info, warning, error"):
        read_settings({"TALKOOT_LOG_LEVEL": "loud"})
    assert read_settings({"TALKOOT_LOG_LEVEL": "DEBUG"}).log_level == "debug"


def test_a_deep_data_directory_still_has_a_socket_that_fits() -> None:
    settings = read_settings({}, data_dir="/tmp/" + "deep/" * 40)
    assert settings.queue_is_private
    assert len(settings.queue_url) < 107 + len("unix://")


@pytest.mark.parametrize("url", ["mysql://u:secret@db/x", "postgres://db/x", "nonsense"])
def test_another_kind_of_database_is_refused_without_its_password(url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL is sqlite") as caught:
        read_settings({"DATABASE_URL": url}, data_dir=tmp_path)
    assert "secret" not in str(caught.value)
