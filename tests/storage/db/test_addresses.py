"""PostgreSQL's addresses as libpq and the servers' owners write them: they work, or one line says what does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from bot.errors import StartError
from bot.runtime import database_startup
from storage.db.coordination import Coordination
from storage.db.engine import Database, DatabaseUrlError, parse_url, shown

SESSION = "SELECT current_setting('application_name') || '|' || current_setting('search_path')"
SOCKET = Path("/var/run/postgresql/.s.PGSQL.5432")
ORDINARY = '|"$user", public'


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What could pass by itself is not waited for, and no file of this machine's owner is read."""
    monkeypatch.setattr(database_startup, "REACH_SECONDS", 0.1)
    monkeypatch.setenv("HOME", "/nonexistent")


def filled(address: str, server: str) -> str:
    url = make_url(server)
    login = f"{url.username}:{url.password}" if url.password else str(url.username)
    return address.format(login=login, user=url.username, host=url.host, port=url.port or 5432, name=url.database)


async def session_of(address: str) -> str:
    """The settings of a session at the address, reached as every command does."""
    database = database_startup.connect(parse_url(address))
    try:
        await database_startup.reach(database)
        async with database.read() as session:
            return str(await session.scalar(text(SESSION)))
    finally:
        await database.close()


@pytest.mark.parametrize(
    ("address", "session"),
    [
        ("postgres://{login}@{host}:{port}/{name}", ORDINARY),
        ("postgresql+psycopg2://{login}@{host}:{port}/{name}", ORDINARY),
        ("  postgresql://{login}@{host}:{port}/{name}?sslmode=prefer&channel_binding=require\n", ORDINARY),
        ("postgresql://{login}@{host}:{port}/{name}?sslmode=disable&gssencmode=disable&keepalives=1", ORDINARY),
        ("postgresql://{login}@{host}:{port}/{name}?ssl=false", ORDINARY),
        ("postgresql://{login}@{host}:{port}/{name}?application_name=metka&connect_timeout=0", f"metka{ORDINARY}"),
        ("postgresql://{login}@{host}:{port}/{name}?options=-c%20search_path%3Dpg_catalog", "|pg_catalog"),
        ("postgresql://{login}@{host}:{port}/{name}?schema=public&pgbouncer=true&connection_limit=1", ORDINARY),
        ("postgresql://{login}@{host}:{port}/{name}?schema=other", "|other"),
        ("postgresql://{login}@127.0.0.1:1,{host}:{port}/{name}?target_session_attrs=read-write", ORDINARY),
        ("postgresql://{login}@/{name}?host=127.0.0.1,{host}&port=1,{port}", ORDINARY),
        ("postgresql://{host}:{port}?dbname={name}&user={user}", ORDINARY),
    ],
)
async def test_addresses_that_work(postgres_server: str, address: str, session: str) -> None:
    assert await session_of(filled(address, postgres_server)) == session


