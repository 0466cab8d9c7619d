"""Projects, their repository, commits and variables."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from control.database.tables.base import Id, Json, UtcTime, metadata

projects = Table(
    "projects",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", String(150), nullable=False),
    Column("name_key", String(150), nullable=False),  # lower case: unique whatever the case
    Column("owner_id", ForeignKey("users.id"), nullable=False),
    Column("description", Text, nullable=False, default=""),
    Column("yaml_path", String(500), nullable=False, default="valohai.yaml"),
    Column("default_environment_id", ForeignKey("environments.id"), nullable=True),
    Column("last_execution_counter", Integer, nullable=False, default=0),
    Column("last_execution_ctime", UtcTime, nullable=True),
    Column("is_deleted", Boolean, nullable=False, default=False),
    Column("ctime", UtcTime, nullable=False),
    Column("mtime", UtcTime, nullable=False),
    UniqueConstraint("owner_id", "name_key"),
)

project_members = Table(
    "project_members",
    metadata,
    Column("project_id", ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", ForeignKey("users.id"), primary_key=True, index=True),
    Column("role", String(16), nullable=False),  # a member of control.domain.roles.Role
)

repositories = Table(
    "repositories",
    metadata,
    Column("id", Integer, primary_key=True),
    Column(
        "project_id", ForeignKey("projects.id", ondelete="CASCADE"), nullable=False, unique=True
    ),
    Column("url", String(1000), nullable=False),  # never with a password
    Column("ref", String(500), nullable=False, default="main"),  # comma-separated
    Column("access", String(16), nullable=False, default="public"),  # public, deploy_key, token
    Column("public_key", Text, nullable=True),
    Column("private_key_sealed", Text, nullable=True),
    Column("username", String(150), nullable=True),
    Column("token_sealed", Text, nullable=True),
    Column("host_key", Text, nullable=True),  # pinned
    Column("fetched_at", UtcTime, nullable=True),
    Column("fetch_error", Text, nullable=True),
)

commits = Table(
    "commits",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project_id", ForeignKey("projects.id", ondelete="CASCADE"), nullable=False),
    Column("identifier", String(65), nullable=False),  # 40 hex, or ~ and 64 hex
    Column("adhoc", Boolean, nullable=False),
    Column("ref", String(500), nullable=False),  # "adhoc" for packages
    Column("description", Text, nullable=False, default=""),
    Column("commit_time", UtcTime, nullable=False),
    Column("ctime", UtcTime, nullable=False),
    Column("yaml_path", String(500), nullable=False),
    Column("config", Json, nullable=True),  # the parsed YAML: a list; NULL when absent or broken
    Column("config_errors", Json, nullable=True),  # list of {"message", "line", "column"}
    Column("archive_key", String(200), nullable=True),  # in the code store, once made
    Column("archive_sha256", String(64), nullable=True),
    Column("archive_size_bytes", Integer, nullable=True),
    UniqueConstraint("project_id", "identifier"),
    Index("ix_commits_identifier", "identifier"),
    Index("ix_commits_project_time", "project_id", "commit_time"),
)

# The newest fetched commit of each ref: `commit: "main"` resolves here.
commit_refs = Table(
    "commit_refs",
    metadata,
    Column("project_id", ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True),
    Column("ref", String(500), primary_key=True),
    Column("commit_id", ForeignKey("commits.id"), nullable=False),
)

project_variables = Table(
    "project_variables",
    metadata,
    Column("project_id", ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String(200), primary_key=True),
    Column("value", Text, nullable=False),  # sealed when secret
    Column("is_secret", Boolean, nullable=False),
)
