"""What the git program makes of repositories as they come."""

from __future__ import annotations

import tarfile
import threading
from pathlib import Path

import pytest

from control.domain.errors import TemporaryError
from control.domain.ports import GitRemote
from control.plugins.git.contract import MIRROR, unpacked
from control.plugins.git.program import ProgramGit
from tests.contract.git_repositories import RealRepository
from tests.engines.git_servers import bare_repository


@pytest.fixture
def git(tmp_path: Path) -> ProgramGit:
    return ProgramGit(tmp_path / "mirrors")


@pytest.fixture
def local(tmp_path: Path) -> RealRepository:
    path = bare_repository(tmp_path / "repository.git")
    return RealRepository(path, GitRemote(str(path)))


def test_at_most_two_hundred_commits_come_and_the_newest_of_them(
    git: ProgramGit, local: RealRepository
) -> None:
    first = local.commit({"a": b"1"})
    tree = local.git("rev-parse", f"{first}^{{tree}}")
    made = [local.commit_tree(tree, message=str(n)) for n in range(250)]
    found = git.fetch(MIRROR, local.remote, ["main"]).commits
    assert [commit.identifier for commit in found] == made[:-201:-1]
    again = git.fetch(MIRROR, local.remote, ["main"]).commits
    assert again == found


def test_a_commit_is_kept_when_its_branch_is_forced_elsewhere(
    git: ProgramGit, local: RealRepository, tmp_path: Path
) -> None:
    old = local.commit({"a": b"old"})
    git.fetch(MIRROR, local.remote, ["main"])
    local.git("update-ref", "-d", "refs/heads/main")
    new = local.commit({"a": b"new"})
    found = git.fetch(MIRROR, local.remote, ["main"]).commits
    assert [commit.identifier for commit in found] == [new]
    assert git.read_file(MIRROR, old, "a") == b"old"
    git.archive(MIRROR, old, tmp_path / "old.tgz")


def test_a_branch_may_become_a_folder_of_branches(git: ProgramGit, local: RealRepository) -> None:
    local.commit({"a": b"1"}, ref="x")
    git.fetch(MIRROR, local.remote, ["x"])
    local.git("update-ref", "-d", "refs/heads/x")
    made = local.commit({"a": b"2"}, ref="x/y")
    assert git.fetch(MIRROR, local.remote, ["x/y"]).commits[0].identifier == made


def test_tags_of_both_kinds_are_refs(git: ProgramGit, local: RealRepository) -> None:
    made = local.commit({"a": b"1"})
    local.git("update-ref", "refs/tags/light", made)
    tag = local.git(
        "mktag",
        input_bytes=f"object {made}\ntype commit\ntag v1\ntagger A <a@b> 1 +0000\n\nx\n".encode(),
    )
    local.git("update-ref", "refs/tags/v1", tag)
    found = git.fetch(MIRROR, local.remote, ["light", "v1", "refs/tags/v1", "refs/heads/main"])
    assert {(commit.ref, commit.identifier) for commit in found.commits} == {
        ("light", made),
        ("v1", made),
        ("refs/tags/v1", made),
        ("refs/heads/main", made),
    }


def test_a_message_may_be_long_and_of_many_lines(git: ProgramGit, local: RealRepository) -> None:
    message = "Subject ä\n\n" + "Line\n" * 2000
    local.commit({"a": b"1"}, message=message)
    [found] = git.fetch(MIRROR, local.remote, ["main"]).commits
    assert found.message.startswith("Subject ä\n\nLine\nLine")
    assert len(found.message) == 4000


def test_submodules_are_said_not_to_be_followed(git: ProgramGit, local: RealRepository) -> None:
    local.commit({".gitmodules": b'[submodule "x"]\n\tpath = x\n\turl = https://host/x\n'})
    found = git.fetch(MIRROR, local.remote, ["main"])
    assert "submodules" in found.errors[0]
    assert len(found.commits) == 1


