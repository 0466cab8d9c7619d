"""Who may call what: every route by every kind of person (ORG-1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from control.api.unavailable import NOUNS
from control.domain.roles import Action
from tests.fleet import Fleet
from tests.service.control.api.conftest import REPOSITORY, ROLES, YAML, Desk, package

OPEN, SIGNED, ADMIN = "open", "signed", "admin"


@dataclass(frozen=True)
class Route:
    """A call and who may make it; `ok` are the statuses of those who may."""

    method: str
    rule: str
    who: str | Action
    path: str = ""
    body: dict[str, Any] | None = None
    form: Callable[[], dict[str, Any]] | None = None
    ok: frozenset[int] = field(default=frozenset({200, 201, 204}))

    @property
    def is_ours(self) -> bool:
        return isinstance(self.who, Action)


_NONE_YET = tuple(NOUNS)
_NEW = {"project": "{project}", "commit": "main", "step": "train"}
_FILE = {"project": "{project}", "name": "a.txt", "size": 1, "sha256": "0" * 64}
_OURS = "/worker-groups/l4/"
_GROUP = {
    "name": "a100",
    "base_stack": "prod-aws-eu-west-1-base",
    "instance_type": "p4d.24xlarge",
    "image": "ami-0123456789abcdef0",
}
READ, RUN, MANAGE = Action.READ, Action.RUN, Action.MANAGE
MAY = {"reader": {READ}, "member": {READ, RUN}, "owner": {READ, RUN, MANAGE}}
"""Written again on purpose: whoever changes the code's table must mean it."""

ROUTES = [
    Route(
        "POST", "/get-token/", OPEN, body={"username": "x", "password": "y"}, ok=frozenset({400})
    ),
    Route("GET", "/server/", OPEN),
    Route("GET", "/users/me/", SIGNED),
    Route("GET", "/users/login_link/", SIGNED),
    Route("GET", "/users/", ADMIN),
    Route("GET", "/organizations/", SIGNED),
    Route("GET", "/tokens/", SIGNED),
    Route("POST", "/tokens/", SIGNED, body={"name": "one"}),
    Route("DELETE", "/tokens/<token_id>/", SIGNED, path="/tokens/other/", ok=frozenset({404})),
    Route("GET", "/projects/", SIGNED),
    Route("POST", "/projects/", SIGNED, body={"name": "mine"}),
    Route("GET", "/projects/ownership_options/", SIGNED),
    Route("GET", "/projects/<project_id>/", READ),
    Route("GET", "/projects/<project_id>/commits/", READ),
    Route("GET", "/projects/<project_id>/members/", READ),
    Route("GET", "/repositories/", SIGNED),
    Route("GET", "/commits/", READ, path="/commits/?project={project}"),
    Route("GET", "/commits/<path:lookup>/", READ, path="/commits/main/?include=config"),
    Route("GET", "/environments/", SIGNED),
    Route("GET", "/environments/<lookup>/", SIGNED, path="/environments/gpu-small/"),
    Route("POST", "/environments/", ADMIN, body={"slug": "new"}),
    Route("GET", "/worker-groups/", SIGNED),
    Route("POST", "/worker-groups/", ADMIN, body=_GROUP),
    Route("GET", "/worker-groups/<lookup>/", SIGNED, path=_OURS),
    Route("PATCH", "/worker-groups/<lookup>/", ADMIN, path=_OURS, body={"max": 9}),
    Route("GET", "/worker-groups/<lookup>/plan/", SIGNED, path=f"{_OURS}plan/"),
    Route("GET", "/worker-groups/<lookup>/decisions/", SIGNED, path=f"{_OURS}decisions/"),
    Route("GET", "/worker-groups/<lookup>/machines/", SIGNED, path=f"{_OURS}machines/"),
    Route("GET", "/stack-runs/", ADMIN),
    Route("GET", "/stack-runs/<run_id>/", ADMIN),
    Route("POST", "/stack-runs/<run_id>/stop/", ADMIN),
    Route("GET", "/executions/", READ, path="/executions/?project={project}"),
    Route("GET", "/executions/<lookup>/", READ),
    Route("GET", "/executions/<lookup>/events/", READ),
    Route("GET", "/executions/<lookup>/status-events/", READ),
    Route("GET", "/executions/<lookup>/logs/", READ),
    Route("GET", "/executions/<lookup>/metadata/", READ),
    Route("GET", "/executions/<lookup>/outputs/", READ),
    Route(
        "GET",
        "/executions/multi_download_metadata_csv/",
        READ,
        path="/executions/multi_download_metadata_csv/?ids={lookup}",
    ),
    Route("GET", "/data/", READ, path="/data/?project={project}"),
    Route("GET", "/data/<datum_id>/", READ),
    Route("GET", "/data/<datum_id>/download/", READ),
    Route("GET", "/datum-aliases/", READ, path="/datum-aliases/?project={project}"),
    Route("POST", "/executions/", RUN, body=_NEW),
    Route("POST", "/executions/<lookup>/tags/", RUN, body={"tags": ["a"]}),
    Route("POST", "/executions/<lookup>/copy/", RUN, body={}),
    Route("POST", "/executions/<lookup>/stop/", RUN),
    Route("DELETE", "/executions/<lookup>/", RUN),
    Route("POST", "/projects/<project_id>/fetch/", RUN),
    Route(
        "POST",
        "/projects/<project_id>/import-package/",
        RUN,
        form=lambda: {"data": (package({"valohai.yaml": YAML}), "data.tgz")},
    ),
    Route("POST", "/data/", RUN, body=_FILE),
    Route("POST", "/data/<datum_id>/confirm/", RUN),
    Route("POST", "/datum-aliases/", RUN, body={"name": "best", "datum": "{datum}"}),
    Route(
        "GET",
        "/datum-aliases/resolve/",
        READ,
        path="/datum-aliases/resolve/?project={project}&name=known",
    ),
    Route("POST", "/data/<datum_id>/purge/", RUN, body={"force": True}),
    Route("PUT", "/projects/<project_id>/", MANAGE, body={"description": "new"}),
    Route("PATCH", "/projects/<project_id>/", MANAGE, body={"repository": {"ref": "main"}}),
    Route(
        "POST",
        "/projects/<project_id>/environment_variable/",
        MANAGE,
        body={"name": "A", "value": "1"},
    ),
    Route("DELETE", "/projects/<project_id>/environment_variable/", MANAGE, body={"name": "B"}),
    Route(
        "POST",
        "/projects/<project_id>/members/",
        MANAGE,
        body={"username": "stranger", "role": "reader"},
    ),
    Route("DELETE", "/projects/<project_id>/members/", MANAGE, body={"username": "stranger"}),
    Route("DELETE", "/projects/<project_id>/", MANAGE, ok=frozenset({204, 409})),
    *(Route("GET", f"/{noun}/", SIGNED) for noun in _NONE_YET),
    *(Route("POST", f"/{noun}/", SIGNED, body={}, ok=frozenset({501})) for noun in _NONE_YET),
    *(
        Route("GET", f"/{noun}/<path:lookup>/", SIGNED, path=f"/{noun}/x/", ok=frozenset({404}))
        for noun in _NONE_YET
    ),
]


