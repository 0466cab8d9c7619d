"""Logs: the lines of an execution, numbered from 1; stored blocks, then the live tail.

The row's `log_received` is the number of the last line that has arrived, `log_stored` of the last
one in the log store. Between the two lie the lines of the tail, which the queue server may lose
at any moment: then `log_received` goes back to what is still there, and the agent, which keeps
every line until it is stored, sends them again. Source: architecture.md decision 5.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

import structlog
from sqlalchemy import Connection, delete, insert, select, update

from agent import wire
from control.database.rows import AnyRow
from control.database.tables.executions import executions, log_blocks
from control.domain.errors import Fenced, Invalid, LogGap, PermanentError, TemporaryError
from control.domain.ports import TailBlock
from control.services.world import World

log = structlog.get_logger()

FLUSH_BYTES = 4 * 1024 * 1024
"""Unstored text beyond which the sender waits for the store; half of what a live tail may hold."""
BLOCK_BYTES = 1024 * 1024
"""Text of one stored block: what a reader fetches to see any line of it."""
MAX_BLOCK_BYTES = 8 * 1024 * 1024
TAIL_LIFE_S = 60
"""How long a tail outlives the end of its execution, for readers in the middle of it."""
NEWEST = 2000
"""Events in an answer without `limit` (client-contract.md 2.5.3)."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line. `time` is `2030-01-02T03:04:05.678901`, UTC."""

    number: int
    time: str
    stream: str
    message: str


@dataclass(frozen=True, slots=True)
class LogPage:
    """Lines, oldest first; `next` is the number to read after, `total` counts all lines."""

    lines: Sequence[LogLine]
    total: int
    next: int


def parse_lines(block: TailBlock) -> Iterator[LogLine]:
    """Read the lines of a block (agent/wire.py describes them)."""
    for offset, line in enumerate(block.text.decode("utf-8", "replace").split("\n")[: block.count]):
        time, _, rest = line.partition(" ")
        letter, _, message = rest.partition(" ")
        yield LogLine(block.first + offset, time, wire.STREAMS.get(letter, "stdout"), message)


def format_line(now: datetime, stream: str, message: str) -> bytes:
    """Write a line as an agent would."""
    letter = next(letter for letter, name in wire.STREAMS.items() if name == stream)
    text = message.replace("\r", " ").replace("\n", " ")
    return f"{now:%Y-%m-%dT%H:%M:%S.%f} {letter} {text}\n".encode()


# -- writing -----------------------------------------------------------------------------------
def append(world: World, attempt: AnyRow, block: TailBlock) -> wire.LogReceipt:
    """Take a block of the attempt that holds the execution.

    `attempt` has execution_id, attempt_id, log_received, log_stored and log_unstored_bytes as just
    read. The tail is written first, so that a number is only acknowledged when its line is there.
    Raises LogGap, Fenced, Invalid.
    """
    _check_block(block)
    if block.last <= attempt.log_received:
        return wire.LogReceipt(attempt.log_received, attempt.log_stored)
    if block.first != attempt.log_received + 1:
        raise LogGap(attempt.log_received + 1)
    world.queue.append_tail(attempt.execution_id, block)

    def work(connection: Connection) -> bool:
        changed = connection.execute(
            update(executions)
            .where(
                executions.c.id == attempt.execution_id,
                executions.c.attempt_id == attempt.attempt_id,
                executions.c.log_received == block.first - 1,
            )
            .values(
                log_received=block.last,
                log_unstored_bytes=executions.c.log_unstored_bytes + len(block.text),
            )
        )
        return changed.rowcount == 1

    if not world.database.write(work):
        # Lines nobody acknowledged must not stand in for those of the next attempt.
        world.queue.drop_tail(attempt.execution_id, ttl_s=0)
        raise Fenced
    _wake(world, attempt.execution_id)
    stored = attempt.log_stored
    if attempt.log_unstored_bytes + len(block.text) > FLUSH_BYTES:
        stored = flush(world, attempt.execution_id)
    return wire.LogReceipt(block.last, stored)


def _wake(world: World, execution_id: str) -> None:
    """Wake readers again: those whom the tail woke may have looked before the number was there."""
    try:
        world.queue.publish(f"execution:{execution_id}", "log")
    except TemporaryError as error:
        log.info("tail_unreachable", execution=execution_id, error=error.message)


