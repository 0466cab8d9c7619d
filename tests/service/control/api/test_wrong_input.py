"""Wrong input gets an error that names the field, and changes nothing."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from control.services import people, projects, tokens
from tests.factories import NOW, STEPS, add_commit
from tests.service.control.api.conftest import REPOSITORY, YAML, Desk, package

DEMANDING = [
    {
        "step": {
            "name": "fit",
            "image": "python:3.12",
            "command": "python fit.py {parameters}",
            "parameters": [
                {"name": "epochs", "type": "integer", "default": 5, "min": 1, "max": 9},
                {"name": "rate", "type": "float"},
                {"name": "kind", "type": "string", "choices": ["a", "b"], "default": "a"},
            ],
            "inputs": [{"name": "images"}],
        }
    }
]
GIVEN: dict[str, Any] = {
    "commit": "fits",
    "step": "fit",
    "parameters": {"rate": 0.5},
    "inputs": {"images": ["https://example.org/a.png"]},
}


def submit(desk: Desk, **changes: Any) -> Any:
    """Ask for an execution of the demanding step."""
    add_commit(desk.scene.world, desk.scene.project_id, "fits", DEMANDING)
    body = {"project": desk.scene.project_id, **GIVEN, **changes}
    before = desk.everything()
    answer = desk.post("/executions/", body)
    if answer.status_code >= 400:
        assert desk.everything() == before
    return answer


def first(errors: list[dict[str, str]]) -> tuple[str, str]:
    """The words and the code of the first fault of a field."""
    return errors[0]["message"], errors[0]["code"]


def test_what_is_right_is_taken(desk: Desk) -> None:
    answer = submit(desk)
    assert answer.status_code == 201, answer.text
    assert answer.json["parameters"] == {"epochs": 5, "rate": 0.5, "kind": "a"}
    assert answer.json["interpolated_command"] == "python fit.py --epochs=5 --rate=0.5 --kind=a"


def test_an_unknown_step_is_named_with_those_there_are(desk: Desk) -> None:
    answer = submit(desk, step="fitt")
    words, code = first(answer.json["step"])
    assert (answer.status_code, code) == (400, "does_not_exist")
    assert words.startswith("No step 'fitt'")
    assert words.endswith("it has fit.")


def test_an_unknown_environment_has_the_code_that_vh_looks_for(desk: Desk) -> None:
    answer = submit(desk, environment="gpu-9")
    assert answer.status_code == 400
    assert answer.json == {
        "environment": [
            {"message": "No environment with id or slug 'gpu-9'.", "code": "does_not_exist"}
        ]
    }


@pytest.mark.parametrize("commit", ["nowhere", "abcdef0", "~" + "0" * 64, "library:steps"])
def test_an_unknown_commit_is_named(desk: Desk, commit: str) -> None:
    answer = submit(desk, commit=commit)
    assert answer.status_code == 400
    assert set(answer.json) == {"commit"}


def test_every_wrong_parameter_and_input_is_named_at_once(desk: Desk) -> None:
    parameters = {"epochs": 99, "rate": "fast", "kind": "c", "colour": 1}
    answer = submit(desk, parameters=parameters, inputs={"pictures": ["x"]})
    assert answer.status_code == 400
    assert set(answer.json) == {"parameters", "inputs"}
    assert set(answer.json["parameters"]) == {"epochs", "rate", "kind", "colour"}
    assert "99 is greater than the maximum" in first(answer.json["parameters"]["epochs"])[0]
    assert "fast is not a floating-point number" in first(answer.json["parameters"]["rate"])[0]
    assert first(answer.json["parameters"]["kind"]) == ("'c' is not one of a, b.", "invalid_choice")
    assert first(answer.json["parameters"]["colour"])[1] == "unknown"
    assert first(answer.json["inputs"]["pictures"])[1] == "unknown"
    assert first(answer.json["inputs"]["images"])[1] == "required"


@pytest.mark.parametrize("given", [{}, {"rate": None}], ids=["absent", "null"])
def test_a_required_parameter_must_be_given(desk: Desk, given: dict[str, Any]) -> None:
    answer = submit(desk, parameters=given)
    assert first(answer.json["parameters"]["rate"]) == ("This parameter is required.", "required")


def test_a_missing_input_is_named(desk: Desk) -> None:
    answer = submit(desk, inputs={"images": []})
    assert first(answer.json["inputs"]["images"])[1] == "required"


def test_an_input_of_a_datum_that_is_not_there_is_named(desk: Desk) -> None:
    answer = submit(desk, inputs={"images": ["datum://best"]})
    assert first(answer.json["inputs"]["images"])[1] == "does_not_exist"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"project": None}, "project"),
        ({"step": ""}, "step"),
        ({"parameters": [1]}, "parameters"),
        ({"inputs": {"images": [1]}}, "inputs"),
        ({"priority": "high"}, "priority"),
        ({"time_limit": -1}, "time_limit"),
        ({"tags": {"a": 1}}, "tags"),
        ({"environment_variables": {"A": None}}, "environment_variables"),
        ({"environment_variable_groups": ["x"]}, "environment_variable_groups"),
    ],
)
def test_a_field_of_the_wrong_shape_is_named(
    desk: Desk, change: dict[str, Any], field: str
) -> None:
    answer = submit(desk, **change)
    assert answer.status_code == 400
    assert field in answer.json


@pytest.mark.parametrize("body", [b"{", b"[1]", b"\xff", b'"text"'])
def test_a_body_that_is_no_object_is_refused(desk: Desk, body: bytes) -> None:
    answer = desk.call("POST", "/executions/", data=body, content_type="application/json")
    assert answer.status_code == 400
    assert "non_field_errors" in answer.json


def test_a_commit_whose_configuration_is_broken_says_so(desk: Desk) -> None:
    desk.commit({"valohai.yaml": b"- step:\n    name: x\n    comand: y\n"})
    project = f"/projects/{desk.scene.project_id}/"
    desk.call("PATCH", project, json={"repository": {"url": REPOSITORY}})
    fetched = desk.post(f"{project}fetch/").json
    assert any("line 3: step 'x': unknown key 'comand'." in text for text in fetched["errors"])
    answer = submit(desk, commit=fetched["commits"][0]["identifier"], step="x")
    assert "line 3: step 'x': unknown key 'comand'." in first(answer.json["commit"])[0]


# -- repositories and packages ------------------------------------------------------------------
def test_an_unreachable_repository_is_named_and_nothing_changes(desk: Desk) -> None:
    project = f"/projects/{desk.scene.project_id}/"
    desk.call("PATCH", project, json={"repository": {"url": "https://git.example.org/none.git"}})
    before = desk.everything()
    answer = desk.post(f"{project}fetch/")
    assert answer.status_code == 400
    assert first(answer.json["repository"])[1] == "unreachable"
    assert desk.everything() == before


def test_a_project_without_repository_says_so(desk: Desk) -> None:
    answer = desk.post(f"/projects/{desk.scene.project_id}/fetch/")
    assert first(answer.json["repository"])[1] == "missing"


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c id",
        "--upload-pack=id",
        "ftp://example.org/x",
        "https://",
        "https://h:x/y",
        "a b",
    ],
)
def test_an_address_that_is_none_is_refused(desk: Desk, url: str) -> None:
    before = desk.everything()
    answer = desk.call(
        "PATCH", f"/projects/{desk.scene.project_id}/", json={"repository": {"url": url}}
    )
    assert answer.status_code == 400
    assert "url" in answer.json["repository"]
    assert desk.everything() == before


def upload(desk: Desk, data: Any, **form: Any) -> Any:
    """Send a package; a refused one must change nothing."""
    before = desk.everything()
    answer = desk.call(
        "POST",
        f"/projects/{desk.scene.project_id}/import-package/",
        data={"data": (data, "data.tgz"), **form},
    )
    if answer.status_code >= 400:
        assert desk.everything() == before
    return answer


def _absolute(member: tarfile.TarInfo) -> None:
    member.name = "/etc/passwd"


def _upwards(member: tarfile.TarInfo) -> None:
    member.name = "../outside"


def _device(member: tarfile.TarInfo) -> None:
    member.type, member.size = tarfile.CHRTYPE, 0


def _link_out(member: tarfile.TarInfo) -> None:
    member.type, member.size, member.linkname = tarfile.SYMTYPE, 0, "/etc/passwd"


@pytest.mark.parametrize("change", [_absolute, _upwards, _device, _link_out])
def test_a_hostile_archive_is_refused(
    desk: Desk, change: Callable[[tarfile.TarInfo], None]
) -> None:
    answer = upload(desk, package({"valohai.yaml": YAML}, change))
    assert answer.status_code == 400
    assert "data" in answer.json


def test_bytes_that_are_no_archive_are_refused(desk: Desk) -> None:
    answer = upload(desk, io.BytesIO(b"not an archive"))
    assert answer.status_code == 400
    assert "data" in answer.json


def test_a_package_whose_configuration_is_broken_gets_every_fault_with_its_line(
    desk: Desk,
) -> None:
    yaml = "- step:\n    name: x\n    image: i\n    comand: y\n    nonsense: 1\n"
    answer = upload(desk, package({"valohai.yaml": yaml}))
    assert answer.status_code == 400
    assert [one["message"] for one in answer.json["config"]] == [
        "valohai.yaml, line 2: step 'x': 'command' is a required property.",
        "valohai.yaml, line 4: step 'x': unknown key 'comand'.",
        "valohai.yaml, line 5: step 'x': unknown key 'nonsense'.",
    ]


def test_a_package_without_its_configuration_says_which_is_missing(desk: Desk) -> None:
    answer = upload(desk, package({"other.txt": "x"}), yaml_path="ml/valohai.yaml")
    assert answer.json == {
        "config": [
            {
                "message": "ml/valohai.yaml, There is no ml/valohai.yaml.",
                "code": "invalid_config",
            }
        ]
    }


def test_a_package_without_its_file_is_refused(desk: Desk) -> None:
    answer = desk.call(
        "POST", f"/projects/{desk.scene.project_id}/import-package/", data={"description": "x"}
    )
    assert answer.status_code == 400
    assert "data" in answer.json


# -- tokens, and what belongs to others ---------------------------------------------------------
@pytest.mark.parametrize(
    "header", ["Token wrong", "Token ", "Basic YTpi", "Token " + "x" * 5000, "Token \xff"]
)
def test_a_wrong_token_is_401_as_json(desk: Desk, header: str) -> None:
    answer = desk.call("GET", "/users/me/", role="nobody", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.json["code"] == "not_authenticated"


def test_an_expired_token_is_401(desk: Desk) -> None:
    world, caller = desk.scene.world, desk.scene.caller
    soon = NOW + timedelta(seconds=1)
    _, secret = tokens.create_token(world, caller, "short", NOW, expires_at=soon)
    assert tokens.authenticate_token(world, secret, NOW) == caller
    with pytest.raises(tokens.Unauthenticated, match="token_expired"):
        tokens.authenticate_token(world, secret, soon)


def test_a_revoked_token_is_401_at_once(desk: Desk) -> None:
    made = desk.post("/tokens/", {"name": "one"}).json
    header = {"Authorization": f"Token {made['token']}"}
    assert desk.call("GET", "/users/me/", role="nobody", headers=header).status_code == 200
    assert desk.call("DELETE", f"/tokens/{made['id']}/").status_code == 204
    assert desk.call("GET", "/users/me/", role="nobody", headers=header).status_code == 401


def test_guessing_passwords_is_slowed_down(desk: Desk) -> None:
    people.add_user(desk.scene.world, "eve", "a-long-password", False, NOW)
    form = {"username": "eve", "password": "guess"}
    for _ in range(10):
        answer = desk.call("POST", "/get-token/", role="nobody", data=form)
        assert answer.status_code == 400
        assert first(answer.json["non_field_errors"])[1] == "invalid_credentials"
    form["password"] = "a-long-password"
    assert desk.call("POST", "/get-token/", role="nobody", data=form).status_code == 429


def test_another_users_project_is_as_if_it_were_not_there(desk: Desk) -> None:
    there = desk.call("GET", f"/projects/{desk.scene.project_id}/", role="stranger")
    nowhere = desk.call("GET", "/projects/01890000-0000-7000-8000-000000000000/", role="stranger")
    assert (
        (there.status_code, there.json)
        == (nowhere.status_code, nowhere.json)
        == (
            404,
            {"detail": "Not found.", "code": "not_found"},
        )
    )
    assert desk.get("/projects/", role="stranger")["results"] == []
    assert desk.get("/executions/", role="stranger")["results"] == []
    assert desk.get("/commits/", role="stranger")["results"] == []
    assert desk.get("/data/", role="stranger")["results"] == []


def test_a_datum_of_another_project_cannot_be_an_input(desk: Desk) -> None:
    scene = desk.scene
    other = projects.create(scene.world, scene.caller, "other", NOW)
    datum_id = desk.stored()
    add_commit(scene.world, other.row.id, "main", STEPS)
    body = {
        "project": other.row.id,
        "commit": "main",
        "step": "train",
        "inputs": {"images": [f"datum://{datum_id}"]},
    }
    answer = desk.post("/executions/", body)
    assert answer.status_code == 400
    assert "images" in answer.json["inputs"]
