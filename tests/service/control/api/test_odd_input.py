"""Odd input is refused or taken, but never our fault: no call ends in a 500."""

from __future__ import annotations

from typing import Any

from tests.service.control.api.conftest import Desk

LONG = "x" * 5000
HUGE = 10**30
P = "{project}"
CALLS: list[tuple[str, str, Any]] = [
    ("GET", "/projects/%00/", None),
    ("GET", "/executions/?step=%00&project={project}", None),
    ("GET", f"/executions/{P}:{'9' * 40}/", None),
    ("GET", f"/executions/{P}:-1/", None),
    ("GET", f"/executions/{P}:/", None),
    ("GET", f"/executions/{LONG}/", None),
    ("GET", f"/executions/?project={P}&offset={HUGE}", None),
    ("GET", f"/executions/?project={P}&limit=-{HUGE}", None),
    ("GET", f"/executions/?project={P}&ordering=nonsense", None),
    ("GET", f"/executions/?project={P}&status=nonsense&tags=%25&text=%25%5C", None),
    ("GET", f"/executions/{P}:1/events/?after={HUGE}&limit={HUGE}", None),
    ("GET", f"/executions/{P}:1/events/?limit=-5", None),
    ("GET", f"/executions/{P}:1/status-events/?limit={HUGE}", None),
    ("GET", "/executions/?counter=99999999999&creator=1.5", None),
    ("GET", f"/commits/{'9' * 30}/", None),
    ("GET", "/commits/~/", None),
    ("GET", "/commits/%25%25%25%25/", None),
    ("GET", "/commits/a/b/c/", None),
    ("GET", f"/commits/?offset={HUGE}&ordering=", None),
    ("GET", f"/data/?ordering=%00&offset={HUGE}", None),
    ("GET", "/data/?output_execution=x", None),
    ("GET", f"/datum-aliases/?offset={HUGE}&ordering=-x", None),
    ("GET", f"/datum-aliases/resolve/?project={P}&name={LONG}", None),
    ("GET", f"/projects/?name=%25_%5C&offset={HUGE}", None),
    ("POST", "/projects/", {"name": LONG}),
    ("POST", "/projects/", {"name": "ok", "description": LONG * 10}),
    ("POST", "/projects/", {"name": "a\0b"}),
    ("POST", "/projects/", {"name": "ok", "owner": LONG}),
    ("PUT", f"/projects/{P}/", {"yaml_path": LONG}),
    ("PUT", f"/projects/{P}/", {"yaml_path": "../x"}),
    ("PUT", f"/projects/{P}/", {"default_environment": LONG}),
    ("PUT", f"/projects/{P}/", {"repository": "x"}),
    ("PUT", f"/projects/{P}/", {"repository": {"url": "https://h/" + LONG}}),
    ("PUT", f"/projects/{P}/", {"repository": {"url": "https://h/x", "ref": LONG}}),
    ("PUT", f"/projects/{P}/", {"repository": {"url": "https://h/x", "username": LONG}}),
    ("PUT", f"/projects/{P}/", {"repository": {"url": "https://h/x", "access": LONG}}),
    ("POST", f"/projects/{P}/environment_variable/", {"name": LONG, "value": "1"}),
    ("POST", f"/projects/{P}/environment_variable/", {"name": "A", "value": LONG * 100}),
    ("POST", f"/projects/{P}/members/", {"username": LONG, "role": "reader"}),
    ("POST", f"/projects/{P}/members/", {"username": "reader", "role": "king"}),
    ("POST", "/tokens/", {"name": LONG, "expires_at": "9999-12-31T23:59:59-14:00"}),
    ("POST", "/tokens/", {"name": "x", "expires_at": "tomorrow"}),
    ("POST", "/get-token/", {"username": LONG, "password": LONG * 100}),
    ("POST", "/environments/", {"slug": "s", "per_user_queue_quota": HUGE}),
    ("POST", "/environments/", {"slug": "s", "per_hour_price_usd": 1e308, "gpu_spec": LONG}),
    ("POST", "/environments/", {"slug": LONG}),
    ("POST", "/data/", {"project": P, "name": LONG, "size": 1, "sha256": "0" * 64}),
    ("POST", "/data/", {"project": P, "name": "a", "size": HUGE, "sha256": "0" * 64}),
    ("POST", "/data/", {"project": P, "name": "a/../b", "size": 1, "sha256": "x"}),
    ("POST", "/datum-aliases/", {"name": LONG, "datum": "x"}),
    ("POST", "/executions/", {"image": LONG}),
    ("POST", "/executions/", {"title": LONG}),
    ("POST", "/executions/", {"priority": HUGE}),
    ("POST", "/executions/", {"time_limit": 1e308}),
    ("POST", "/executions/", {"command": ["a\0b"]}),
    ("POST", "/executions/", {"command": LONG}),
    ("POST", "/executions/", {"commit": LONG}),
    ("POST", "/executions/", {"step": LONG}),
    ("POST", "/executions/", {"environment": LONG}),
    ("POST", "/executions/", {"environment_variables": {LONG: "1", "A": "\0"}}),
    ("POST", "/executions/", {"parameters": {"epochs": {"style": []}}}),
    ("POST", "/executions/", {"parameters": {"epochs": HUGE}}),
    ("POST", "/executions/", {"parameters": {"epochs": "9" * 5000}}),
    ("POST", "/executions/", {"inputs": {"images": ["datum://%00", "https://[", "s3://"]}}),
    ("POST", "/executions/", {"inputs": {"images": ["https://example.org/" + LONG]}}),
    ("POST", "/executions/", {"tags": [LONG, LONG]}),
    ("POST", "/executions/", {"runtime_config": {"no_output_timeout": "soon"}}),
    ("POST", f"/executions/{P}:1/tags/", {"tags": [LONG]}),
    ("POST", f"/executions/{P}:1/copy/", {"command": 5, "parameters": None}),
]


def test_odd_calls_are_never_our_fault(desk: Desk) -> None:
    project_id = desk.scene.project_id
    desk.scene.submit()
    whole = {"project": project_id, "commit": "main", "step": "train"}
    failed: list[str] = []
    for method, path, body in CALLS:
        given: dict[str, Any] = {}
        if body is not None:
            body = whole | body if path == "/executions/" else dict(body)
            if body.get("project") == P:
                body["project"] = project_id
            given["json"] = body
        answer = desk.call(method, path.replace(P, project_id), role="owner", **given)
        if answer.status_code >= 500 or (answer.status_code >= 400 and not answer.is_json):
            failed.append(f"{method} {path[:60]} {str(body)[:80]}: {answer.text[:100]}")
        if path == "/environments/":
            answer = desk.call(method, path, role="admin", **given)
            if answer.status_code >= 500:
                failed.append(f"{method} {path} {str(body)[:80]}: {answer.text[:100]}")
    assert failed == [], "\n".join(failed)
