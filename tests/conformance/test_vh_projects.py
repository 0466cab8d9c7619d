"""Signing in, projects, environments and lint by the unmodified `vh` (client-contract.md 3.1)."""

from __future__ import annotations

from tests.conformance.conftest import PASSWORD, USER, Desk, Installation, commit_all, said
from tests.engines.clients import Vh


def test_a_password_logs_in(installation: Installation, vh: Vh) -> None:
    done = vh("login", "--host", installation.url, "--username", USER, "--password", PASSWORD)
    assert f"Hey {USER}!" in said(done)
    vh("project", "list")


def test_a_wrong_password_is_named_and_ends_with_1(installation: Installation, vh: Vh) -> None:
    done = vh("login", "-h", installation.url, "-u", USER, "-p", "not this one", check=False)
    assert done.returncode == 1
    assert "The user name or the password is wrong." in said(done)


def test_a_token_logs_in_by_another_name_of_the_host(
    installation: Installation, token: str, vh: Vh
) -> None:
    host = installation.url.replace("127.0.0.1", "localhost")
    assert f"Hey {USER}!" in said(vh("login", "--host", host, "--token", token))
    vh("project", "list")


def test_a_wrong_token_is_refused(installation: Installation, vh: Vh) -> None:
    done = vh("login", "--host", installation.url, "--token", "x" * 40, check=False)
    assert done.returncode == 1
    assert "Invalid token." in said(done)


def test_a_project_is_made_and_linked_by_name_in_any_case(signed_in: Vh) -> None:
    signed_in("project", "create", "--name", "Casual", "--description", "d", "--no-link")
    done = signed_in("project", "link", "cASUAL")
    assert "Linked" in said(done)
    assert "No executions yet." in said(signed_in("project", "status"))


def test_a_project_name_that_is_taken_is_named(signed_in: Vh) -> None:
    signed_in("project", "create", "--name", "twice", "--no-link")
    done = signed_in("project", "create", "--name", "TWICE", "--no-link", check=False)
    assert done.returncode == 1
    assert "name:" in said(done)
    assert "There is a project 'TWICE' already. (code: unique)" in said(done)


def test_fetch_brings_new_commits_and_says_what_is_wrong_in_them(desk: Desk) -> None:
    broken = (desk.folder / "valohai.yaml").read_text().replace("image:", "imago:", 1)
    (desk.folder / "valohai.yaml").write_text(broken)
    new = commit_all(desk.folder, "Break")
    done = desk.vh("project", "fetch")
    words = said(done)
    assert new in words
    assert "line 3: step 'greet': unknown key 'imago'." in words
    assert "line 2: step 'greet': 'image' is a required property." in words
    listed = said(desk.vh("project", "commits"))
    assert f"{new} (current)" in listed
    assert desk.head in listed


def test_an_unreachable_repository_is_named_and_changes_nothing(desk: Desk) -> None:
    answer = desk.api.patch(
        f"projects/{desk.project_id}/", json={"repository": {"url": "http://127.0.0.1:9/x.git"}}
    )
    assert answer.status_code == 200
    before = desk.api.get(f"projects/{desk.project_id}/").json()
    done = desk.vh("project", "fetch", check=False)
    assert done.returncode == 1
    assert "repository:" in said(done)
    assert "code: unreachable" in said(done)
    assert desk.api.get(f"projects/{desk.project_id}/").json() == before


def test_variables_are_made_listed_and_deleted_and_a_secret_stays_hidden(desk: Desk) -> None:
    desk.vh("project", "environment-variables", "create", "A=1", "B=two words")
    desk.vh("project", "environment-variables", "create", "--secret", "KEY=hush")
    listed = said(desk.vh("project", "environment-variables", "list"))
    assert "two words" in listed
    assert "****" in listed
    assert "hush" not in listed
    assert "hush" not in desk.api.get(f"projects/{desk.project_id}/").text
    desk.vh("project", "environment-variables", "delete", "A", "B")
    again = desk.vh("project", "environment-variables", "delete", "A", check=False)
    assert again.returncode == 1
    assert "A" not in desk.vh("project", "environment-variables", "list").stdout.split()


def test_environments_are_listed_with_all_columns(signed_in: Vh) -> None:
    listed = signed_in("environments", "-g", "-p", "-q", "-D").stdout
    assert "local" in listed
    assert "This machine" in listed


def test_lint_counts_errors(desk: Desk) -> None:
    assert desk.vh("lint").returncode == 0
    (desk.folder / "valohai.yaml").write_text("- step:\n    name: x\n    command: y\n")
    assert desk.vh("lint", check=False).returncode == 1


def test_every_list_of_what_is_not_there_yet_is_empty(desk: Desk) -> None:
    for noun in ("pipeline", "task", "alias", "model"):
        assert desk.vh(noun, "list").returncode == 0
