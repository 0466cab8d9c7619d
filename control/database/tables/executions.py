"""Executions, their attempts, phases and metrics. Every status change is one guarded UPDATE."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from control.database.tables.base import Id, Json, UtcTime, metadata
from control.domain.states import INCOMPLETE, Status

_NAMES = ", ".join(f"'{status}'" for status in Status)
_INCOMPLETE = ", ".join(f"'{status}'" for status in INCOMPLETE)

executions = Table(
    "executions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("project_id", ForeignKey("projects.id"), nullable=False),
    Column("counter", Integer, nullable=False),
    Column("commit_id", ForeignKey("commits.id"), nullable=False),
    Column("environment_id", ForeignKey("environments.id"), nullable=False),
    Column("creator_id", ForeignKey("users.id"), nullable=False),
    Column("status", String(16), nullable=False),
    Column("phase", String(16), nullable=False, default="created"),
    Column("reason", String(32), nullable=True),  # a member of states.REASONS, once ended
    Column("sentence", Text, nullable=True),  # the reason in words; while it waits it is computed
    Column("status_detail", Text, nullable=True),  # set from the container
    # what was asked for: never changes (DB-3)
    Column("step", String(500), nullable=False),
    Column("title", String(500), nullable=False, default=""),
    Column("image", String(1000), nullable=False),
    Column("commands", Json, nullable=False),  # rendered, a list
    Column("command", Text, nullable=False, default=""),  # as written
    Column("parameters", Json, nullable=False),
    Column(
        "inputs", Json, nullable=False
    ),  # [{"name", "urls", "download", "keep_directories", "files"}]
    Column("env_vars", Json, nullable=False),  # of the execution itself; never a project secret
    Column("inherit_env_vars", Boolean, nullable=False, default=True),
    Column("tags", Json, nullable=False),
    Column("runtime_config", Json, nullable=False),
    Column("priority", Integer, nullable=False, default=0),
    Column("time_limit_s", Float, nullable=True),
    Column("no_output_timeout_s", Float, nullable=True),
    # clocks
    Column("ctime", UtcTime, nullable=False),
    Column("mtime", UtcTime, nullable=False),
    Column("queued_at", UtcTime, nullable=True),
    Column("started_at", UtcTime, nullable=True),
    Column("end_time", UtcTime, nullable=True),
    # who holds it
    Column("attempt_id", Id, nullable=True),
    Column("attempt_count", Integer, nullable=False, default=0),
    Column("worker_name", String(150), nullable=True),
    Column("stop_requested_at", UtcTime, nullable=True),
    Column("stop_requested_by", String(150), nullable=True),
    Column("stop_count", Integer, nullable=False, default=0),  # a second request skips the grace
    # log: lines are numbered from 1
    Column("log_received", BigInteger, nullable=False, default=0),
    Column("log_stored", BigInteger, nullable=False, default=0),
    Column("log_unstored_bytes", BigInteger, nullable=False, default=0),
    # results
    Column("exit_code", Integer, nullable=True),
    Column("failing_item", Integer, nullable=True),
    Column("image_digest", String(200), nullable=True),
    Column("cumulative_metadata", Json, nullable=True),
    Column("output_count", Integer, nullable=False, default=0),
    Column("is_deleted", Boolean, nullable=False, default=False),
    UniqueConstraint("project_id", "counter"),
    CheckConstraint(f"status IN ({_NAMES})", name="status"),
    Index("ix_executions_project_list", "project_id", "is_deleted", "counter"),
    # What waits or runs is few among all: the loops and quotas read only these rows.
    Index(
        "ix_executions_incomplete",
        "environment_id",
        "status",
        "creator_id",
        sqlite_where=text(f"status IN ({_INCOMPLETE})"),
        postgresql_where=text(f"status IN ({_INCOMPLETE})"),
    ),
    Index(
        "ix_executions_unstored_log",
        "id",
        sqlite_where=text("log_received > log_stored"),
        postgresql_where=text("log_received > log_stored"),
    ),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("execution_id", ForeignKey("executions.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("worker_id", ForeignKey("workers.id"), nullable=False, index=True),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("lease_until", UtcTime, nullable=False),
    Column("log_first", BigInteger, nullable=False, default=1),
    Column("started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime, nullable=True),  # NULL while it holds the execution
    Column("outcome", String(16), nullable=True),
    Column("reason", String(32), nullable=True),
    UniqueConstraint("execution_id", "number"),
    Index(
        "ix_attempts_held",
        "lease_until",
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
)

# The time-line: where the time went (AG-2). `queued` belongs to attempt number 0.
phases = Table(
    "phases",
    metadata,
    Column("execution_id", ForeignKey("executions.id"), primary_key=True),
    Column("attempt_number", Integer, primary_key=True),
    Column("name", String(16), primary_key=True),
    Column("started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime, nullable=True),
    Column("done", BigInteger, nullable=False, default=0),
    Column("total", BigInteger, nullable=True),
    Column("unit", String(16), nullable=False, default=""),
)

metadata_points = Table(
    "metadata_points",
    metadata,
    Column("execution_id", ForeignKey("executions.id"), primary_key=True),
    Column("number", BigInteger, primary_key=True),  # of the log line
    Column("time", UtcTime, nullable=False),
    Column("values", Json, nullable=False),
)

# Stored pieces of a log: object `logs/<execution>/<first>.gz` in the log store.
log_blocks = Table(
    "log_blocks",
    metadata,
    Column("execution_id", ForeignKey("executions.id"), primary_key=True),
    Column("first", BigInteger, primary_key=True),
    Column("last", BigInteger, nullable=False),
    Column("key", String(200), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
)

# Counts kept beside every change: lists answer `count` without counting.
execution_counts = Table(
    "execution_counts",
    metadata,
    Column("project_id", Id, primary_key=True),
    Column("environment_id", Id, primary_key=True),
    Column("status", String(16), primary_key=True),
    Column("count", Integer, nullable=False),
    Index("ix_execution_counts_environment", "environment_id", "status"),
)
