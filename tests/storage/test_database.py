"""What of the database's errors passes by itself."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, event
from sqlalchemy.exc import DisconnectionError, InvalidRequestError

from storage.database import is_unavailable


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
