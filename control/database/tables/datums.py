"""Datums: stored files with an identity; their aliases and lineage."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    String,
    Table,
    UniqueConstraint,
)

from control.database.tables.base import Id, Json, UtcTime, metadata

datums = Table(
    "datums",
    metadata,
    Column("id", Id, primary_key=True),
    Column("project_id", ForeignKey("projects.id"), nullable=False),
    Column("name", String(1000), nullable=False),
    Column("key", String(500), nullable=False),  # in the data store
    Column("uri", String(2000), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("md5", String(32), nullable=False, default=""),
    Column("sha1", String(40), nullable=False, default=""),
    Column("is_stored", Boolean, nullable=False),  # False: promised, the bytes are on their way
    Column("is_purged", Boolean, nullable=False, default=False),
    Column("properties", Json, nullable=True),  # the side-car's keys that are not reserved
    Column("tags", Json, nullable=True),
    Column("execution_id", ForeignKey("executions.id"), nullable=True),
    Column("attempt_id", Id, nullable=True),
    Column("creator_id", ForeignKey("users.id"), nullable=True),
    Column("ctime", UtcTime, nullable=False),
    Index("ix_datums_project", "project_id", "is_stored", "id"),
    Index("ix_datums_execution", "execution_id"),
)

datum_aliases = Table(
    "datum_aliases",
    metadata,
    Column("id", Id, primary_key=True),
    Column("project_id", ForeignKey("projects.id"), nullable=False),
    Column("name", String(200), nullable=False),
    Column("datum_id", ForeignKey("datums.id"), nullable=True),
    Column("ctime", UtcTime, nullable=False),
    Column("mtime", UtcTime, nullable=False),
    UniqueConstraint("project_id", "name"),
)

# Which execution used which datum (DT-4).
datum_uses = Table(
    "datum_uses",
    metadata,
    Column("datum_id", ForeignKey("datums.id"), primary_key=True),
    Column("execution_id", ForeignKey("executions.id"), primary_key=True),
    Column("input", String(64), primary_key=True),
)
