"""Procrastinate: a PostgreSQL queue, each job one durable commit."""

from __future__ import annotations

import asyncio
import os

import procrastinate
import psycopg
import record

app = procrastinate.App(
    connector=procrastinate.PsycopgConnector(conninfo=os.environ["POSTGRESQL_URL"])
)


@app.task(queue="work", name="noop")
async def noop(i: int) -> None:
    """Run the job."""
    record.record(i)


async def _setup() -> None:
    with psycopg.connect(os.environ["POSTGRESQL_URL"], autocommit=True) as connection:
        connection.execute("drop schema if exists public cascade; create schema public")
    async with app.open_async():
        await app.schema_manager.apply_schema_async()


def setup() -> None:
    """Make an empty schema."""
    asyncio.run(_setup())


async def submit_all(job_count: int) -> None:
    """Defer jobs one after another."""
    async with app.open_async():
        for i in range(job_count):
            await noop.defer_async(i=i)
