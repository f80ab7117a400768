"""Alembic's entry: run by `storage.migration.migrate` with a connection, or, without a backup, from the command line:
`alembic -x database=sqlite:///data/metka.db upgrade head`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection

from storage.db.engine import Database, parse_url
from storage.migration.inspection import VERSION_TABLE
from storage.schema import administration_tables, search_tables, source_tables, tag_tables, watch_tables

#: The modules share their metadata, once all are imported.
MODELS = (source_tables, search_tables, tag_tables, administration_tables, watch_tables)


def ours(_item: Any, _name: str | None, _kind: str, reflected: bool, compare_to: Any) -> bool:
    """Keep autogenerate from dropping the parser's tables and columns, which the models do not know."""
    return not (reflected and compare_to is None)


def run(connection: Connection) -> None:
    """Run the revisions in the transaction of the connection."""
    context.configure(
        connection=connection,
        target_metadata=MODELS[0].Base.metadata,
        version_table=VERSION_TABLE,
        render_as_batch=connection.dialect.name == "sqlite",
        include_object=ours,
    )
    with context.begin_transaction():
        context.run_migrations()


async def run_from_command_line() -> None:
    """Open the database named on the command line and run the revisions in one transaction."""
    url = context.get_x_argument(as_dictionary=True).get("database")
    if not isinstance(url, str):
        raise CommandError("say which database: alembic -x database=sqlite:///data/metka.db …")
    database = Database(parse_url(url))
    try:
        async with database.write() as session:
            await (await session.connection()).run_sync(run)
    finally:
        await database.close()


if context.is_offline_mode():
    raise CommandError("the migrations look at the database, so they cannot be written out as SQL")

given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    asyncio.run(run_from_command_line())
