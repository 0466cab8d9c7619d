"""A missing part is never left out quietly."""

from __future__ import annotations

import pytest

from tests.engines import apt


@pytest.fixture(autouse=True)
def nobody_who_may_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apt, "_may_install", lambda: False)


def test_a_missing_part_skips_and_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="sudo apt-get install its-package"):
        apt.program("no-such-program", "its-package")


def test_a_missing_part_fails_in_continuous_integration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no-such-program is missing"):
        apt.program("no-such-program", "its-package")
