"""Speaks Talkoot's HTTP API, as any outside program would."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from runner.failure import Failure

TRY_AGAIN_FOR_S = 20.0
NAME_EVERYTHING = 1000


class Client:
    """One token at one address; `check_alive` may end a wait for a server that has gone."""

    def __init__(self, address: str, token: str, check_alive: Callable[[], None]) -> None:
        self.address = address
        self._check_alive = check_alive
        self._http = httpx.Client(
            base_url=f"{address}/api/v0/",
            headers={"Authorization": f"Token {token}", "Accept": "application/json"},
            timeout=30,
            trust_env=False,
        )

    def knows_us(self) -> bool:
        return self._http.get("users/me/").status_code == httpx.codes.OK

    def get(self, path: str, **query: Any) -> Any:
        """Read; a server that is away for a moment is asked again."""
        deadline = time.monotonic() + TRY_AGAIN_FOR_S
        while True:
            try:
                return _answer(self._http.get(path, params=query))
            except httpx.TransportError as error:
                self._check_alive()
                if time.monotonic() > deadline:
                    raise Failure(f"{self.address} does not answer: {error}") from error
                time.sleep(0.3)

    def send(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Change something; never tried again, for it might have been done."""
        try:
            return _answer(self._http.request(method, path, json=body))
        except httpx.TransportError as error:
            self._check_alive()
            raise Failure(f"{self.address} does not answer: {error}") from error

    def project(self, name: str) -> dict[str, Any]:
        """Find our project by its name, or make it."""
        own = self.get("users/me/")["id"]
        for project in self.get("projects/", limit=NAME_EVERYTHING)["results"]:
            if project["name"] == name and project["owner"]["id"] == own:
                return self.get(f"projects/{project['id']}/")
        return self.send("POST", "projects/", {"name": name})

    def link(self, project: dict[str, Any], url: str, ref: str) -> None:
        """Link the project to the repository; linked to it already, nothing is sent."""
        linked = project.get("repository") or {}
        if (linked.get("url"), linked.get("ref")) != (url, ref):
            repository = {"url": url, "ref": ref}
            self.send("PUT", f"projects/{project['id']}/", {"repository": repository})

    def fetch(self, project_id: str) -> int:
        """Fetch from the repository; answer the number of new commits."""
        answer = self.send("POST", f"projects/{project_id}/fetch/")
        if answer.get("errors"):
            raise Failure("The repository could not be fetched.", details=answer["errors"])
        return len(answer.get("commits") or [])

    def datum(self, project_id: str, file: Path) -> tuple[dict[str, Any], bool]:
        """Find the file among the project's data or upload it; True when it was uploaded."""
        content = file.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        known = self.get("data/", project=project_id, limit=NAME_EVERYTHING, ordering="-ctime")
        for datum in known["results"]:
            wanted = (datum["name"], datum.get("sha256")) == (file.name, sha256)
            if wanted and not datum.get("purged"):
                return datum, False
        return self._upload(project_id, file.name, content, sha256), True

    def _upload(self, project_id: str, name: str, content: bytes, sha256: str) -> dict[str, Any]:
        wish = {"project": project_id, "name": name, "size": len(content), "sha256": sha256}
        made = self.send("POST", "data/", wish)
        upload = made["upload"]
        # The URL carries its own permission: the token stays out of this request.
        target = httpx.URL(self.address).join(upload["url"])
        _answer(
            httpx.request(
                upload["method"],
                target,
                headers=upload.get("headers") or {},
                content=content,
                timeout=60,
                trust_env=False,
            )
        )
        return self.send("POST", f"data/{made['datum']['id']}/confirm/")

    def events(self, execution_id: str, after: int) -> dict[str, Any]:
        """Answer up to a thousand log lines that follow the line numbered `after`."""
        return self.get(f"executions/{execution_id}/events/", after=after, limit=1000)

    def stop(self, execution_id: str) -> None:
        """Ask for the end of an execution; its answer is not waited for long, nor needed."""
        with contextlib.suppress(httpx.HTTPError):
            self._http.post(f"executions/{execution_id}/stop/", timeout=3)

    def login_url(self, page: str) -> str:
        """Answer an address that signs the user in once and shows the page."""
        path = httpx.URL(self.get("users/login_link/")["url"])
        shown = httpx.URL(page).raw_path.decode()
        return str(httpx.URL(self.address).join(path.copy_add_param("next", shown)))


def _answer(response: httpx.Response) -> Any:
    if response.is_error:
        asked = f"{response.request.method} {response.request.url.path}"
        try:
            details = explain(response.json())
        except ValueError:
            details = [response.text[:500]]
        raise Failure(f"{asked} was answered with {response.status_code}.", details=details)
    return response.json() if response.content else None


def explain(error: Any, field: str = "") -> list[str]:
    """Flatten an error of the API to lines, each naming its field."""
    if isinstance(error, list):
        return [line for item in error for line in explain(item, field)]
    if isinstance(error, dict) and not isinstance(error.get("message"), str):
        silent = ("detail", "error", "non_field_errors")
        return [
            line
            for name, item in error.items()
            for line in explain(item, field if name in silent else f"{field}{name}: ")
        ]
    words = error["message"] if isinstance(error, dict) else str(error)
    return [f"{field}{words}"]
