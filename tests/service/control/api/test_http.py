"""What holds for every call: paths, errors, addresses, pages of lists, sessions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from control.services import executions, tokens
from tests.factories import NOW
from tests.service.control.api.conftest import YAML, Desk, package


@pytest.mark.parametrize("path", ["/users/me", "/users/me/", "//users//me//", "/users/me//"])
def test_slashes_do_not_matter_and_nobody_is_redirected(desk: Desk, path: str) -> None:
    assert desk.get(path)["username"] == "ada"


def test_a_double_slash_keeps_a_body(desk: Desk) -> None:
    view = desk.scene.submit()
    answer = desk.post(f"/executions/{view.row.id}//stop/")
    assert answer.status_code == 200
    assert "Stopped" in answer.json["message"]


def test_an_unknown_path_is_404_as_json(desk: Desk) -> None:
    for path in ("/nothing/", "/executions/x/y/z/"):
        answer = desk.call("GET", path, role="nobody")
        assert (answer.status_code, answer.json["code"]) == (404, "not_found")


def test_a_wrong_method_is_405_and_names_the_right_ones(desk: Desk) -> None:
    answer = desk.call("DELETE", "/executions/")
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, POST"
    assert answer.json["code"] == "method_not_allowed"


def test_a_bug_is_a_500_with_the_id_of_the_request(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_given: Any) -> None:
        raise RuntimeError("secret words")

    monkeypatch.setattr(executions, "find", fail)
    answer = desk.call("GET", "/executions/x/", headers={"X-Request-Id": "abcdef-12345"})
    assert answer.status_code == 500
    assert answer.json["request_id"] == answer.headers["X-Request-Id"] == "abcdef-12345"
    assert "secret words" not in answer.text


def test_every_answer_has_an_id_of_its_own(desk: Desk) -> None:
    first, second = (desk.call("GET", "/server/").headers["X-Request-Id"] for _ in range(2))
    assert first != second


def test_addresses_are_of_the_host_that_was_asked(desk: Desk) -> None:
    view = desk.scene.submit()
    shown = desk.get(f"/executions/{view.row.id}/", base_url="http://other.example:8123")
    assert shown["url"] == f"http://other.example:8123/api/v0/executions/{view.row.id}/"
    assert shown["urls"]["stop"] == f"{shown['url']}stop/"


@pytest.mark.parametrize("scheme", ["Token", "token", "TOKEN", "Bearer"])
def test_the_scheme_of_the_token_may_be_written_as_one_likes(desk: Desk, scheme: str) -> None:
    header = {"Authorization": f"{scheme} {desk.tokens['owner']}"}
    assert desk.get("/users/me/", role="nobody", headers=header)["username"] == "ada"


def test_a_session_reads_and_needs_its_csrf_value_to_change(desk: Desk) -> None:
    now = datetime.now(UTC)
    secret, csrf = tokens.open_session(
        desk.scene.world, desk.scene.caller.user_id, now, lifetime=timedelta(hours=1)
    )
    cookie = {"Cookie": f"{tokens.SESSION_COOKIE}={secret}"}
    assert desk.get("/users/me/", role="nobody", headers=cookie)["username"] == "ada"
    body = {"name": "by-page"}
    refused = desk.post("/projects/", body, role="nobody", headers=cookie)
    assert refused.status_code == 403
    with_value = {**cookie, tokens.CSRF_HEADER: csrf}
    assert desk.post("/projects/", body, role="nobody", headers=with_value).status_code == 201


def test_a_sign_in_link_works_once(desk: Desk) -> None:
    url = desk.get("/users/login_link/")["url"]
    secret = url.split("/")[2]
    now = datetime.now(UTC)
    assert tokens.use_login_link(desk.scene.world, secret, now).username == "ada"
    with pytest.raises(tokens.Unauthenticated):
        tokens.use_login_link(desk.scene.world, secret, now)


def test_lists_are_paged_and_name_the_next_page(desk: Desk) -> None:
    project = desk.scene.project_id
    counters = [desk.scene.submit().row.counter for _ in range(5)]
    page = desk.get(f"/executions/?project={project}&limit=2&ordering=counter")
    assert (page["count"], page["previous"]) == (5, None)
    seen = [one["counter"] for one in page["results"]]
    while page["next"]:
        page = desk.get(page["next"].partition("/api/v0")[2])
        seen += [one["counter"] for one in page["results"]]
    assert seen == counters


FILTERS: dict[str, list[int]] = {
    "status=incomplete": [3, 2],
    "status=stopped": [1],
    "status=stopped&status=queued": [3, 2, 1],
    "counter=1&counter=3": [3, 1],
    "creator=%3Cnone%3E": [],
    "creator=1": [3, 2, 1],
    "creator=99": [],
    "deleted=True": [],
    "deleted=false": [3, 2, 1],
    "step=other": [],
    "tags=nightly": [2],
    "task=x": [],
    "unknown=1&limit=100000": [3, 2, 1],
    "limit=1": [3],
    "limit=1&offset=2": [1],
    "no_count=TRUE": [3, 2, 1],
}


def test_executions_are_filtered(desk: Desk) -> None:
    scene = desk.scene
    first = scene.submit()
    scene.submit(tags=("nightly",))
    scene.submit()
    executions.request_stop(scene.world, scene.caller, first, NOW)
    path = f"/executions/?project={scene.project_id}&ordering=-counter&"
    found = {
        query: [one["counter"] for one in desk.get(path + query)["results"]] for query in FILTERS
    }
    assert found == FILTERS


def test_parts_are_left_out_and_added(desk: Desk) -> None:
    view = desk.scene.submit(tags=("a",))
    path = f"/executions/{desk.scene.project_id}:latest/"
    plain = desk.get(path)
    assert plain["tags"] == ["a"]
    assert "metadata" not in plain
    assert plain["id"] == view.row.id
    less = desk.get(f"{path}?exclude=tags, outputs,nonsense")
    assert not {"tags", "outputs"} & set(less)
    assert {"cumulative_metadata", "url", "project"} <= set(less)
    more = desk.get(f"{path}?include=metadata,%20events&include=phases")
    assert {"metadata", "events", "phases"} <= set(more)


def test_a_waiting_execution_says_why(desk: Desk) -> None:
    desk.scene.submit()
    shown = desk.get(f"/executions/{desk.scene.project_id}:1/")
    assert shown["status"] == "queued"
    assert shown["reason_text"].startswith("Waiting: ")


def test_a_secret_is_never_answered(desk: Desk) -> None:
    path = f"/projects/{desk.scene.project_id}/"
    made = desk.post(
        f"{path}environment_variable/", {"name": "KEY", "value": "hush-hush", "secret": True}
    )
    linked = desk.call(
        "PATCH", path, json={"repository": {"url": "https://ada:tok-en@git.example.org/x.git"}}
    )
    assert linked.status_code == 200
    shown = desk.get(path)
    assert shown["environment_variables"] == {"KEY": {"value": None, "secret": True}}
    assert shown["repository"]["url"] == "https://git.example.org/x.git"
    assert shown["repository"]["has_token"] is True
    everything = str(desk.everything())
    for text in (made.text, linked.text, str(shown), everything):
        assert "hush-hush" not in text
        assert "tok-en" not in text


def test_a_token_is_not_sent_to_another_host(desk: Desk) -> None:
    path = f"/projects/{desk.scene.project_id}/"
    given = {"url": "https://git.example.org/x.git", "token": "tok-en"}
    assert desk.call("PATCH", path, json={"repository": given}).status_code == 200
    moved = desk.call("PATCH", path, json={"repository": {"url": "https://evil.example/x.git"}})
    assert moved.json["repository"]["has_token"] is False
    assert moved.json["repository"]["access"] == "public"


def test_the_deploy_key_is_shown_to_those_who_may_manage(desk: Desk) -> None:
    path = f"/projects/{desk.scene.project_id}/"
    given = {"url": "git@git.example.org:team/x.git"}
    shown = desk.call("PATCH", path, json={"repository": given}).json["repository"]
    assert shown["access"] == "deploy_key"
    assert shown["public_key"].startswith("ssh-ed25519 ")
    assert "public_key" not in desk.get(path, role="member")["repository"]


def test_the_log_is_read_by_number_and_whole(desk: Desk) -> None:
    scene = desk.scene
    view = scene.submit()
    executions.request_stop(scene.world, scene.caller, view, NOW)
    path = f"/executions/{view.row.id}/"
    newest = desk.get(f"{path}events/")
    assert newest["total"] == len(newest["events"]) >= 1
    assert set(newest["events"][0]) >= {"time", "stream", "message"}
    assert desk.get(f"{path}events/?limit=0")["events"] == newest["events"]
    last = newest["events"][-1]["number"]
    assert desk.get(f"{path}events/?after={last}")["events"] == []
    assert desk.get(f"{path}events/?after={last - 1}")["events"] == newest["events"][-1:]
    assert desk.get(f"{path}status-events/?limit=100")["status_events"] == newest["events"]
    text = desk.call("GET", f"{path}logs/").text
    assert text.splitlines() == [event["message"] for event in newest["events"]]


def test_a_project_that_is_deleted_is_gone_and_its_name_is_free(desk: Desk) -> None:
    made = desk.post("/projects/", {"name": "short"}).json
    assert desk.call("DELETE", f"/projects/{made['id']}/").status_code == 204
    assert desk.call("GET", f"/projects/{made['id']}/").status_code == 404
    assert desk.post("/projects/", {"name": "Short"}).status_code == 201


def test_a_project_in_which_something_waits_is_not_deleted(desk: Desk) -> None:
    desk.scene.submit()
    assert desk.call("DELETE", f"/projects/{desk.scene.project_id}/").status_code == 409


def test_a_form_creates_a_project(desk: Desk) -> None:
    answer = desk.call("POST", "/projects/", data={"name": "by-form"})
    assert (answer.status_code, answer.json["owner"]["username"]) == (201, "ada")
    again = desk.call("POST", "/projects/", data={"name": "BY-form"})
    assert again.json["name"][0]["code"] == "unique"


def test_the_same_package_again_is_the_same_commit(desk: Desk) -> None:
    path = f"/projects/{desk.scene.project_id}/import-package/"
    first = desk.call("POST", path, data={"data": (package({"valohai.yaml": YAML}), "data.tgz")})
    assert first.status_code == 201, first.text
    again = desk.call("POST", path, data={"data": (package({"valohai.yaml": YAML}), "data.tgz")})
    assert again.status_code == 200
    assert again.json["identifier"] == first.json["identifier"]
    found = desk.get(f"/commits/{first.json['identifier']}/?project={desk.scene.project_id}")
    assert found["adhoc"] is True
    config = desk.get(f"/commits/{found['id']}/?include=config")["config"]
    assert config[0]["step"]["name"] == "train"


def test_a_purged_datum_keeps_its_record(desk: Desk) -> None:
    datum_id = desk.stored()
    desk.post("/datum-aliases/", {"name": "best", "datum": datum_id})
    resolved = desk.get(f"/datum-aliases/resolve/?name=best&project={desk.scene.project_id}")
    assert resolved["datum"]["id"] == datum_id
    assert desk.post(f"/data/{datum_id}/purge/").status_code == 409
    assert desk.post(f"/data/{datum_id}/purge/", {"force": True}).json["purged"] is True
    assert desk.call("GET", f"/data/{datum_id}/download/").status_code == 404
    assert desk.get(f"/data/{datum_id}")["purged"] is True


def test_a_body_that_is_too_large_is_413_as_json(desk: Desk) -> None:
    body = b'{"name": "' + b"x" * (17 * 2**20) + b'"}'
    answer = desk.call("POST", "/projects/", data=body, content_type="application/json")
    assert answer.status_code == 413
    assert answer.json["code"] == "request_entity_too_large"
