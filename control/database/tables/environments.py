"""Environments and the workers that serve them."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, ForeignKey, Integer, String, Table, Text

from control.database.tables.base import Id, Json, UtcTime, metadata

environments = Table(
    "environments",
    metadata,
    Column("id", Id, primary_key=True),
    Column("slug", String(150), nullable=False, unique=True),
    Column("name", String(150), nullable=False),
    Column("description", Text, nullable=False, default=""),
    Column("kind", String(32), nullable=False, default="local"),  # local, onprem, aws …
    Column("gpu_spec", String(150), nullable=False, default=""),
    Column("per_hour_price_usd", Float, nullable=False, default=0.0),
    Column("per_user_queue_quota", Integer, nullable=False, default=0),
    Column("is_enabled", Boolean, nullable=False, default=True),
    Column("is_default", Boolean, nullable=False, default=False),
    Column("lease_s", Integer, nullable=False, default=600),
    Column("heartbeat_s", Integer, nullable=False, default=5),
    Column("stop_grace_s", Integer, nullable=False, default=10),
    Column("platform_retries", Integer, nullable=False, default=2),
    Column("stop_at_first_error", Boolean, nullable=False, default=True),
    Column("network", String(64), nullable=False, default="bridge"),
    Column("ctime", UtcTime, nullable=False),
    Column("mtime", UtcTime, nullable=False),
)

enrolment_tokens = Table(
    "enrolment_tokens",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("environment_id", ForeignKey("environments.id"), nullable=False),
    Column("ctime", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("used_at", UtcTime, nullable=True),
)

workers = Table(
    "workers",
    metadata,
    Column("id", Id, primary_key=True),
    Column("environment_id", ForeignKey("environments.id"), nullable=False, index=True),
    Column("name", String(150), nullable=False),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("status", String(16), nullable=False),  # live, draining, left
    Column("runtime", String(16), nullable=False),  # docker, process
    Column("version", String(64), nullable=False),
    Column("facts", Json, nullable=True),  # as of the last heartbeat
    Column("joined_at", UtcTime, nullable=False),
    Column("last_seen_at", UtcTime, nullable=False),
    Column("left_at", UtcTime, nullable=True),
    # of a machine in a cloud: its id there, proved when it joined
    Column("instance_id", String(150), nullable=True, index=True),
    Column("slots", Integer, nullable=False, default=1, server_default="1"),
    Column("idle_since", UtcTime, nullable=True),  # its last lease ended; counts while it has none
    # A drain is decided here and obeyed by the agent: no claim is granted from then on.
    Column("drain_requested_at", UtcTime, nullable=True),
    Column("drain_epoch", Integer, nullable=False, default=0, server_default="0"),
    Column("drain_ack_epoch", Integer, nullable=False, default=0, server_default="0"),
    # Why: "" the planner's, hold (for now, while others have room), person (never taken back).
    Column("drain_cause", String(8), nullable=False, default="", server_default=""),
)