def expected(role: str, route: Route) -> frozenset[int]:
    """Answer the statuses that this person may get."""
    if route.who == OPEN:
        return route.ok
    if role == "nobody":
        return frozenset({401})
    if route.who == ADMIN:
        return route.ok if role == "admin" else frozenset({403})
    if not route.is_ours or role == "admin":
        return route.ok
    if role == "stranger":
        return frozenset({404})
    return route.ok if route.who in MAY[role] else frozenset({403})


@pytest.mark.parametrize("role", ROLES)
def test_each_person_gets_what_their_role_allows_and_nothing_else(desk: Desk, role: str) -> None:
    scene = desk.scene
    desk.commit({"valohai.yaml": YAML.encode()})
    repository = {"repository": {"url": REPOSITORY}}
    assert desk.call("PATCH", f"/projects/{scene.project_id}/", json=repository).status_code == 200
    variable = {"name": "B", "value": "2"}
    desk.post(f"/projects/{scene.project_id}/environment_variable/", variable)
    datum_id = desk.stored()
    desk.post("/datum-aliases/", {"name": "known", "datum": datum_id})
    view = scene.submit()
    fleet = Fleet(scene.world, "gpu", scene.now)
    fleet.group("l4")
    words = {
        "run_id": fleet.run("prod-aws-eu-west-1-wg-l4"),
        "project": scene.project_id,
        "project_id": scene.project_id,
        "lookup": view.row.id,
        "datum": datum_id,
        "datum_id": datum_id,
    }
    wrong: list[str] = []
    for route in ROUTES:
        answer = send(desk, route, role, words)
        if answer.status_code not in expected(role, route):
            wrong.append(
                f"{route.method} {route.rule}: {answer.status_code}, "
                f"not {sorted(expected(role, route))}: {answer.text[:200]}"
            )
    assert wrong == []


def test_the_table_knows_every_route(desk: Desk) -> None:
    of_agents = ("/api/v0/agents/", "/api/v0/attempts/")
    there_are = {
        (method, rule.rule.removeprefix("/api/v0"))
        for rule in desk.app.url_map.iter_rules()
        for method in rule.methods or ()
        if rule.rule.startswith("/api/v0/")
        and not rule.rule.startswith(of_agents)
        and method not in ("HEAD", "OPTIONS")
    }
    assert there_are == {(route.method, route.rule) for route in ROUTES}


def send(desk: Desk, route: Route, role: str, words: dict[str, str]) -> Any:
    """Make a call as somebody."""
    path = route.path or route.rule.replace("<", "{").replace(">", "}")
    given: dict[str, Any] = {}
    if route.form is not None:
        given["data"] = route.form()
    elif route.body is not None:
        given["json"] = {
            key: words.get(value.strip("{}"), value) if isinstance(value, str) else value
            for key, value in route.body.items()
        }
    return desk.call(route.method, path.format(**words), role=role, **given)