def _check_block(block: TailBlock) -> None:
    if len(block.text) > MAX_BLOCK_BYTES:
        raise Invalid.one("text", f"A log block holds at most {MAX_BLOCK_BYTES} bytes.")
    if block.count < 1 or block.first < 1 or block.text.count(b"\n") != block.count:
        raise Invalid.one("count", "A log block holds `count` lines, each ended by a line feed.")


def append_own(world: World, execution_id: str, messages: Sequence[str], now: datetime) -> None:
    """Add status lines of the control side and store them; only while no attempt writes."""
    if not messages:
        return
    text = b"".join(format_line(now, "status", message) for message in messages)

    def work(connection: Connection) -> int:
        return connection.execute(
            update(executions)
            .where(executions.c.id == execution_id)
            .values(
                log_received=executions.c.log_received + len(messages),
                log_unstored_bytes=executions.c.log_unstored_bytes + len(text),
            )
            .returning(executions.c.log_received)
        ).scalar_one()

    last = world.database.write(work)
    block = TailBlock(last - len(messages) + 1, len(messages), text)
    try:
        world.queue.append_tail(execution_id, block)
    except TemporaryError as error:
        log.info("tail_unreachable", execution=execution_id, error=error.message)
    _store(world, execution_id, block)


def flush(world: World, execution_id: str) -> int:
    """Move the tail's lines to the store; the number of the last stored line.

    When the tail has lost lines that were received, `log_received` goes back to the last line
    before the hole, so that the agent sends the rest again.
    """
    row = _clocks(world, execution_id)
    if row is None or row.log_received <= row.log_stored:
        return 0 if row is None else int(row.log_stored)
    stored = int(row.log_stored)
    for block in _cut(_contiguous(world, execution_id, after=stored, up_to=row.log_received)):
        if not _store(world, execution_id, block):
            return stored
        stored = block.last
    if stored < row.log_received:
        log.warning("tail_lost", execution=execution_id, stored=stored, received=row.log_received)
        world.queue.drop_tail(execution_id, ttl_s=0)
        world.database.write(
            lambda connection: (
                connection.execute(
                    update(executions)
                    .where(
                        executions.c.id == execution_id,
                        executions.c.log_received == row.log_received,
                        executions.c.log_stored == stored,
                    )
                    .values(log_received=stored, log_unstored_bytes=0)
                )
                and None
            )
        )
    return stored


def _clocks(world: World, execution_id: str) -> AnyRow | None:
    with world.database.read() as connection:
        return connection.execute(
            select(executions.c.log_received, executions.c.log_stored).where(
                executions.c.id == execution_id
            )
        ).first()


def _contiguous(world: World, execution_id: str, *, after: int, up_to: int) -> Iterator[TailBlock]:
    """The tail's blocks without a hole or a double line, from `after` on."""
    last = after
    for block in world.queue.read_tail(execution_id, after=after):
        if block.first > last + 1 or last >= up_to:
            return
        if block.last <= last:
            continue
        yield _part(block, after=last, up_to=up_to)
        last = block.last


def _part(block: TailBlock, *, after: int, up_to: int) -> TailBlock:
    """The lines of a block above `after` and not above `up_to`."""
    if block.first > after and block.last <= up_to:
        return block
    first, last = max(block.first, after + 1), min(block.last, up_to)
    lines = block.text.split(b"\n")[first - block.first : last - block.first + 1]
    return TailBlock(first, last - first + 1, b"\n".join(lines) + b"\n")


def _cut(blocks: Iterator[TailBlock]) -> Iterator[TailBlock]:
    """Join small blocks to about BLOCK_BYTES."""
    held: list[TailBlock] = []
    size = 0
    for block in blocks:
        held.append(block)
        size += len(block.text)
        if size >= BLOCK_BYTES:
            yield _joined(held)
            held, size = [], 0
    if held:
        yield _joined(held)


def _joined(blocks: list[TailBlock]) -> TailBlock:
    count = sum(block.count for block in blocks)
    return TailBlock(blocks[0].first, count, b"".join(block.text for block in blocks))


