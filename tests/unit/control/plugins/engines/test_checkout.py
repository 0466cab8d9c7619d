"""Our checkout: a folder a commit, a branch read only when asked, another repository no mix-up."""

from __future__ import annotations

from pathlib import Path

import pytest

from control.domain.errors import PermanentError
from control.plugins.engines.checkout import Checkout
from tests.engines.infra_repository import InfraRepository


@pytest.fixture
def repository(tmp_path: Path) -> InfraRepository:
    return InfraRepository(tmp_path / "repository")


def checkout(place: Path, repository: Path, wanted: str = "") -> Checkout:
    return Checkout(place / "infra", str(repository), wanted)


def test_a_branch_stays_where_it_was_until_it_is_read_again(
    tmp_path: Path, repository: InfraRepository
) -> None:
    ours = checkout(tmp_path, repository.folder, "main")
    first = ours.commit()
    assert first == repository.commit
    assert (ours.folder() / "stacks" / "__main__.py").exists()
    second = repository.put({"new": "file"})
    assert ours.commit() == first
    assert checkout(tmp_path, repository.folder, "main").commit() == first, "pinned in a file"
    assert ours.refresh() == second
    assert (ours.folder() / "new").exists()


def test_a_commit_is_taken_as_it_is(tmp_path: Path, repository: InfraRepository) -> None:
    first = repository.commit
    repository.put({"new": "file"})
    ours = checkout(tmp_path, repository.folder)
    assert ours.refresh() == repository.commit
    pinned = checkout(tmp_path, repository.folder, first)
    assert pinned.commit() == first
    assert not (pinned.folder() / "new").exists()


def test_another_repository_is_not_mistaken_for_the_last_one(
    tmp_path: Path, repository: InfraRepository
) -> None:
    assert checkout(tmp_path, repository.folder).commit()
    with pytest.raises(PermanentError, match="TALKOOT_INFRA_REPO"):
        checkout(tmp_path, tmp_path / "nowhere").commit()


def test_what_is_not_there_is_said(tmp_path: Path, repository: InfraRepository) -> None:
    with pytest.raises(PermanentError, match="has no 'no-such-branch'"):
        checkout(tmp_path, repository.folder, "no-such-branch").commit()
    with pytest.raises(PermanentError, match="is not set"):
        Checkout(tmp_path / "infra", "", "").refresh()
