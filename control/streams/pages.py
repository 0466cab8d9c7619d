"""Server-sent events for open pages: the log that follows, and what changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from control.domain.errors import Forbidden, NotFound, TalkootError, TemporaryError, Unauthenticated
from control.domain.ports import TailBlock
from control.domain.roles import Action, Caller
from control.domain.states import FINAL
from control.services import environments, executions, logs, projects, stack_run_views, tokens
from control.services.world import World
from control.streams.dispatch import AsyncQueue

KEEP_ALIVE_S = 15.0
RUN_EVERY_S = 1.0
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Pages:
    """The event streams of one process; an idle one costs a queue listener and no thread."""

    def __init__(self, world: World, queue: AsyncQueue) -> None:
        self._world = world
        self._queue = queue

    async def log(self, request: Request) -> Response:
        """GET /executions/ID/log/stream: blocks of lines from any number on, then `end`.

        Event `lines`: first data line `<number of the first> <count>`, then the lines as agents
        send them; its id is the number of the last, so that a browser resumes without a gap.
        """

        def start() -> tuple[str, int]:
            caller = self._caller(request)
            view = executions.find(self._world, caller, request.path_params["id"])
            return view.row.id, _after(request)

        return await self._stream(start, lambda found: self._log(*found))

    async def execution(self, request: Request) -> Response:
        """GET /executions/ID/events/stream: `changed` whenever the execution did."""

        def start() -> str:
            caller = self._caller(request)
            return executions.find(self._world, caller, request.path_params["id"]).row.id

        return await self._stream(start, lambda found: self._changes(f"execution:{found}", found))

    async def project(self, request: Request) -> Response:
        """GET /projects/ID/events/stream: `changed` with the execution's id."""

        def start() -> str:
            caller = self._caller(request)
            project_id = request.path_params["id"]
            with self._world.database.read() as connection:
                return projects.authorise(connection, caller, project_id, Action.READ).id

        return await self._stream(start, lambda found: self._changes(f"project:{found}", None))

    async def environment(self, request: Request) -> Response:
        """GET /environments/SLUG/events/stream: `changed` when its machines or decisions did."""

        def start() -> str:
            self._caller(request)
            return environments.id_of(self._world, request.path_params["slug"])

        return await self._stream(start, lambda found: self._changes(f"environment:{found}", found))

    async def stack_run(self, request: Request) -> Response:
        """GET /stack-runs/ID/events/stream: `changed` with each event of a run, to its end."""

        def start() -> str:
            if not self._caller(request).is_admin:
                raise Forbidden("Only an administrator sees runs of the engine.")
            return stack_run_views.find(self._world, request.path_params["id"]).id

        return await self._stream(start, self._run)

    # -- who asks --------------------------------------------------------------------------
    def _caller(self, request: Request) -> Caller:
        now = datetime.now(UTC)
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "token":
            return tokens.authenticate(self._world, secret.strip(), "api", now).caller
        cookie = request.cookies.get(tokens.SESSION_COOKIE)
        if not cookie:
            raise Unauthenticated
        return tokens.authenticate(self._world, cookie, "session", now).caller

    async def _stream(
        self, start: Callable[[], Any], events: Callable[[Any], AsyncIterator[bytes]]
    ) -> Response:
        try:
            found = await asyncio.to_thread(start)
        except Unauthenticated as error:
            return JSONResponse({"detail": error.message}, 401)
        except TalkootError as error:
            return JSONResponse(
                {"detail": error.message}, 404 if isinstance(error, NotFound) else 403
            )
        except ValueError:
            return JSONResponse({"detail": "`after` is a number."}, 400)
        return StreamingResponse(events(found), media_type="text/event-stream", headers=_HEADERS)

    # -- what they get ---------------------------------------------------------------------
    async def _log(self, execution_id: str, after: int) -> AsyncIterator[bytes]:
        yield b"retry: 1000\n\n"
        while True:
            try:
                async with self._queue.listen(f"execution:{execution_id}") as listener:
                    async for piece, last in self._follow(execution_id, after, listener):
                        after = last
                        yield piece
                        if piece.startswith(b"event: end"):
                            return
            except TemporaryError:
                yield b": the queue server is away\n\n"
                await asyncio.sleep(1)

    async def _follow(
        self, execution_id: str, after: int, listener: Any
    ) -> AsyncIterator[tuple[bytes, int]]:
        while True:
            blocks = await asyncio.to_thread(
                logs.read_blocks, self._world, execution_id, after=after
            )
            for block in blocks:
                after = block.last
                yield _event(block), after
            if blocks:
                continue
            if await asyncio.to_thread(self._is_over, execution_id, after):
                yield f"event: end\nid: {after}\ndata: {after}\n\n".encode(), after
                return
            if await listener.next(KEEP_ALIVE_S) is None:
                yield b": waiting\n\n", after

    def _is_over(self, execution_id: str, after: int) -> bool:
        row = executions.clocks(self._world, execution_id)
        return row is None or (row.status in FINAL and row.log_received <= after)

    async def _run(self, run_id: str) -> AsyncIterator[bytes]:
        """Look each second while it runs: the engine's process writes to the database alone."""
        yield b"retry: 1000\n\n"
        seen: stack_run_views.Standing | None = None
        while True:
            stands = await asyncio.to_thread(stack_run_views.standing, self._world, run_id)
            if stands != seen:
                seen = stands
                yield f"event: changed\ndata: {run_id}\n\n".encode()
            if stands.is_over:
                return
            await asyncio.sleep(RUN_EVERY_S)

    async def _changes(self, topic: str, subject: str | None) -> AsyncIterator[bytes]:
        yield b"retry: 1000\n\n"
        while True:
            try:
                async with self._queue.listen(topic) as listener:
                    # What changed before we listened is not missed.
                    yield f"event: changed\ndata: {subject or ''}\n\n".encode()
                    while True:
                        wake = await listener.next(KEEP_ALIVE_S)
                        if wake is None:
                            yield b": waiting\n\n"
                        elif not wake.message.startswith("log"):
                            changed = subject or wake.message
                            yield f"event: changed\ndata: {changed}\n\n".encode()
            except TemporaryError:
                yield b": the queue server is away\n\n"
                await asyncio.sleep(1)


def _event(block: TailBlock) -> bytes:
    head = f"event: lines\nid: {block.last}\ndata: {block.first} {block.count}\ndata: ".encode()
    return head + block.text[:-1].replace(b"\n", b"\ndata: ") + b"\n\n"


def _after(request: Request) -> int:
    return int(request.headers.get("last-event-id") or request.query_params.get("after") or 0)
