"""What the git program must withstand beyond the contract, against real servers."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import tarfile
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from control.domain.errors import PermanentError, TalkootError, TemporaryError
from control.domain.ports import GitRemote
from control.plugins.git import authority
from control.plugins.git.authority import make_deploy_key
from control.plugins.git.contract import MIRROR, unpacked
from control.plugins.git.process import run
from control.plugins.git.program import ProgramGit
from tests.contract.git_repositories import RealRepository
from tests.engines.git_servers import HttpGitServer, SshGitServer, bare_repository
from tests.engines.processes import wait_until


@pytest.fixture
def git(tmp_path: Path) -> ProgramGit:
    return ProgramGit(tmp_path / "mirrors")


@pytest.fixture
def local(tmp_path: Path) -> RealRepository:
    path = bare_repository(tmp_path / "repository.git")
    return RealRepository(path, GitRemote(str(path)))


@pytest.fixture
def by_http(http_git_server: HttpGitServer) -> RealRepository:
    name = f"private-{secrets.token_hex(4)}"
    remote = GitRemote(
        http_git_server.url(name), username=http_git_server.user, token=http_git_server.token
    )
    made = RealRepository(http_git_server.repository(name), remote)
    made.commit({"a": b"1"})
    return made


@pytest.fixture
def by_ssh(ssh_git_server: SshGitServer) -> RealRepository:
    name = f"private-{secrets.token_hex(4)}"
    private, public = make_deploy_key(name)
    ssh_git_server.allow(public)
    remote = GitRemote(
        ssh_git_server.url(name), private_key=private, host_key=ssh_git_server.host_key
    )
    made = RealRepository(ssh_git_server.repository(name), remote)
    made.commit({"a": b"1"})
    return made


# -- private repositories --------------------------------------------------------------------------
def test_on_first_contact_the_host_key_comes_back_to_be_pinned(
    git: ProgramGit, by_ssh: RealRepository, ssh_git_server: SshGitServer
) -> None:
    found = git.fetch(MIRROR, replace(by_ssh.remote, host_key=None), ["main"])
    assert found.host_key == ssh_git_server.host_key
    assert git.fetch(MIRROR, by_ssh.remote, ["main"]).host_key is None


def test_a_changed_host_key_is_refused(git: ProgramGit, by_ssh: RealRepository) -> None:
    _, other = make_deploy_key("")
    with pytest.raises(PermanentError, match="host key has changed"):
        git.fetch(MIRROR, replace(by_ssh.remote, host_key=other), ["main"])


@pytest.mark.parametrize("pinned", ["", "nonsense", "ssh-ed25519 AAAA\n* ssh-rsa AAAA"])
def test_a_pinned_key_that_is_none_is_refused_or_asked_for(
    git: ProgramGit, by_ssh: RealRepository, pinned: str
) -> None:
    if pinned:
        with pytest.raises(PermanentError, match="host key"):
            git.fetch(MIRROR, replace(by_ssh.remote, host_key=pinned), ["main"])
    else:
        assert git.fetch(MIRROR, replace(by_ssh.remote, host_key=pinned), ["main"]).host_key


@pytest.mark.parametrize("with_key", [True, False])
def test_a_key_that_the_server_does_not_know_is_refused(
    git: ProgramGit, by_ssh: RealRepository, *, with_key: bool
) -> None:
    stranger = make_deploy_key("")[0] if with_key else None
    with pytest.raises(PermanentError, match="refuses this key"):
        git.fetch(MIRROR, replace(by_ssh.remote, private_key=stranger), ["main"])


def test_a_repository_that_is_not_on_the_ssh_server_is_said_so(
    git: ProgramGit, by_ssh: RealRepository, ssh_git_server: SshGitServer
) -> None:
    with pytest.raises(PermanentError, match="not found"):
        git.fetch(MIRROR, replace(by_ssh.remote, url=ssh_git_server.url("nothing")), ["main"])


def test_a_repository_that_is_not_on_the_http_server_is_said_so(
    git: ProgramGit, by_http: RealRepository, http_git_server: HttpGitServer
) -> None:
    with pytest.raises(PermanentError, match="not found"):
        git.fetch(MIRROR, replace(by_http.remote, url=http_git_server.url("nothing")), ["main"])


def test_a_wrong_token_is_refused_and_never_shown(git: ProgramGit, by_http: RealRepository) -> None:
    with pytest.raises(PermanentError, match="refuses this key, user name or token") as caught:
        git.fetch(MIRROR, replace(by_http.remote, token="wrong-secret-7"), ["main"])
    assert "wrong-secret-7" not in shown(caught.value)


def test_no_token_is_asked_for(git: ProgramGit, by_http: RealRepository) -> None:
    with pytest.raises(PermanentError, match="deploy key or a token"):
        git.fetch(MIRROR, GitRemote(by_http.remote.url), ["main"])


def test_a_token_may_stand_in_the_address_and_does_not_stay_there(
    git: ProgramGit, by_http: RealRepository, tmp_path: Path
) -> None:
    remote = by_http.remote
    url = remote.url.replace("://", f"://{remote.username}:{remote.token}@")
    assert git.fetch(MIRROR, GitRemote(url), ["main"]).commits
    assert remote.token is not None
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert remote.token.encode() not in path.read_bytes()


def test_a_token_is_not_sent_without_encryption(git: ProgramGit) -> None:
    remote = GitRemote("http://git.example.test/a.git", token="secret")
    with pytest.raises(PermanentError, match="https alone"):
        git.fetch(MIRROR, remote, ["main"])


def test_a_token_does_not_follow_a_redirection_to_another_server(
    git: ProgramGit, by_http: RealRepository
) -> None:
    target = by_http.remote.url

    class Redirection(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", target + self.path.removeprefix("/a.git"))
            self.end_headers()

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Redirection) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}/a.git"
            with pytest.raises(PermanentError, match="deploy key or a token"):
                git.fetch(MIRROR, replace(by_http.remote, url=url), ["main"])
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("kind", ["by_http", "by_ssh"])
def test_no_secret_is_in_a_command_or_an_environment_of_a_fetch(
    git: ProgramGit, kind: str, request: pytest.FixtureRequest
) -> None:
    repository: RealRepository = request.getfixturevalue(kind)
    secret = repository.remote.token or (repository.remote.private_key or "").splitlines()[1]
    seen: list[bytes] = []
    done = threading.Event()
    watcher = threading.Thread(target=lambda: watch_children(seen, done))
    watcher.start()
    try:
        for number in range(5):
            git.fetch(f"{MIRROR}-{number}", repository.remote, ["main"])
    finally:
        done.set()
        watcher.join()
    together = b"\n".join(seen)
    assert b"fetch" in together
    assert secret.encode() not in together


# -- limits ----------------------------------------------------------------------------------------
def test_a_server_that_says_nothing_is_given_up_and_leaves_no_process(tmp_path: Path) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        git = ProgramGit(tmp_path / "mirrors", fetch_limit_s=1)
        remote = GitRemote(f"git://127.0.0.1:{mute.getsockname()[1]}/a.git")
        with pytest.raises(TemporaryError, match="longer than"):
            git.fetch(MIRROR, remote, ["main"])
    assert descendants() == []


def test_what_a_command_started_dies_with_it(tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    script = f"sleep 1000 & echo $! > {marker}; wait"
    with pytest.raises(TemporaryError):
        run(["sh", "-c", script], env=dict(os.environ), limit_s=0.5)
    pid = int(marker.read_text())
    wait_until(lambda: not is_running(pid), what="the end of a grandchild")


def test_what_a_command_left_running_is_ended_too(tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    script = f"sleep 1000 >/dev/null 2>&1 & echo $! > {marker}"
    assert run(["sh", "-c", script], env=dict(os.environ), limit_s=10).status == 0
    pid = int(marker.read_text())
    wait_until(lambda: not is_running(pid), what="the end of a grandchild")


def test_a_repository_that_is_too_large_is_refused(tmp_path: Path, local: RealRepository) -> None:
    local.commit({"a": secrets.token_bytes(2 << 20)})
    git = ProgramGit(tmp_path / "mirrors", pack_bytes=1 << 20)
    with pytest.raises(PermanentError, match="larger than"):
        git.fetch(MIRROR, local.remote, ["main"])
    assert ProgramGit(tmp_path / "mirrors").fetch(MIRROR, local.remote, ["main"]).commits


def test_keys_that_a_killed_fetch_left_are_taken_away(
    git: ProgramGit, by_http: RealRepository
) -> None:
    place = Path(authority._place())
    old, young = (place / f"talkoot-git-{secrets.token_hex(4)}" for _ in range(2))
    for folder in (old, young):
        folder.mkdir()
        (folder / "key").touch()
    os.utime(old, (1, 1))
    git.fetch(MIRROR, by_http.remote, ["main"])
    assert (old.exists(), young.exists()) == (False, True)
    shutil.rmtree(young)


def test_too_much_output_is_refused() -> None:
    with pytest.raises(PermanentError, match="more than 1 MiB"):
        run(["sh", "-c", "yes"], env=dict(os.environ), limit_s=30, output_bytes=1 << 20)


def test_a_flood_of_errors_is_cut() -> None:
    done = run(["sh", "-c", "yes | head -c 9999999 >&2"], env=dict(os.environ), limit_s=30)
    assert len(done.error) == 64 << 10


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(PermanentError, match="no-such-program is not installed"):
        run(["no-such-program"], env={}, limit_s=1)


def test_a_port_that_nobody_listens_to_is_temporary(git: ProgramGit) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        for url in (
            f"http://127.0.0.1:{port}/a.git",
            f"git://127.0.0.1:{port}/a.git",
            f"ssh://git@127.0.0.1:{port}/a.git",
        ):
            for host_key in (None, make_deploy_key("")[1]):
                with pytest.raises(TemporaryError, match="can not be reached"):
                    git.fetch(MIRROR, GitRemote(url, host_key=host_key), ["main"])


@pytest.mark.parametrize(
    "url",
    [
        "",
        "--upload-pack=touch x",
        "-oProxyCommand=touch x",
        "ext::sh -c 'touch x'",
        "ext::true",
        "ssh://-oProxyCommand=true/a",
        "ssh://-oProxyCommand=true@host/a",
        "ftp://host/a.git",
        "https:///a.git",
        "https://host:port/a.git",
        "https://host/a b.git",
        "https://host/a\n.git",
        "./relative",
        "relative/path",
        "fd::7",
    ],
)
def test_an_address_that_could_do_harm_is_refused(git: ProgramGit, url: str) -> None:
    with pytest.raises(PermanentError):
        git.fetch(MIRROR, GitRemote(url), ["main"])


def test_a_path_of_this_machine_needs_leave(tmp_path: Path, local: RealRepository) -> None:
    local.commit({"a": b"1"})
    options = {"data_dir": str(tmp_path), "allow_local": "false"}
    git = ProgramGit.from_url("program:", options=options)
    for url in (local.remote.url, f"file://{local.remote.url}"):
        with pytest.raises(PermanentError, match="not allowed"):
            git.fetch(MIRROR, GitRemote(url), ["main"])


@pytest.mark.parametrize("mirror", ["", "../x", "a/b", ".hidden", "-x", "a\n"])
def test_a_mirror_has_a_plain_name(git: ProgramGit, local: RealRepository, mirror: str) -> None:
    with pytest.raises(PermanentError, match="name of a mirror"):
        git.fetch(mirror, local.remote, ["main"])


# -- repositories as they come ---------------------------------------------------------------------
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


# -- looking at processes --------------------------------------------------------------------------
def children_of(parent: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{parent}/task").iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [int(pid) for task in tasks for pid in read(task / "children").split()]


def descendants() -> list[str]:
    """Name the git and ssh processes that we started and that are still there."""
    found: list[str] = []
    todo = [os.getpid()]
    while todo:
        for pid in children_of(todo.pop()):
            todo.append(pid)
            name = read(Path(f"/proc/{pid}/comm")).decode().strip()
            if name.startswith(("git", "ssh")) and name != "sshd":
                found.append(name)
    return found


def watch_children(seen: list[bytes], done: threading.Event) -> None:
    while not done.is_set():
        todo = [os.getpid()]
        while todo:
            for pid in children_of(todo.pop()):
                todo.append(pid)
                seen.append(read(Path(f"/proc/{pid}/cmdline")))
                seen.append(read(Path(f"/proc/{pid}/environ")))


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""


def is_running(pid: int) -> bool:
    return b") Z " not in (stat := read(Path(f"/proc/{pid}/stat"))) and bool(stat)


def shown(error: TalkootError) -> str:
    """Everything that a log could hold of an error, its causes too."""
    parts: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        parts.append(repr(cause))
        cause = cause.__cause__ or cause.__context__
    return " ".join(parts)
