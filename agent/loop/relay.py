"""The calls that a step makes (api.json), taken here and passed on with the attempt's own token.

The step gets a token that opens this relay and nothing else; the claim token stays with the
agent. Source: client-contract.md 4.8.
"""

from __future__ import annotations

import hmac
import json
import logging
import secrets
import shutil
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import urllib3

from agent.loop.control import AttemptControl
from agent.phases.failures import Fenced
from agent.transfer.download import without_userinfo

BODY_LIMIT = 1024 * 1024

log = logging.getLogger(__name__)


class Relay:
    """A small server on one address, for one attempt."""

    def __init__(
        self,
        address: str,
        port: int,
        token: str,
        control: AttemptControl,
        absolute: Callable[[str], str],
        pool: urllib3.PoolManager,
    ) -> None:
        self.token = token or secrets.token_urlsafe(32)
        self.control = control
        self.absolute = absolute
        self.pool = pool
        self._files: dict[str, str] = {}
        relay = self

        class Handler(_Handler):
            """Knows its relay."""

            owner = relay

        self._server = ThreadingHTTPServer((address, port), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self.url = f"http://{address}:{self.port}"

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, name="relay", daemon=True).start()

    def stop(self) -> None:
        """Stop soon: the server looks up twice a second, and nobody has to wait for that."""
        threading.Thread(target=self._close, name="relay's end", daemon=True).start()

    def _close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def calls(self) -> dict[str, Any]:
        """Give the entries of api.json."""
        headers = {"Authorization": f"Relay {self.token}"}
        return {
            "set_status_detail": {
                "method": "POST",
                "url": f"{self.url}/status-detail/",
                "headers": headers,
            },
            "input_request": {"method": "GET", "url": f"{self.url}/inputs/", "headers": headers},
        }

    def list_inputs(self, input_ids: list[str]) -> list[dict[str, Any]]:
        """Give names and URLs of inputs; the URLs need no authentication."""
        return [
            {
                "name": given.name,
                "files": [
                    {
                        "input_id": given.input_id,
                        "filename": file.name,
                        "url": self._reachable(file.url),
                        "original_uri": file.uri,
                        "download_intent": given.download,
                    }
                    for file in given.files
                ],
            }
            for given in self.control.fetch_inputs()
            if given.input_id in input_ids
        ]

    def _reachable(self, url: str) -> str:
        """Pass on what the step could not fetch itself: the control service's, or with a password.

        The control service may listen where only this machine reaches it.
        """
        full = self.absolute(url)
        parts = urlsplit(full)
        control = urlsplit(self.absolute("/")).netloc
        if parts.netloc != control and "@" not in parts.netloc:
            return full
        ticket = secrets.token_urlsafe(24)
        self._files[ticket] = full
        return f"{self.url}/files/{ticket}"

    def file_url(self, ticket: str) -> str | None:
        """Give the URL behind a ticket."""
        return self._files.get(ticket)


class _Handler(BaseHTTPRequestHandler):
    owner: Relay
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, format: str, *args: Any) -> None:
        log.debug("relay: %s", args)

    def do_POST(self) -> None:
        self._answer_safely(self._post)

    def do_GET(self) -> None:
        self._answer_safely(self._get)

    def _answer_safely(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Fenced:
            self._answer(409, {"detail": "The execution does not run here any more."})
        except (ValueError, KeyError) as error:
            self._answer(400, {"detail": str(error)})

    def _post(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        if size > BODY_LIMIT:
            self.close_connection = True
            self._answer(413, {"detail": "too large"})
            return
        body = self.rfile.read(size)
        if not self._is_allowed() or self.path.partition("?")[0] != "/status-detail/":
            return
        text = str(json.loads(body)["status_detail"])
        control = self.owner.control
        control.until_answered(lambda: control.client.set_status_detail(text))
        self._answer(200, {"status_detail": text})

    def _get(self) -> None:
        parts = urlsplit(self.path)
        if parts.path.startswith("/files/"):
            self._pass_file(parts.path.removeprefix("/files/"))
            return
        if not self._is_allowed():
            return
        if parts.path != "/inputs/":
            self._answer(404, {"detail": "Not found."})
            return
        self._answer(200, self.owner.list_inputs(parse_qs(parts.query).get("inputs", [])))

    def _is_allowed(self) -> bool:
        given = self.headers.get("Authorization", "").encode()
        if hmac.compare_digest(given, f"Relay {self.owner.token}".encode()):
            return True
        self._answer(401, {"detail": "This token opens nothing here."})
        return False

    def _answer(self, status: int, values: Any) -> None:
        body = json.dumps(values).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _pass_file(self, ticket: str) -> None:
        url = self.owner.file_url(ticket)
        if url is None:
            self._answer(404, {"detail": "Not found."})
            return
        plain, headers = without_userinfo(url)
        answer = self.owner.pool.request("GET", plain, headers=headers, preload_content=False)
        try:
            self.send_response(answer.status)
            length = answer.headers.get("Content-Length")
            if length is not None:
                self.send_header("Content-Length", length)
            else:
                self.close_connection = True
                self.send_header("Connection", "close")
            self.end_headers()
            shutil.copyfileobj(answer, self.wfile, 1024 * 1024)
        finally:
            answer.close()
