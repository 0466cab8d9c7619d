"""Migrations: numbered, one line, and ending where the tables are."""

from __future__ import annotations

import re

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from control.database import migrate
from control.database.session import Database
from control.database.tables.base import metadata
from control.domain.errors import PermanentError


def test_a_migrated_database_is_what_the_tables_say(database_url: str) -> None:
    database = Database(database_url)
    with pytest.raises(PermanentError, match="run `talkoot migrate`"):
        migrate.check(database)
    assert migrate.upgrade(database) == (None, migrate.head())
    assert migrate.upgrade(database) == (migrate.head(), migrate.head())
    migrate.check(database)
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    database.close()


def test_migrations_are_numbered_and_say_when_they_run() -> None:
    names = sorted(path.name for path in (migrate.FOLDER / "versions").glob("*.py"))
    assert names
    scripts = ScriptDirectory.from_config(migrate.configuration())
    assert migrate.revisions() == tuple(sorted(one.revision for one in scripts.walk_revisions()))
    assert migrate.head() == scripts.get_current_head()
    for number, name in enumerate(names, start=1):
        assert re.fullmatch(rf"{number:04d}_(pre|post)_[a-z0-9_]+\.py", name)
