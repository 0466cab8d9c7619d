"""Worker groups, their machines, the decisions on their size, and the runs on their stacks."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Boolean,
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

worker_groups = Table(
    "worker_groups",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", String(63), nullable=False, unique=True),
    Column("environment_id", ForeignKey("environments.id"), nullable=False, index=True),
    Column("rank", Integer, nullable=False, default=0),  # fall-back order in the environment
    Column("cloud", String(16), nullable=False),
    Column("region", String(64), nullable=False),
    Column("stack", String(150), nullable=False, unique=True),
    Column("resource", String(255), nullable=False, default=""),  # from the stack's outputs
    Column("instance_type", String(64), nullable=False),
    Column("market", String(16), nullable=False),  # spot, on-demand
    Column("inputs", Json, nullable=False),  # stacks.inputs.GroupInputs, as config
    Column("slots", Integer, nullable=False),
    Column("min", Integer, nullable=False),
    Column("max", Integer, nullable=False),
    Column("spare", Integer, nullable=False, default=0),
    Column("idle_ttl_s", Integer, nullable=False, default=300),
    Column("stabilisation_s", Integer, nullable=False, default=120),
    Column("boot_grace_s", Integer, nullable=False, default=900),
    Column("burst", Integer, nullable=False, default=20),
    Column("growth", Float, nullable=False, default=1.0),
    Column("price_per_hour_usd", Float, nullable=False, default=0.0),
    Column("hourly_budget_usd", Float, nullable=True),
    Column("monthly_budget_usd", Float, nullable=True),
    Column("config_version", String(64), nullable=False, default=""),
    Column("channel", String(32), nullable=False, default="stable"),
    Column("agent_version", String(64), nullable=False, default=""),  # "": the channel's newest
    Column("is_enabled", Boolean, nullable=False, default=True),
    Column("paused_by", String(150), nullable=True),  # a person who holds the stack
    Column("memory", Json, nullable=True),  # scaling.state.GroupMemory
    # the newest decision, and how far it was carried out
    Column("wanted", Integer, nullable=False, default=0),
    Column("wanted_at", UtcTime, nullable=True),
    Column("decision_id", Id, nullable=True),
    # the size that the cloud's group was last given: by `up`, or less one by each termination
    Column("applied", Integer, nullable=False, default=0),
    Column("applied_at", UtcTime, nullable=True),  # NULL: its stack was never updated by us
    Column("applied_version", String(64), nullable=False, default=""),  # a config_version
    Column("hold", Text, nullable=False, default=""),  # why the newest size is not carried out
    Column("retry_at", UtcTime, nullable=True),  # no engine run before
    Column("run_failures", Integer, nullable=False, default=0),  # in a row, of no known class
    # the cloud's list
    Column("seen_at", UtcTime, nullable=True),
    Column("seen_count", Integer, nullable=False, default=0),
    Column("has_shrunk", Boolean, nullable=False, default=False),
    Column("steady_since", UtcTime, nullable=True),  # since when it was read without a gap
    Column("cloud_error", Text, nullable=False, default=""),  # why it cannot be read
    Column("failures_read_at", UtcTime, nullable=True),
    Column("price_read_at", UtcTime, nullable=True),  # of a spot group, from its cloud
    Column("ctime", UtcTime, nullable=False),
    Column("mtime", UtcTime, nullable=False),
)


def _now_seen(context: Any) -> Any:
    """Take the time at which the machine is seen, unless another one is given."""
    return context.get_current_parameters()["seen_at"]


machines = Table(
    "machines",
    metadata,
    Column("id", Id, primary_key=True),
    Column("group_id", ForeignKey("worker_groups.id"), nullable=True),  # NULL: an orphan
    Column("cloud", String(16), nullable=False),
    Column("region", String(64), nullable=False),
    Column("instance_id", String(150), nullable=False),
    Column("zone", String(64), nullable=False, default=""),
    Column("instance_type", String(64), nullable=False, default=""),
    Column("market", String(16), nullable=False, default=""),
    Column("config_version", String(64), nullable=False, default=""),
    Column("state", String(16), nullable=False),  # scaling.state.MachineState
    Column("worker_id", Id, nullable=True),  # once its agent joined
    Column("launched_at", UtcTime, nullable=False),
    Column(
        "found_at", UtcTime, nullable=False, default=_now_seen
    ),  # first seen in the cloud's list
    Column("seen_at", UtcTime, nullable=False),  # last seen in it
    Column("missed_at", UtcTime, nullable=True),  # first missing from it since
    Column("joined_at", UtcTime, nullable=True),
    Column("failed_at", UtcTime, nullable=True),  # it was given up, not having joined
    Column("drained_at", UtcTime, nullable=True),  # the drain was decided
    Column("drain_epoch", Integer, nullable=False, default=0),
    Column("end_sent_at", UtcTime, nullable=True),  # termination was asked for
    Column("end_tries", Integer, nullable=False, default=0),
    Column("end_error", Text, nullable=False, default=""),  # why the cloud has not ended it yet
    Column("gone_at", UtcTime, nullable=True),
    Column("reclaim_at", UtcTime, nullable=True),  # the cloud takes it back then
    Column("reason", Text, nullable=False, default=""),  # of its last change of state
    Column("console", Text, nullable=True),  # last part, kept of one that never joined
    UniqueConstraint("cloud", "instance_id"),
    Index(
        "ix_machines_here",
        "group_id",
        "state",
        sqlite_where=text("gone_at IS NULL"),
        postgresql_where=text("gone_at IS NULL"),
    ),
)

# Append-only, a row when the answer changed: the chart of queue, wanted, live and busy.
scaling_decisions = Table(
    "scaling_decisions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("group_id", ForeignKey("worker_groups.id"), nullable=False),
    Column("time", UtcTime, nullable=False),
    Column("queued", Integer, nullable=False),
    Column("wanted", Integer, nullable=False),
    Column("live", Integer, nullable=False),
    Column("busy", Integer, nullable=False),
    Column("launch", Integer, nullable=False),
    Column("drain", Json, nullable=False),  # machine ids
    Column("blocked_by", String(16), nullable=False, default=""),
    Column("reason", Text, nullable=False),
    Index("ix_scaling_decisions_group", "group_id", "time"),
)

# One holder a stack; `fence` rises with every taker, and a write with an older one is refused.
stack_leases = Table(
    "stack_leases",
    metadata,
    Column("stack", String(150), primary_key=True),
    Column("holder", String(150), nullable=False),  # host:pid, or person:NAME
    Column("fence", Integer, nullable=False),
    Column("until", UtcTime, nullable=True),  # NULL: a person's, until given back
    Column("run_id", Id, nullable=True),
    Column("pid", Integer, nullable=True),  # leader of the engine's process group
    Column("host", String(255), nullable=False, default=""),
    Column("taken_at", UtcTime, nullable=False),
)

stack_runs = Table(
    "stack_runs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("stack", String(150), nullable=False),
    Column("group_id", ForeignKey("worker_groups.id"), nullable=True),
    Column("verb", String(16), nullable=False),
    Column("size", Integer, nullable=True),
    Column("decision_id", Id, nullable=True),
    Column("commit", String(64), nullable=False, default=""),
    Column("status", String(16), nullable=False),  # running, then a StackResult's outcome, or lost
    Column("started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime, nullable=True),
    Column("engine_s", Float, nullable=True),
    Column("changes", Json, nullable=True),
    Column("error", Text, nullable=False, default=""),
    Column("stop_requested_by", String(150), nullable=True),
    Index("ix_stack_runs_stack", "stack", "started_at"),
)

stack_events = Table(
    "stack_events",
    metadata,
    Column("run_id", ForeignKey("stack_runs.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("text", Text, nullable=False),
    Column("resource", String(300), nullable=False, default=""),
    Column("operation", String(32), nullable=False, default=""),
    Column("severity", String(16), nullable=False, default="info"),
)

# Releases of the agent, by version; the bytes lie in the release store.
agent_releases = Table(
    "agent_releases",
    metadata,
    Column("version", String(64), primary_key=True),
    Column("protocol", Integer, nullable=False),
    Column("key", String(300), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("manifest", Text, nullable=False),  # the signed text
    Column("signature", Text, nullable=False),  # base64 of ed25519 over the manifest
    Column("ctime", UtcTime, nullable=False),
)

# Made at their first use; the secret half is sealed with the installation's key.
signing_keys = Table(
    "signing_keys",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("public", Text, nullable=False),  # base64 of DER
    Column("sealed", Text, nullable=False),
    Column("ctime", UtcTime, nullable=False),
)

release_channels = Table(
    "release_channels",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("version", ForeignKey("agent_releases.version"), nullable=False),
    Column("mtime", UtcTime, nullable=False),
)
