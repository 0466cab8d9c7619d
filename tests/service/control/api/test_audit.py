"""Whatever changes something through the API leaves its mark, and no secret in it."""

from __future__ import annotations

from sqlalchemy import func, select

from control.database.tables.people import audit_entries
from control.domain.roles import Action
from tests.service.control.api.conftest import REPOSITORY, YAML, Desk
from tests.service.control.api.test_roles import ROUTES, send

HARMLESS = ("/data/<datum_id>/confirm/",)
"""Calls that change nothing here: this datum was confirmed before."""


def count(desk: Desk) -> int:
    """Count the entries."""
    with desk.scene.world.database.read() as connection:
        return connection.execute(select(func.count()).select_from(audit_entries)).scalar_one()


def test_every_change_is_in_the_audit_trail(desk: Desk) -> None:
    scene = desk.scene
    desk.commit({"valohai.yaml": YAML.encode()})
    project = f"/projects/{scene.project_id}/"
    desk.call("PATCH", project, json={"repository": {"url": REPOSITORY}})
    desk.post(f"{project}environment_variable/", {"name": "B", "value": "2"})
    datum_id = desk.stored()
    words = {
        "project": scene.project_id,
        "project_id": scene.project_id,
        "lookup": scene.submit().row.id,
        "datum": datum_id,
        "datum_id": datum_id,
    }
    silent: list[str] = []
    for route in ROUTES:
        if route.method == "GET" or route.rule in HARMLESS or not isinstance(route.who, Action):
            continue
        before = count(desk)
        answer = send(desk, route, "owner", words)
        if answer.status_code < 300 and count(desk) == before:
            silent.append(f"{route.method} {route.rule}")
    assert silent == []


def test_an_entry_says_who_did_what_and_holds_no_secret(desk: Desk) -> None:
    path = f"/projects/{desk.scene.project_id}/environment_variable/"
    desk.post(path, {"name": "KEY", "value": "hush-hush", "secret": True})
    with desk.scene.world.database.read() as connection:
        (entry,) = connection.execute(
            select(audit_entries).where(audit_entries.c.action == "variable.set")
        ).all()
    assert (entry.actor, entry.subject) == ("ada", "KEY")
    assert entry.project_id == desk.scene.project_id
    assert "hush-hush" not in str(entry)