def _store(world: World, execution_id: str, block: TailBlock) -> bool:
    """Put one block into the log store and record it; False when somebody else was first."""
    key = f"logs/{execution_id}/{block.first:012d}-{block.last:012d}.gz"
    body = _gzip(block.text)
    world.log_store.put(key, body)

    def work(connection: Connection) -> bool:
        changed = connection.execute(
            update(executions)
            .where(
                executions.c.id == execution_id,
                executions.c.log_stored == block.first - 1,
            )
            .values(log_stored=block.last, log_unstored_bytes=0)
        )
        if changed.rowcount != 1:
            return False
        connection.execute(
            insert(log_blocks).values(
                execution_id=execution_id,
                first=block.first,
                last=block.last,
                key=key,
                size_bytes=len(body),
            )
        )
        return True

    return world.database.write(work)


def _gzip(text: bytes) -> bytes:
    """Compress as one gzip member, so that members in order are the whole log as one file."""
    packer = zlib.compressobj(level=1, wbits=31)
    return packer.compress(text) + packer.flush()


# -- reading -----------------------------------------------------------------------------------
def read_blocks(
    world: World, execution_id: str, *, after: int, max_bytes: int = 4 * BLOCK_BYTES
) -> list[TailBlock]:
    """Blocks that hold the lines above `after`, oldest first, cut to begin right there.

    Stops after about `max_bytes`; empty when there is nothing newer.
    """
    with world.database.read() as connection:
        row = connection.execute(
            select(executions.c.log_received, executions.c.log_stored).where(
                executions.c.id == execution_id
            )
        ).first()
        stored = connection.execute(
            select(log_blocks)
            .where(log_blocks.c.execution_id == execution_id, log_blocks.c.last > after)
            .order_by(log_blocks.c.first)
            .limit(16)
        ).all()
    if row is None or row.log_received <= after:
        return []
    found: list[TailBlock] = []
    size = 0
    for one in stored:
        text = _fetch(world, one.key)
        found.append(
            _part(
                TailBlock(one.first, one.last - one.first + 1, text),
                after=after,
                up_to=row.log_received,
            )
        )
        size += len(found[-1].text)
        if size >= max_bytes:
            return found
    last = found[-1].last if found else after
    if row.log_stored <= last < row.log_received:
        try:
            found += _contiguous(world, execution_id, after=last, up_to=row.log_received)
        except TemporaryError as error:
            # What is stored can be read all the same; the rest comes when the server is back.
            log.info("tail_unreachable", execution=execution_id, error=error.message)
    return found


def _fetch(world: World, key: str) -> bytes:
    try:
        return zlib.decompress(world.log_store.get(key), wbits=31)
    except zlib.error as error:
        raise PermanentError(f"The stored log block {key} is damaged.") from error


def read(world: World, execution: AnyRow, *, after: int, limit: int) -> LogPage:
    """Read at most `limit` lines above number `after`."""
    lines: list[LogLine] = []
    last = after
    while len(lines) < limit:
        blocks = read_blocks(world, execution.id, after=last)
        if not blocks:
            break
        for block in blocks:
            lines.extend(islice(parse_lines(block), limit - len(lines)))
            last = block.last
    clocks = _clocks(world, execution.id)
    total = int(clocks.log_received) if clocks else 0
    return LogPage(lines, total, lines[-1].number if lines else after)


def newest(world: World, execution: AnyRow, limit: int | None) -> LogPage:
    """Read the newest lines: NEWEST without a limit, all with limit 0."""
    clocks = _clocks(world, execution.id)
    total = int(clocks.log_received) if clocks else 0
    wanted = NEWEST if limit is None else limit or total
    return (
        read(world, execution, after=max(total - wanted, 0), limit=wanted)
        if total
        else (LogPage([], 0, 0))
    )


def status_events(world: World, execution: AnyRow, limit: int) -> LogPage:
    """Read the first `limit` lines of the stream `status`."""
    found: list[LogLine] = []
    last = 0
    while len(found) < limit:
        blocks = read_blocks(world, execution.id, after=last)
        if not blocks:
            break
        for block in blocks:
            if b" s " in block.text:
                found += [line for line in parse_lines(block) if line.stream == "status"]
            last = block.last
    return LogPage(found[:limit], len(found), last)


def delete_all(world: World, execution_id: str) -> None:
    """Remove the stored log of a deleted execution."""
    with world.database.read() as connection:
        keys = connection.scalars(
            select(log_blocks.c.key).where(log_blocks.c.execution_id == execution_id)
        ).all()
    for key in keys:
        world.log_store.delete(key)
    world.database.write(
        lambda connection: (
            connection.execute(delete(log_blocks).where(log_blocks.c.execution_id == execution_id))
            and None
        )
    )
