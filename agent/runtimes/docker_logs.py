"""A container's output as lines of the wire, from the engine's json-file log.

Read from the file itself where the agent may (no work for the engine, a position is a number of
bytes), else through the engine's API (a position is a number of entries; going on after a restart
reads those again). An entry is a line, or 16 KiB of a longer one.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import queue
import struct
import threading
import time
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException, NotFound

from agent.phases.output import Chunk, Source
from agent.phases.stamps import STAMP, later_than, stamp_of
from agent.runtimes.supervisor import PIECE_BYTES, newest_state, tidy

READ_BYTES = 1024 * 1024
POLL_S = 0.02
OUT, ERR = b" o ", b" e "
LETTERS = {"stdout": OUT, "stderr": ERR, 1: OUT, 2: ERR}
HEAD = len(b'{"log":"')
STAMP_TAIL = len(b'2030-01-02T03:04:05.678901234Z"}')
TAILS = {
    b'\\n","stream":"std%s","time":"' % one: letter
    for one, letter in ((b"out", OUT), (b"err", ERR))
}
TAIL = STAMP_TAIL + len(next(iter(TAILS)))
QUEUE_CHUNKS = 4096


class Assembler:
    """Joins the entries of long lines and gives every line a later time than the one before."""

    def __init__(self, kept: dict[str, str]) -> None:
        self.begun = {
            letter: base64.b64decode(kept.get(letter.decode().strip(), "")) for letter in (OUT, ERR)
        }
        self.last = b""
        self.parts: list[bytes] = []

    def add(self, letter: bytes, stamp: bytes, text: bytes) -> None:
        """Take an entry whose text ends with a line feed if the line does."""
        is_whole = text.endswith(b"\n")
        text = self.begun[letter] + text
        self.begun[letter] = b""
        if is_whole:
            for line in tidy([text[:-1]]):
                self._put(letter, stamp, line)
        elif len(text) > PIECE_BYTES or b"\r" in text:
            # A progress bar without an end, or a very long line: show what is there.
            *whole, rest = tidy([newest_state(text)])
            for line in whole:
                self._put(letter, stamp, line)
            self.begun[letter] = rest
        else:
            self.begun[letter] = text

    def _put(self, letter: bytes, stamp: bytes, text: bytes) -> None:
        stamp = stamp[:STAMP] if len(stamp) > STAMP else _padded(stamp)
        if stamp <= self.last:
            stamp = later_than(stamp, self.last)
        self.last = stamp
        self.parts += (stamp, letter, text, b"\n")

    def end(self) -> None:
        """Give last lines that have no line feed."""
        stamp = stamp_of(time.time_ns() // 1000)
        for letter, text in self.begun.items():
            if text:
                for line in tidy([text]):
                    self._put(letter, stamp, line)
                self.begun[letter] = b""

    @property
    def block(self) -> bytes:
        """The lines so far."""
        return b"".join(self.parts)

    @property
    def kept(self) -> dict[str, str]:
        """The begun lines, for a position."""
        return {
            letter.decode().strip(): base64.b64encode(text).decode()
            for letter, text in self.begun.items()
            if text
        }


def _padded(stamp: bytes) -> bytes:
    """Write all six digits: the engine leaves trailing zeros out."""
    second, _, rest = stamp.rstrip(b"Z").partition(b".")
    return b"%s.%s" % (second, rest.ljust(6, b"0")[:6])


def open_log(engine: docker.APIClient, handle: str, ended: threading.Event) -> Source:
    """Open the log by the shortest way that is open to this agent."""
    path = None
    with contextlib.suppress(DockerException, OSError):
        path = Path(engine.inspect_container(handle).get("LogPath") or "/nothing")
        if os.access(path, os.R_OK):
            return FileLog(path, ended)
    return ApiLog(engine, handle)


def _position(at: int, assembler: Assembler) -> dict[str, Any]:
    return {"at": at, "open": assembler.kept}


class FileLog:
    """The engine's file, followed. A position is {"at": bytes, "open": begun lines}."""

    def __init__(self, path: Path, ended: threading.Event) -> None:
        self._path = path
        self._ended = ended
        self._file: int | None = None

    def read(self, position: Any, wait_s: float) -> Chunk:
        position = position or {"at": 0, "open": {}}
        limit = time.monotonic() + wait_s
        while True:
            # Asked first: what is there when it has ended is all there will be.
            has_ended = self._ended.is_set()
            data = self._read(position["at"])
            if data:
                return chunk_of(data, position)
            if has_ended:
                return _last_chunk(position)
            if time.monotonic() > limit:
                return Chunk(b"", position)
            self._ended.wait(POLL_S)

    def _read(self, offset: int) -> bytes:
        if self._file is None:
            try:
                self._file = os.open(self._path, os.O_RDONLY)
            except FileNotFoundError:
                return b""
        data = os.pread(self._file, READ_BYTES, offset)
        return data[: data.rfind(b"\n") + 1]

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def chunk_of(data: bytes, position: dict[str, Any]) -> Chunk:
    """Read whole entries.

    Nearly all are lines without a character that JSON escapes, with nine digits after the second.
    Those are cut at fixed places, 0.5 us each; the others are parsed, several times as slow.
    """
    assembler = Assembler(position["open"])
    parts, last = assembler.parts, assembler.last
    for entry in data.split(b"\n"):
        letter = TAILS.get(entry[-TAIL:-STAMP_TAIL])
        if letter is not None:
            text = entry[HEAD:-TAIL]
            if b"\\" not in text and len(text) <= PIECE_BYTES and not assembler.begun[letter]:
                stamp = entry[-STAMP_TAIL:-6]
                if stamp <= last:
                    stamp = later_than(stamp, last)
                last = stamp
                parts += (stamp, letter, text, b"\n")
                continue
        if entry:
            assembler.last = last
            assembler.add(*parse_entry(entry))
            last = assembler.last
    return Chunk(assembler.block, _position(position["at"] + len(data), assembler))