def test_attributes_change_nothing_in_an_archive(
    git: ProgramGit, local: RealRepository, tmp_path: Path
) -> None:
    files = {
        ".gitattributes": b"hidden export-ignore\nstamp export-subst\n",
        "hidden": b"1",
        "stamp": b"$Format:%H$",
    }
    made = local.commit(files)
    git.fetch(MIRROR, local.remote, ["main"])
    git.archive(MIRROR, made, tmp_path / "archive.tgz")
    assert unpacked(tmp_path / "archive.tgz") == files


def test_an_archive_has_no_time_of_its_own(
    git: ProgramGit, local: RealRepository, tmp_path: Path
) -> None:
    made = local.commit({"a": b"1", "b/c": b"2"})
    git.fetch(MIRROR, local.remote, ["main"])
    git.archive(MIRROR, made, tmp_path / "archive.tgz")
    with tarfile.open(tmp_path / "archive.tgz") as archive:
        assert {member.mtime for member in archive} == {1_000_000_000}
    assert (tmp_path / "archive.tgz").read_bytes()[4:8] == bytes(4)  # gzip's own time


def test_hooks_of_a_repository_are_not_run(
    git: ProgramGit, local: RealRepository, tmp_path: Path
) -> None:
    marker = tmp_path / "ran"
    for name in ("post-update", "pre-receive", "reference-transaction", "post-checkout"):
        hook = local.path / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {marker}\n")
        hook.chmod(0o755)
    local.git("config", "uploadpack.packObjectsHook", f"touch {marker}")
    made = local.commit({"a": b"1"})
    marker.unlink(missing_ok=True)
    git.fetch(MIRROR, local.remote, ["main"])
    git.archive(MIRROR, made, tmp_path / "archive.tgz")
    assert not marker.exists()


def test_settings_of_the_user_change_nothing(
    git: ProgramGit,
    local: RealRepository,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / ".gitconfig").write_text('[url "https://evil.test/"]\n\tinsteadOf = /\n')
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere")
    local.commit({"a": b"1"})
    assert git.fetch(MIRROR, local.remote, ["main"]).commits


def test_what_a_killed_fetch_left_is_cleaned_up(git: ProgramGit, local: RealRepository) -> None:
    first = local.commit({"a": b"1"})
    tree = local.git("rev-parse", f"{first}^{{tree}}")
    git.fetch(MIRROR, local.remote, ["main"])
    [mirror] = [path for path in local.path.parent.glob("mirrors/*.git") if path.is_dir()]
    [tracked] = (mirror / "refs" / "talkoot").iterdir()
    for left in (mirror / "shallow.lock", tracked.with_suffix(".lock")):
        left.touch()
    (mirror / "objects" / "pack").mkdir(exist_ok=True)
    (mirror / "objects" / "pack" / "tmp_pack_x").touch()
    made = local.commit_tree(tree)
    assert git.fetch(MIRROR, local.remote, ["main"]).commits[0].identifier == made
    assert not (mirror / "objects" / "pack" / "tmp_pack_x").exists()


def test_many_fetches_of_one_mirror_take_their_turns(
    git: ProgramGit, local: RealRepository
) -> None:
    made = local.commit({"a": b"1"})
    found: list[str] = []

    def fetch() -> None:
        found.append(git.fetch(MIRROR, local.remote, ["main"]).commits[0].identifier)

    threads = [threading.Thread(target=fetch) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [made] * 6


def test_a_full_disk_is_said_in_words(
    git: ProgramGit, local: RealRepository, tmp_path: Path
) -> None:
    made = local.commit({"a": b"1"})
    git.fetch(MIRROR, local.remote, ["main"])
    (tmp_path / "archive.tgz.part").symlink_to("/dev/full")
    with pytest.raises(TemporaryError, match="No space left"):
        git.archive(MIRROR, made, tmp_path / "archive.tgz")
    assert list(tmp_path.glob("archive*")) == []