@pytest.mark.skipif(not SOCKET.exists(), reason="the server has no socket here")
@pytest.mark.parametrize(
    "address",
    ["postgresql://{login}@/{name}?host=/var/run/postgresql", "postgresql://{login}@%2Fvar%2Frun%2Fpostgresql/{name}"],
)
async def test_a_unix_socket(postgres_server: str, address: str) -> None:
    try:
        assert await session_of(filled(address, postgres_server)) == ORDINARY
    except StartError as error:
        # A server that takes this machine's users only under their own names.
        assert "refuses the user" in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ("foo=1&bar=2", "has parameters that Metka does not know: bar, foo"),
        ("require_auth=scram-sha-256", "has parameters that Metka does not know: require_auth"),
        ("sslmode=perhaps", "has sslmode=perhaps: it must be one of allow, disable"),
        ("target_session_attrs=fast", "has target_session_attrs=fast: it must be one of any"),
        ("sslrootcert=/nowhere.crt", "has sslrootcert=/nowhere.crt: there is no such file"),
        ("connect_timeout=soon", "has a connect_timeout that is no number of seconds"),
        ("host=a&host=b&port=1", "Can't mix"),
    ],
)
def test_parameters_that_are_refused(parameters: str, words: str) -> None:
    with pytest.raises(DatabaseUrlError) as error:
        parse_url(f"postgresql://a:hunter2@b/c?{parameters}")
    assert str(error.value).startswith(words)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://a:hunter2@b,c:port/d",
        "postgresql://a:hunter2@[::1/d",
        "postgresql://a:hunter2@b:port/d",
        "postgresql://a:hunter2@b:65536/d",
        "postgresql://a:begin@of/hunter2@b/d",
        "postgresql://a:begin@hunter2/of@b/d",
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(DatabaseUrlError) as error:
        parse_url(address)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("postgresql://{login}@{host}:{port}/{name}?sslmode=require", "has no encryption: write sslmode=prefer"),
        ("postgresql://{login}@{host}:{port}/{name}?sslmode=verify-full", "has no encryption"),
        ("postgresql://{login}@{host}:{port}/{name}?sslmode=no-verify", "has no encryption"),
        (
            "postgresql://{login}@{host}:{port}/{name}?options=-c%20nope%3D1",
            'unrecognized configuration parameter "nope"',
        ),
        ("postgresql://{login}@{host}:{port}/{name}?target_session_attrs=standby", "does not answer (TargetServer"),
        ("postgresql://a:hunter2@" + "x" * 80 + ".org/b", "cannot be used (UnicodeError). Check DATABASE_URL."),
    ],
)
async def test_addresses_at_which_no_session_begins(postgres_server: str, address: str, words: str) -> None:
    """One line, without the password."""
    with pytest.raises(StartError) as error:
        await session_of(filled(address, postgres_server))
    assert words in str(error.value)
    assert "hunter2" not in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_several_hosts_are_shown_by_the_first() -> None:
    assert shown(parse_url("postgresql://a:hunter2@b:1,c:2/d?user=e")) == "postgresql://e:***@b/d"
    assert parse_url("postgresql://b/d?password=hunter2").password == "hunter2"


@pytest.mark.parametrize(
    ("address", "is_behind_pooler"),
    [
        ("postgresql://a@aws-0-eu-central-1.pooler.supabase.com:6543/postgres", True),
        ("postgresql://a@aws-0-eu-central-1.pooler.supabase.com:5432/postgres", False),
        ("postgresql://a@ep-cool-a1-pooler.eu-central-1.aws.neon.tech/b?sslmode=require&channel_binding=require", True),
        ("postgresql://a@ep-cool-a1.eu-central-1.aws.neon.tech/b?sslmode=require", False),
        ("postgres://a@ec2-1-2-3-4.compute-1.amazonaws.com:5432/b", False),
        ("postgresql://a@b/c?pgbouncer=true", True),
        ("sqlite:///pgbouncer.db", False),
    ],
)
async def test_what_is_a_pooler_of_transactions(tmp_path: Path, address: str, is_behind_pooler: bool) -> None:
    database = Database(parse_url(address.replace("///", f"///{tmp_path}/")))
    assert database.is_behind_pooler is is_behind_pooler
    await database.close()


async def test_behind_a_pooler_no_statement_is_prepared_for_later(migrated_url: str) -> None:
    """The next transaction may run on another of the server's connections. And the only bot leads without a lock."""
    if not migrated_url.startswith("postgres"):
        pytest.skip("of PostgreSQL")
    database = Database(parse_url(f"{migrated_url}?pgbouncer=true"))
    async with database.write() as session:
        for number in range(3):
            await session.execute(text("SELECT CAST(:number AS int)"), {"number": number})
        assert await session.scalar(text("SELECT count(*) FROM pg_prepared_statements WHERE NOT from_sql")) == 0
        idle = await session.scalar(text("SELECT setting FROM pg_settings WHERE name LIKE 'idle_in_transaction_s%'"))
        assert idle == "0"
    coordination = Coordination(database, {})
    coordination.stop()
    await coordination.run()
    assert coordination.holds_lock
    await database.close()
