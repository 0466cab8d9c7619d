"""Migrations: `talkoot migrate` runs them, every other process checks that they were run."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from control.database.session import Database
from control.domain.errors import PermanentError

FOLDER = Path(__file__).parent / "migrations"


def configuration() -> Config:
    """Make Alembic's configuration; there is no ini file."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.set_main_option("path_separator", "os")
    return config


def head() -> str | None:
    """The newest revision of this release."""
    return ScriptDirectory.from_config(configuration()).get_current_head()


def current(engine: Engine) -> str | None:
    """The revision the database is at; None when it is empty."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def upgrade(database: Database) -> tuple[str | None, str | None]:
    """Bring the database to the newest revision: (from, to). Two at once are safe on SQLite's lock.

    Raises PermanentError when the database is newer than this release.
    """
    before = current(database.engine)
    known = {one.revision for one in ScriptDirectory.from_config(configuration()).walk_revisions()}
    if before is not None and before not in known:
        raise PermanentError(
            f"The database is at revision {before}, which this release does not know: "
            "install the release that migrated it, or a newer one."
        )
    if before != head():
        config = configuration()
        with database.writing_engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    return before, head()


def check(database: Database) -> None:
    """Raise PermanentError unless the database is at the newest revision."""
    found = current(database.engine)
    if found != head():
        state = "is empty" if found is None else f"is at revision {found}"
        raise PermanentError(
            f"The database {state} and this release needs {head()}: run `talkoot migrate`."
        )
