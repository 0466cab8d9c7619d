"""What every git plug-in must keep to. Subclass it, give `git` and `repository`, run with pytest.

`repository` is a `Repository`: something that commits can be made in, under an address.
"""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import pytest

from control.domain.errors import PermanentError, TalkootError
from control.domain.ports import Git, GitRemote

MIRROR = "m-1"


class Repository(Protocol):
    """A repository to fetch from."""

    @property
    def remote(self) -> GitRemote:
        """Where it is and how to be let in."""
        ...

    def commit(
        self, files: Mapping[str, bytes], *, ref: str = "main", message: str = "Change"
    ) -> str:
        """Make a commit whose tree is `files` on a branch; answer its identifier."""
        ...


class GitContract:
    """The tests."""

    def test_the_newest_commits_of_a_branch_come_newest_first(
        self, git: Git, repository: Repository
    ) -> None:
        made = [repository.commit({"a": str(n).encode()}, message=f"No. {n}") for n in range(3)]
        found = git.fetch(MIRROR, repository.remote, ["main"])
        assert [commit.identifier for commit in found.commits] == made[::-1]
        assert [commit.message for commit in found.commits] == ["No. 2", "No. 1", "No. 0"]
        assert {commit.ref for commit in found.commits} == {"main"}
        assert found.errors == ()
        assert all(len(commit.commit_time) == 20 for commit in found.commits)
        assert found.commits[0].commit_time.endswith("Z")

    def test_a_second_fetch_brings_what_is_new(self, git: Git, repository: Repository) -> None:
        first = repository.commit({"a": b"1"})
        git.fetch(MIRROR, repository.remote, ["main"])
        second = repository.commit({"a": b"2"})
        found = git.fetch(MIRROR, repository.remote, ["main"])
        assert [commit.identifier for commit in found.commits] == [second, first]
        assert git.read_file(MIRROR, first, "a") == b"1"
        assert git.read_file(MIRROR, second, "a") == b"2"

    def test_each_ref_has_its_commits(self, git: Git, repository: Repository) -> None:
        main = repository.commit({"a": b"1"})
        other = repository.commit({"a": b"2"}, ref="feature/x")
        found = git.fetch(MIRROR, repository.remote, ["main", "feature/x"])
        first = {commit.ref: commit.identifier for commit in reversed(found.commits)}
        assert first == {"main": main, "feature/x": other}

    def test_a_missing_ref_is_an_error_beside_the_others(
        self, git: Git, repository: Repository
    ) -> None:
        repository.commit({"a": b"1"})
        found = git.fetch(MIRROR, repository.remote, ["main", "nothing"])
        assert len(found.commits) == 1
        assert "nothing" in " ".join(found.errors)

    @pytest.mark.parametrize(
        "refs", [["nothing"], [], ["-u", "a b"], ["--upload-pack=x"], ["a..b"], [""]]
    )
    def test_refs_that_are_all_missing_are_refused(
        self, git: Git, repository: Repository, refs: list[str]
    ) -> None:
        repository.commit({"a": b"1"})
        with pytest.raises(PermanentError, match="branch or tag"):
            git.fetch(MIRROR, repository.remote, refs)

    def test_a_repository_that_is_not_there_is_refused(
        self, git: Git, repository: Repository
    ) -> None:
        gone = GitRemote(repository.remote.url.replace(".git", "") + "-gone.git")
        with pytest.raises(TalkootError, match=r"\w+ \w+"):
            git.fetch(MIRROR, gone, ["main"])

    def test_a_file_is_read_byte_by_byte(self, git: Git, repository: Repository) -> None:
        content = bytes(range(256)) * 100
        made = repository.commit({"deep/er/file.bin": content, "ä ö.txt": b"", "a": b"x"})
        git.fetch(MIRROR, repository.remote, ["main"])
        assert git.read_file(MIRROR, made, "deep/er/file.bin") == content
        assert git.read_file(MIRROR, made, "./a") == b"x"
        assert git.read_file(MIRROR, made, "ä ö.txt") == b""

    @pytest.mark.parametrize("path", ["nothing", "../a", "/a", "deep", "", "a\0b", "HEAD:a"])
    def test_a_file_that_is_not_there_is_none(
        self, git: Git, repository: Repository, path: str
    ) -> None:
        made = repository.commit({"a": b"x", "deep/file": b"y"})
        git.fetch(MIRROR, repository.remote, ["main"])
        assert git.read_file(MIRROR, made, path) is None

    @pytest.mark.parametrize("identifier", ["0" * 40, "main", "--help", "HEAD", ""])
    def test_a_commit_that_was_not_fetched_is_refused(
        self, git: Git, repository: Repository, identifier: str, tmp_path: Path
    ) -> None:
        repository.commit({"a": b"x"})
        git.fetch(MIRROR, repository.remote, ["main"])
        with pytest.raises(PermanentError):
            git.read_file(MIRROR, identifier, "a")
        with pytest.raises(PermanentError):
            git.archive(MIRROR, identifier, tmp_path / "archive.tgz")
        assert list(tmp_path.glob("archive*")) == []

    def test_an_archive_holds_the_tree(
        self, git: Git, repository: Repository, tmp_path: Path
    ) -> None:
        files = {"a.txt": b"one\r\n", "deep/er/b": b"two", "z" * 150: b"long", "deep/ä": b"3"}
        made = repository.commit(files)
        git.fetch(MIRROR, repository.remote, ["main"])
        git.archive(MIRROR, made, tmp_path / "archive.tgz")
        assert unpacked(tmp_path / "archive.tgz") == files

    def test_the_same_tree_gives_the_same_bytes(
        self, git: Git, repository: Repository, tmp_path: Path
    ) -> None:
        files = {"a": b"1", "b/c": b"2"}
        first = repository.commit(files, message="One")
        other = repository.commit({"a": b"other"}, message="Two")
        second = repository.commit(files, message="Three")
        git.fetch(MIRROR, repository.remote, ["main"])
        for name, identifier in (("1", first), ("2", second), ("3", other)):
            git.archive(MIRROR, identifier, tmp_path / name)
        assert first != second
        assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
        assert (tmp_path / "1").read_bytes() != (tmp_path / "3").read_bytes()

    def test_a_deploy_key_is_new_each_time(self, git: Git) -> None:
        private, public = git.make_deploy_key("talkoot project-1")
        assert private.startswith("-----BEGIN OPENSSH PRIVATE KEY-----\n")
        assert private.endswith("-----END OPENSSH PRIVATE KEY-----\n")
        assert public.startswith("ssh-ed25519 AAAA")
        assert public.endswith(" talkoot project-1")
        assert "\n" not in public
        assert git.make_deploy_key("x")[0] != private


def unpacked(path: Path) -> dict[str, bytes]:
    """Read the files of an archive; what stands in it beside files and folders fails."""
    found: dict[str, bytes] = {}
    with tarfile.open(path, "r:gz") as archive:
        for member in archive:
            if member.isdir():
                continue
            file = archive.extractfile(member)
            assert file is not None, member.name
            found[member.name] = file.read()
    return found
