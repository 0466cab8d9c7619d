"""Migrations: `talkoot migrate` runs them, every other process checks that they were run.

Alembic is loaded only to run them: every process checks, and loading it takes a tenth of a second.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine, inspect, text

from control.database.session import Database
from control.domain.errors import PermanentError

if TYPE_CHECKING:
    from alembic.config import Config

FOLDER = Path(__file__).parent / "migrations"


def configuration() -> Config:
    """Make Alembic's configuration; there is no ini file."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.set_main_option("path_separator", "os")
    return config


@cache
def revisions() -> tuple[str, ...]:
    """The revisions of this release, oldest first: the numbers their files' names begin with."""
    return tuple(sorted(path.name[:4] for path in (FOLDER / "versions").glob("[0-9]*_*.py")))


def head() -> str:
    """The newest revision of this release."""
    return revisions()[-1]


def current(engine: Engine) -> str | None:
    """The revision the database is at; None when it is empty."""
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def upgrade(database: Database) -> tuple[str | None, str]:
    """Bring the database to the newest revision: (from, to). Two at once are safe on SQLite's lock.

    Raises PermanentError when the database is newer than this release.
    """
    before = current(database.engine)
    if before is not None and before not in revisions():
        raise PermanentError(
            f"The database is at revision {before}, which this release does not know: "
            "install the release that migrated it, or a newer one."
        )
    if before != head():
        from alembic import command

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
