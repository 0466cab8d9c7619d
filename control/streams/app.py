"""The ASGI application: what waits is answered here, everything else by Flask (decision 13)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from a2wsgi import WSGIMiddleware
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route

from control.services.world import World
from control.streams.bytes import StoreDesk
from control.streams.claims import ClaimDesk
from control.streams.dispatch import AsyncQueue
from control.streams.pages import Pages

FLASK_THREADS = 16


def create_streams(
    world: World,
    queue: AsyncQueue,
    local_store: Any | None = None,
    flask_app: Callable[..., Any] | None = None,
) -> Starlette:
    """Build the streams; with a Flask application, everything on one port."""
    desk = ClaimDesk(world, queue)
    pages = Pages(world, queue)
    routes: list[BaseRoute] = [
        Route("/api/v0/agents/claim/", desk.claim, methods=["POST"]),
        Route("/executions/{id}/log/stream", pages.log),
        Route("/executions/{id}/events/stream", pages.execution),
        Route("/projects/{id}/events/stream", pages.project),
        Route("/environments/{slug}/events/stream", pages.environment),
        Route("/stack-runs/{id}/events/stream", pages.stack_run),
    ]
    if local_store is not None:
        store = StoreDesk(local_store)
        routes.append(Route("/store/{key:path}", store.serve, methods=["GET", "HEAD", "PUT"]))
    if flask_app is not None:
        flask: Any = WSGIMiddleware(flask_app, workers=FLASK_THREADS)
        routes.append(Mount("/", _with_coroutines(flask)))

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await desk.dispatcher.close()
        await queue.close()

    return Starlette(routes=routes, lifespan=lifespan)


def _with_coroutines(application: Any) -> Any:
    """Let a2wsgi await the server: granian's `receive` answers a future, not a coroutine."""

    async def called(scope: Any, receive: Any, send: Any) -> None:
        async def next_message() -> Any:
            return await receive()

        async def pass_on(message: Any) -> None:
            await send(message)

        await application(scope, next_message, pass_on)

    return called
