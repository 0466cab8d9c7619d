"""Alembic's entry: runs the migrations on the connection that `control.database.migrate` opens."""

from __future__ import annotations

from alembic import context

from control.database.tables import (
    datums,
    environments,
    executions,
    people,
    projects,
    worker_groups,
)
from control.database.tables.base import metadata

TABLES = (datums, environments, executions, people, projects, worker_groups)

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
