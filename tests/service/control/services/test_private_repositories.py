"""Private repositories over a real sshd and a real HTTP Git server, from link to archive."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from control.domain.errors import Invalid
from control.domain.ports import GitRemote
from control.plugins.git.program import ProgramGit
from control.services import commits, repositories
from control.services.repositories import RepositoryChange
from control.services.world import World
from tests.contract.git_repositories import RealRepository
from tests.engines.git_servers import HttpGitServer, SshGitServer
from tests.factories import NOW, Scene

YAML = "- step:\n    name: train\n    image: python:3.12\n    command: python train.py\n"


@pytest.fixture
def world(scene: Scene, tmp_path: Path) -> World:
    """The scene's world with real Git."""
    git = ProgramGit.from_url("program:", options={"data_dir": str(tmp_path / "data")})
    return replace(scene.world, git=git)


def fill(bare: Path) -> str:
    """Make a first commit and answer it."""
    return RealRepository(bare, GitRemote(str(bare))).commit({"valohai.yaml": YAML.encode()})


def test_a_deploy_key_that_we_make_lets_us_in_and_the_host_key_is_pinned(
    scene: Scene, world: World, ssh_git_server: SshGitServer
) -> None:
    name = f"private-{secrets.token_hex(4)}"
    head = fill(ssh_git_server.repository(name))
    change = RepositoryChange(url=ssh_git_server.url(name))
    linked = repositories.set_repository(world, scene.caller, scene.project_id, change, NOW)
    assert linked is not None
    assert linked.access == "deploy_key"
    assert linked.public_key.startswith("ssh-ed25519 ")
    assert "PRIVATE" not in linked.private_key_sealed

    with pytest.raises(Invalid, match="repository"):
        repositories.fetch(world, scene.caller, scene.project_id, NOW)

    ssh_git_server.allow(linked.public_key)
    outcome = repositories.fetch(world, scene.caller, scene.project_id, NOW)
    assert outcome.commits == (("main", head),)
    with world.database.read() as connection:
        after = repositories.find(connection, scene.project_id)
    assert after is not None
    assert after.host_key == ssh_git_server.host_key
    again = repositories.fetch(world, scene.caller, scene.project_id, NOW + timedelta(minutes=1))
    assert again.commits == ()

    commit = commits.find(world, scene.caller, head[:8])
    assert commits.step_of(world, commit, "train").image == "python:3.12"
    key, sha256, size = commits.ensure_archive(world, commit)
    assert key == f"code/{sha256}.tar.gz"
    assert len(world.code_store.get(key)) == size


def test_another_server_in_its_place_is_not_believed(
    scene: Scene, world: World, ssh_git_server: SshGitServer
) -> None:
    name = f"pinned-{secrets.token_hex(4)}"
    fill(ssh_git_server.repository(name))
    change = RepositoryChange(url=ssh_git_server.url(name))
    linked = repositories.set_repository(world, scene.caller, scene.project_id, change, NOW)
    assert linked is not None
    ssh_git_server.allow(linked.public_key)
    other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
    world.database.write(
        lambda connection: (
            connection.execute(repositories.repositories.update().values(host_key=other)) and None
        )
    )
    with pytest.raises(Invalid, match="repository") as caught:
        repositories.fetch(world, scene.caller, scene.project_id, NOW)
    assert caught.value.errors[0].code == "unreachable"


def test_a_token_lets_us_in_and_stays_sealed(
    scene: Scene, world: World, http_git_server: HttpGitServer
) -> None:
    name = f"private-{secrets.token_hex(4)}"
    head = fill(http_git_server.repository(name))
    plain = http_git_server.url(name)
    wrong = RepositoryChange(url=plain, username=http_git_server.user, token="wrong-token")
    repositories.set_repository(world, scene.caller, scene.project_id, wrong, NOW)
    with pytest.raises(Invalid, match="repository") as caught:
        repositories.fetch(world, scene.caller, scene.project_id, NOW)
    assert "wrong-token" not in str(caught.value)

    with_token = plain.replace("://", f"://{http_git_server.user}:{http_git_server.token}@")
    right = RepositoryChange(url=with_token)
    linked = repositories.set_repository(world, scene.caller, scene.project_id, right, NOW)
    assert linked is not None
    assert (linked.url, linked.access) == (plain, "token")
    assert http_git_server.token not in str(linked)
    outcome = repositories.fetch(world, scene.caller, scene.project_id, NOW)
    assert outcome.commits == (("main", head),)
