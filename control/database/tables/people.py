"""People, their tokens, and the audit trail of what they changed."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, String, Table, Text

from control.database.tables.base import Id, Json, UtcTime, metadata

users = Table(
    "users",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("username", String(150), nullable=False, unique=True),
    Column("email", String(254), nullable=False, default=""),
    Column("first_name", String(150), nullable=False, default=""),
    Column("last_name", String(150), nullable=False, default=""),
    Column("password_hash", String(200), nullable=True),  # argon2id; NULL: tokens only
    Column("is_admin", Boolean, nullable=False, default=False),
    Column("is_active", Boolean, nullable=False, default=True),
    Column("ctime", UtcTime, nullable=False),
)

# One row a secret that lets somebody in; the secret itself is never stored, its SHA-256 is.
tokens = Table(
    "tokens",
    metadata,
    Column("id", Id, primary_key=True),
    Column("user_id", ForeignKey("users.id"), nullable=False, index=True),
    Column("kind", String(16), nullable=False),  # api, session, login_link
    Column("name", String(100), nullable=False, default=""),
    Column("hash", String(64), nullable=False, unique=True),
    Column("ctime", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=True),
    Column("used_at", UtcTime, nullable=True),
    Column("csrf", String(64), nullable=True),  # sessions only
)

# Append-only: who changed what (decision 12).
audit_entries = Table(
    "audit_entries",
    metadata,
    Column("id", Id, primary_key=True),
    Column("time", UtcTime, nullable=False),
    Column("user_id", Integer, nullable=True),  # NULL: Talkoot itself or an operator's command
    Column("actor", String(150), nullable=False),
    Column("action", String(64), nullable=False),  # execution.create, project.update …
    Column("project_id", Id, nullable=True),
    Column("subject", String(200), nullable=False),
    Column("properties", Json, nullable=True),
    Index("ix_audit_entries_project", "project_id", "time"),
)

# Why a loop changed something (decision 7).
decisions = Table(
    "decisions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("time", UtcTime, nullable=False),
    Column("kind", String(32), nullable=False),  # reap, requeue, place …
    Column("subject", String(64), nullable=False, index=True),
    Column("reason", Text, nullable=False),
)

# One holder a loop at a time.
loop_leases = Table(
    "loop_leases",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("holder", String(100), nullable=False),
    Column("until", UtcTime, nullable=False),
)
