"""The agents' long poll for work: POST /api/v0/agents/claim/."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from agent import wire
from control.database.ids import hash_secret
from control.database.rows import AnyRow
from control.domain.errors import TemporaryError, Unauthenticated
from control.services import claims, workers
from control.services.world import World
from control.streams.dispatch import AsyncQueue, Dispatcher

MAX_WAIT_S = 30.0
_KNOWN_FOR_S = 30.0


class ClaimDesk:
    """Answers claims; remembers for seconds which worker a token belongs to."""

    def __init__(self, world: World, queue: AsyncQueue) -> None:
        self._world = world
        self._queue = queue
        self._known: dict[str, tuple[float, AnyRow]] = {}
        self.dispatcher = Dispatcher(world, queue)

    async def claim(self, request: Request) -> Response:
        """Wait for an execution; 204 when none came in time."""
        try:
            worker = await self._worker(request.headers.get("authorization", ""))
            message = wire.decode(wire.Claim, orjson.loads(await request.body() or b"{}"))
        except Unauthenticated as error:
            return _json({"detail": error.message}, 401)
        except ValueError as error:
            return _json({"detail": str(error)}, 400)
        waiting = asyncio.create_task(self._next(worker, min(message.wait_s, MAX_WAIT_S)))
        gone = asyncio.create_task(_disconnected(request))
        await asyncio.wait({waiting, gone}, return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        if not waiting.done():
            waiting.cancel()
            return Response(status_code=499)
        spec = waiting.result()
        if isinstance(spec, claims.Draining):
            return _json({"detail": "This worker is asked to drain.", "code": "draining"}, 409)
        return Response(status_code=204) if spec is None else _json(wire.encode(spec), 200)

    async def _worker(self, header: str) -> AnyRow:
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "agent" or not token:
            raise Unauthenticated("Send the header `Authorization: Agent …`.")
        known = self._known.get(hash_secret(token))
        if known and time.monotonic() - known[0] < _KNOWN_FOR_S:
            return known[1]
        row = await asyncio.to_thread(workers.authenticate, self._world, token)
        if len(self._known) > 10_000:
            self._known.clear()
        self._known[hash_secret(token)] = (time.monotonic(), row)
        return row

    async def _next(
        self, worker: AnyRow, wait_s: float
    ) -> wire.ExecutionSpec | claims.Draining | None:
        deadline = time.monotonic() + wait_s
        while (left_s := deadline - time.monotonic()) > 0:
            execution_id = await self.dispatcher.next(worker.environment_id, left_s)
            if execution_id is None:
                return None
            future = claims.submit(self._world, worker, execution_id, datetime.now(UTC))
            claimed = await asyncio.shield(asyncio.wrap_future(future))
            if claimed is None:
                continue
            if isinstance(claimed, claims.Draining):
                self.dispatcher.give_back(execution_id)
                return claimed
            self._announce(claimed)
            return claims.spec_of(self._world, claimed)
        return None

    def _announce(self, claimed: claims.Claimed) -> None:
        """Tell open pages, beside the answer and not before it."""

        async def tell() -> None:
            try:
                await self._queue.publish(f"execution:{claimed.row.id}", "changed")
                await self._queue.publish(f"project:{claimed.row.project_id}", claimed.row.id)
            except TemporaryError:
                return

        task = asyncio.create_task(tell())
        task.add_done_callback(lambda done: done.exception() if not done.cancelled() else None)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue


def _json(body: Any, status: int) -> Response:
    return Response(orjson.dumps(body), status_code=status, media_type="application/json")
