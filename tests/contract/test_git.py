"""Every registered git plug-in keeps to the contract, over every way to reach a repository."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from control.domain.ports import GitRemote
from control.plugins.git.contract import GitContract
from control.plugins.git.memory import MemoryGit
from control.plugins.git.program import ProgramGit
from tests.contract.git_repositories import MemoryRepository, RealRepository
from tests.engines.git_servers import HttpGitServer, SshGitServer, bare_repository


class TestMemoryGit(GitContract):
    @pytest.fixture
    def git(self) -> MemoryGit:
        return MemoryGit.from_url("memory:", options={})

    @pytest.fixture
    def repository(self, git: MemoryGit) -> MemoryRepository:
        return MemoryRepository(git, "https://host/path.git")


@pytest.fixture
def program_git(tmp_path: Path) -> ProgramGit:
    return ProgramGit.from_url("program:", options={"data_dir": str(tmp_path / "data")})


class TestProgramGitOverAPath(GitContract):
    @pytest.fixture
    def git(self, program_git: ProgramGit) -> ProgramGit:
        return program_git

    @pytest.fixture
    def repository(self, tmp_path: Path) -> RealRepository:
        path = bare_repository(tmp_path / "repository.git")
        return RealRepository(path, GitRemote(str(path)))


class TestProgramGitOverHttp(GitContract):
    @pytest.fixture
    def git(self, program_git: ProgramGit) -> ProgramGit:
        return program_git

    @pytest.fixture
    def repository(self, http_git_server: HttpGitServer) -> RealRepository:
        name = f"contract-{secrets.token_hex(4)}"
        remote = GitRemote(
            http_git_server.url(name), username=http_git_server.user, token=http_git_server.token
        )
        return RealRepository(http_git_server.repository(name), remote)


class TestProgramGitOverSsh(GitContract):
    @pytest.fixture
    def git(self, program_git: ProgramGit) -> ProgramGit:
        return program_git

    @pytest.fixture
    def repository(self, ssh_git_server: SshGitServer, git: ProgramGit) -> RealRepository:
        name = f"contract-{secrets.token_hex(4)}"
        private, public = git.make_deploy_key(name)
        ssh_git_server.allow(public)
        remote = GitRemote(
            ssh_git_server.url(name), private_key=private, host_key=ssh_git_server.host_key
        )
        return RealRepository(ssh_git_server.repository(name), remote)