def parse_entry(entry: bytes) -> tuple[bytes, bytes, bytes]:
    """Read one line of the engine's file: letter, time, text."""
    values = json.loads(entry)
    letter = LETTERS[values.get("stream", "stdout")]
    return letter, values["time"].encode(), values.get("log", "").encode(errors="replace")


def _last_chunk(position: dict[str, Any]) -> Chunk:
    assembler = Assembler(position["open"])
    assembler.end()
    return Chunk(assembler.block, {**position, "open": {}}, is_end=True)


class ApiLog:
    """The engine's API, followed by a thread. A position is {"at": entries, "open": …}."""

    def __init__(self, engine: docker.APIClient, handle: str) -> None:
        self._engine = engine
        self._handle = handle
        self._arrived: queue.Queue[bytes | None] = queue.Queue(QUEUE_CHUNKS)
        self._is_closed = False
        self._thread: threading.Thread | None = None
        self._at = -1
        self._skip = 0
        self._rest = b""

    def read(self, position: Any, wait_s: float) -> Chunk:
        position = position or {"at": 0, "open": {}}
        if self._at != position["at"]:
            self._open(position["at"])
        assembler = Assembler(position["open"])
        has_ended = self._take(assembler, wait_s)
        if has_ended:
            assembler.end()
        block = assembler.block
        return Chunk(block, _position(self._at, assembler), is_end=has_ended)

    def _take(self, assembler: Assembler, wait_s: float) -> bool:
        """Move what has arrived; True at the end."""
        size = 0
        try:
            data = self._arrived.get(timeout=wait_s)
            while data is not None:
                size += len(data)
                entries, self._rest = split_frames(self._rest + data)
                for letter, stamp, text in entries:
                    if self._skip:
                        self._skip -= 1
                        continue
                    self._at += 1
                    assembler.add(letter, stamp, text)
                if size > READ_BYTES:
                    return False
                data = self._arrived.get_nowait()
        except queue.Empty:
            return False
        if self._still_runs():  # the engine was restarted and runs on: go on from here
            self._open(self._at)
            return False
        return True

    def _still_runs(self) -> bool:
        try:
            return bool(self._engine.inspect_container(self._handle)["State"]["Running"])
        except NotFound:
            return False
        except (DockerException, OSError):
            time.sleep(POLL_S * 10)
            return True

    def _open(self, skip: int) -> None:
        self._at = self._skip = skip
        self._rest = b""
        self._thread = threading.Thread(target=self._follow, name="engine log", daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        url = f"{self._engine.base_url}/v{self._engine.api_version}/containers/{self._handle}/logs"
        wanted = {"stdout": 1, "stderr": 1, "follow": 1, "timestamps": 1}
        try:
            answer = self._engine.get(url, params=wanted, stream=True, timeout=None)
            for data in answer.raw.stream(READ_BYTES, decode_content=False):
                self._arrived.put(data)
                if self._is_closed:
                    break
        finally:
            self._arrived.put(None)

    def close(self) -> None:
        self._is_closed = True
        with contextlib.suppress(queue.Empty):
            while True:
                self._arrived.get_nowait()


def split_frames(data: bytes) -> tuple[list[tuple[bytes, bytes, bytes]], bytes]:
    """Cut the engine's frames: (letter, time, text) each, and the bytes of a begun frame."""
    entries: list[tuple[bytes, bytes, bytes]] = []
    at, size = 0, len(data)
    unpack = struct.Struct(">BxxxL").unpack_from
    while at + 8 <= size:
        stream, length = unpack(data, at)
        end = at + 8 + length
        if end > size:
            break
        stamp, _, text = data[at + 8 : end].partition(b" ")
        entries.append((LETTERS[stream], stamp, text))
        at = end
    return entries, data[at:]
