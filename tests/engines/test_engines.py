"""The real parts are real: each does, once, what the suites ask of it."""

from __future__ import annotations

import subprocess
from contextlib import closing
from pathlib import Path

import boto3
import psycopg
import pytest
import redis
from playwright.sync_api import Browser
from sqlalchemy import create_engine, inspect, text

from tests.engines.clients import Vh
from tests.engines.container_engine import DockerEngine
from tests.engines.git_servers import HttpGitServer, SshGitServer
from tests.engines.s3 import S3Server
from tests.engines.valkey import ValkeyServer


def test_a_container_runs_busybox(docker_engine: DockerEngine, busybox_image: str) -> None:
    with closing(docker_engine.client()) as client:
        said = client.containers.run(busybox_image, ["sh", "-c", "echo from inside"], remove=True)
    assert said == b"from inside\n"


def test_a_container_imports_the_unmodified_utils(
    docker_engine: DockerEngine, python_image: str
) -> None:
    program = "import sys, valohai; print(sys.version_info[:2], valohai.__name__)"
    with closing(docker_engine.client()) as client:
        said = client.containers.run(python_image, ["python", "-c", program], remove=True)
    assert said == b"(3, 11) valohai\n"


def test_each_test_has_an_empty_database(database_url: str) -> None:
    engine = create_engine(database_url)
    assert inspect(engine).get_table_names() == []
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE seen (id INTEGER)"))
    engine.dispose()


def test_the_cluster_answers(postgres_url: str) -> None:
    with psycopg.connect(postgres_url.replace("+psycopg", "")) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_killed_queue_server_comes_back_empty_at_its_address(
    valkey_server: ValkeyServer, valkey_url: str
) -> None:
    with closing(redis.Redis.from_url(valkey_url)) as client:
        client.set("key", "value")
        valkey_server.kill()
        with pytest.raises(redis.ConnectionError):
            client.get("key")
        valkey_server.restart()
        assert client.get("key") is None


def test_the_bucket_keeps_what_is_put(s3_server: S3Server) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=s3_server.endpoint,
        aws_access_key_id=s3_server.access_key,
        aws_secret_access_key=s3_server.secret_key,
        region_name=s3_server.region,
    )
    with closing(client):
        client.put_object(Bucket=s3_server.bucket, Key="a/b", Body=b"bytes")
        with closing(client.get_object(Bucket=s3_server.bucket, Key="a/b")["Body"]) as body:
            assert body.read() == b"bytes"


def _fill(bare: Path, folder: Path) -> None:
    def git(*arguments: str | Path) -> None:
        author = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
        subprocess.run(["git", *author, *arguments], cwd=folder, check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    (folder / "file").write_text("content\n")
    git("add", "file")
    git("commit", "-q", "-m", "First")
    git("push", "-q", bare, "main")


def _ls_remote(url: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", "ls-remote", url],
        env={"PATH": "/usr/bin:/bin", "GIT_TERMINAL_PROMPT": "0", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_only_an_allowed_key_reads_over_ssh(ssh_git_server: SshGitServer, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    _fill(ssh_git_server.repository("private"), work)
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True
    )
    (tmp_path / "known_hosts").write_text(ssh_git_server.known_hosts_line + "\n")
    ssh = (
        f"ssh -F none -i {tmp_path}/key -o IdentitiesOnly=yes -o BatchMode=yes "
        f"-o StrictHostKeyChecking=yes -o UserKnownHostsFile={tmp_path}/known_hosts"
    )
    url = ssh_git_server.url("private")
    refused = _ls_remote(url, GIT_SSH_COMMAND=ssh)
    assert "Permission denied" in refused.stderr
    ssh_git_server.allow((tmp_path / "key.pub").read_text())
    allowed = _ls_remote(url, GIT_SSH_COMMAND=ssh)
    assert "refs/heads/main" in allowed.stdout, allowed.stderr


def test_only_the_token_reads_over_http(http_git_server: HttpGitServer, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    _fill(http_git_server.repository("private"), work)
    url = http_git_server.url("private")
    assert _ls_remote(url).returncode != 0
    secret = f"{http_git_server.user}:{http_git_server.token}"
    with_secret = url.replace("http://", f"http://{secret}@")
    assert "refs/heads/main" in _ls_remote(with_secret).stdout
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", with_secret, clone], check=True)
    assert (clone / "file").read_text() == "content\n"


def test_the_browser_shows_a_page(browser: Browser) -> None:
    page = browser.new_page()
    page.set_content("<h1>Talkoot</h1>")
    assert page.inner_text("h1") == "Talkoot"
    page.close()


def test_vh_answers_with_its_own_settings(vh: Vh) -> None:
    assert "Usage" in vh("--help").stdout
    assert vh("no-such-command", check=False).returncode == 2
