"""The bytes of the local store behind its signed addresses: GET with ranges, and PUT."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from typing import Any, BinaryIO
from urllib.parse import quote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from control.domain.errors import Forbidden, PermanentError, TalkootError, TemporaryError

PIECE_BYTES = 1024 * 1024
_RANGE = re.compile(r"bytes=(\d*)-(\d*)$")


class StoreDesk:
    """Serves one local store."""

    def __init__(self, store: Any) -> None:
        self._store = store

    async def serve(self, request: Request) -> Response:
        """Do what the signature in the address allows."""
        key = request.path_params["key"]
        method = "GET" if request.method == "HEAD" else request.method
        try:
            grant = self._store.verify(method, key, request.query_params, time.time())
            if method == "PUT":
                return await self._put(request, grant)
            return await self._get(request, grant)
        except Forbidden as error:
            return JSONResponse({"detail": error.message}, 403)
        except TemporaryError as error:
            return JSONResponse({"detail": error.message}, 507)
        except PermanentError as error:
            return JSONResponse({"detail": error.message}, 404 if method == "GET" else 409)
        except TalkootError as error:
            return JSONResponse({"detail": error.message}, 400)

    async def _put(self, request: Request, grant: Any) -> Response:
        upload = await asyncio.to_thread(self._store.begin_upload, grant.key, grant.size_bytes)
        try:
            held = bytearray()
            async for chunk in request.stream():
                held += chunk
                if len(held) >= PIECE_BYTES:
                    await asyncio.to_thread(upload.write, bytes(held))
                    held.clear()
            if held:
                await asyncio.to_thread(upload.write, bytes(held))
            await asyncio.to_thread(upload.commit)
        except ClientDisconnect:
            return Response(status_code=499)
        finally:
            await asyncio.to_thread(upload.abort)
        return Response(status_code=201)

    async def _get(self, request: Request, grant: Any) -> Response:
        file, size = await asyncio.to_thread(self._store.open_for_read, grant.key)
        span = _span(request.headers.get("range"), size)
        headers = {
            "Accept-Ranges": "bytes",
            "Content-Type": "application/octet-stream",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "private, max-age=300",
            "Content-Security-Policy": "default-src 'none'; sandbox",
        }
        if grant.file_name:
            headers |= _named(grant.file_name)
        if span is None:
            file.close()
            return Response(status_code=416, headers={"Content-Range": f"bytes */{size}"})
        first, last = span
        status = 200
        if request.headers.get("range"):
            status = 206
            headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        headers["Content-Length"] = str(last - first + 1)
        if request.method == "HEAD":
            file.close()
            return Response(status_code=status, headers=headers)
        return StreamingResponse(
            _read(file, first, last - first + 1), status_code=status, headers=headers
        )


PICTURES = {"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif"}
"""What a browser may show in place; everything else is saved."""


def _named(name: str) -> dict[str, str]:
    kind = PICTURES.get(name.rpartition(".")[2].lower())
    if kind:
        return {"Content-Type": kind, "Content-Disposition": "inline"}
    return {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}


def _span(header: str | None, size: int) -> tuple[int, int] | None:
    """First and last byte of one range; all without a header; None when it cannot be had."""
    found = _RANGE.match(header or "bytes=0-")
    if found is None or found.groups() == ("", ""):
        return (0, size - 1)
    first, last = found.groups()
    if not first:
        return (max(size - int(last), 0), size - 1)
    if int(first) >= size and size > 0:
        return None
    return (int(first), min(int(last or size - 1), size - 1))


async def _read(file: BinaryIO, first: int, left: int) -> AsyncIterator[bytes]:
    try:
        file.seek(first)
        while left > 0:
            piece = await asyncio.to_thread(file.read, min(PIECE_BYTES, left))
            if not piece:
                return
            left -= len(piece)
            yield piece
    finally:
        file.close()
