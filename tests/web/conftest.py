"""One installation for all pages: Talkoot as people start it, and the digits trained once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page

from control.services import people
from tests.journey.fixtures import installed
from tests.journey.installation import ROOT, Installation
from tests.journey.project import WAIT_FOR_GATE, Execution, Project, make_project, step
from tests.web.person import Person, somebody

PASSWORD = "secret 123"
DIGITS = ROOT / "examples" / "digits"
Visitors = Callable[..., AbstractContextManager[Person]]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """`talkoot serve --runtime process`, with the gallery of components."""
    folder = tmp_path_factory.mktemp("site")
    with installed(folder, {"TALKOOT_DEVELOPMENT": "true"}) as made:
        made.start()
        with made.world() as world:
            people.set_password(world, "ada", PASSWORD, datetime.now(UTC))
        yield made


@pytest.fixture(scope="session")
def steps(site: Installation) -> Project:
    """A project of short steps: waits, fails, waits and then fails, talks."""
    return make_project(
        site,
        step("wait", "echo begun", WAIT_FOR_GATE, "echo done"),
        step("fail", "echo fine so far", "echo 'ValueError: no such digit' >&2", "exit 3"),
        step("doomed", "echo '{\"loss\": 2}'", WAIT_FOR_GATE, "echo '{\"loss\": 1}'", "exit 3"),
        step("talk", "python talk.py {parameters}", parameters=TALK),
        files={"talk.py": TALKER},
    )


TALK = [
    {"name": "lines", "type": "integer", "default": 100, "min": 1, "max": 10_000_000},
    {"name": "mood", "type": "string", "default": "calm", "choices": ["calm", "loud"]},
    {"name": "loudly", "type": "flag", "pass-true-as": "--loudly"},
]
TALKER = """
import argparse, sys
parser = argparse.ArgumentParser()
parser.add_argument("--lines", type=int)
parser.add_argument("--mood")
parser.add_argument("--loudly", action="store_true")
count = parser.parse_args().lines
for start in range(1, count + 1, 1000):
    numbers = range(start, min(start + 1000, count + 1))
    sys.stdout.write("".join(f"line number {number}\\n" for number in numbers))
sys.stdout.flush()
print("\\x1b[31mred\\x1b[0m and " + "long " * 400)
"""


@dataclass
class Trained:
    """The example: its project, its input and its execution, which is done."""

    project: Project
    datum_id: str
    execution: Execution

    @property
    def paths(self) -> dict[str, str]:
        """The main pages by name."""
        project, execution = f"/projects/{self.project.id}/", f"/executions/{self.execution.id}/"
        return {
            "projects": "/",
            "new-project": "/projects/new/",
            "executions": f"{project}executions/",
            "new-run": f"{project}new/",
            "data": f"{project}data/",
            "datum": f"/data/{self.datum_id}/",
            "settings": f"{project}settings/",
            "execution": execution,
            "log": f"{execution}log/",
            "metrics": f"{execution}metrics/",
            "outputs": f"{execution}outputs/",
            "inputs": f"{execution}inputs/",
            "machine": f"{execution}machine/",
            "reproduce": f"{execution}reproduce/",
            "environments": "/environments/",
            "environment": "/environments/local/",
            "tokens": "/auth/tokens/",
            "error": "/nowhere/",
            "gallery": "/dev/gallery",
        }


@pytest.fixture(scope="session")
def trained(site: Installation) -> Trained:
    """The digits classifier, trained."""
    return train(site)


def train(site: Installation, epochs: int = 12, name: str = "") -> Trained:
    """Make the project of the example, store its input, and run it to its end."""
    text = (DIGITS / "valohai.yaml").read_text()
    files = {one.name: one.read_text() for one in DIGITS.glob("*.py")}
    project = make_project(site, files={**files, "valohai.yaml": text})
    if name:
        project.api.patch(f"projects/{project.id}/", json={"name": name}).raise_for_status()
    datum_id = store(project, ROOT / "examples" / "digits-data" / "digits.csv.gz")
    given = {"inputs": {"digits": [f"datum://{datum_id}"]}, "parameters": {"epochs": epochs}}
    execution = project.run("train", **given)
    execution.wait("complete")
    return Trained(project, datum_id, execution)


def store(project: Project, file: Path) -> str:
    """Upload a file in the API's two steps; the datum's id."""
    body = file.read_bytes()
    about = {"name": file.name, "size": len(body), "sha256": sha256(body).hexdigest()}
    answer = project.api.post("data/", json={"project": project.id, **about})
    made = answer.raise_for_status().json()
    where = made["upload"]
    with httpx.Client(trust_env=False) as client:
        sent = client.request(where["method"], where["url"], content=body, headers=where["headers"])
    sent.raise_for_status()
    project.api.post(f"data/{made['datum']['id']}/confirm/").raise_for_status()
    return str(made["datum"]["id"])


@pytest.fixture(scope="session")
def member_token(site: Installation) -> str:
    """Grace's: somebody who is no administrator."""
    with site.world() as world:
        people.add_user(world, "grace", None, False, datetime.now(UTC))
        return people.add_token(world, "grace", "test", datetime.now(UTC))


@pytest.fixture
def visitors(site: Installation, browser: Browser) -> Visitors:
    """Lend browser contexts, nobody signed in."""
    return partial(somebody, site, browser)


@pytest.fixture
def person(visitors: Visitors) -> Iterator[Person]:
    """Ada at a desk, signed in."""
    with visitors() as ada:
        ada.sign_in()
        yield ada


@pytest.fixture
def page(person: Person) -> Page:
    """Ada's page."""
    return person.page
