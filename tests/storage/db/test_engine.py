"""What of the database's errors passes by itself."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError, InvalidRequestError

from storage.db.engine import Database, is_unavailable, parse_url
from tests.proxy import proxied


def test_a_pool_whose_connections_die_one_after_the_other_is_away() -> None:
    """A server that restarts, or ends connections as soon as they are made."""
    engine = create_engine("sqlite://")

    @event.listens_for(engine, "checkout")
    def dead(*_: object) -> None:
        raise DisconnectionError

    with pytest.raises(InvalidRequestError) as error:
        engine.connect()
    assert is_unavailable(error.value)


def test_a_wrong_use_of_a_session_is_no_outage() -> None:
    assert not is_unavailable(InvalidRequestError("This session is in 'prepared' state"))


async def test_a_connection_that_ends_as_it_is_made_is_an_outage(postgres_server: str) -> None:
    """The server has said that it ends it, and the driver has read so, but not that it has ended."""
    async with proxied(postgres_server) as (proxy, url):
        near, far = Database(parse_url(postgres_server)), Database(parse_url(url))

        async def end(connection: asyncpg.Connection) -> None:
            proxy.hush()
            async with near.read() as other:
                await other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": connection.get_server_pid()})
            await proxy.ended.wait()
            for _ in range(5):
                await asyncio.sleep(0)

        # The first one of an engine is looked at otherwise.
        async with far.engine.connect():
            event.listen(far.engine.sync_engine, "connect", lambda made, _: made.run_async(end), insert=True)
            with pytest.raises(DBAPIError, match="cannot switch to state") as error:
                await far.engine.connect()
        assert is_unavailable(error.value)
        proxy.cut()
        await far.close()
        await near.close()
