"""What is said of a database that cannot be used: what is wrong, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import make_url

from bot.errors import StartError
from bot.runtime import database_startup
from bot.settings import Settings
from storage.db.engine import parse_url, shown


async def refusal(url: str) -> str:
    """Why the database cannot be reached."""
    with pytest.raises(StartError) as error:
        await reach(url)
    return str(error.value)


async def reach(url: str) -> None:
    """As every command does."""
    database = database_startup.connect(parse_url(url))
    try:
        await database_startup.reach(database)
    finally:
        await database.close()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What could pass by itself is not waited for."""
    monkeypatch.setattr(database_startup, "REACH_SECONDS", 0.1)


async def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = await refusal(f"sqlite:///{tmp_path}/file/metka.db")
    assert said.startswith(f"The database's folder {tmp_path}/file cannot be made (")
    assert "DATABASE_URL" in said
    assert "/proc/x cannot be made" in await refusal("sqlite:////proc/x/metka.db")


async def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path) -> None:
    """Nothing is left beside it either."""
    path = tmp_path / "README.md"
    path.write_text("words " * 1000)
    settings = Settings.model_validate({"database_url": f"sqlite:///{path}"})
    with pytest.raises(StartError, match=f"The file of sqlite:///{path} is no SQLite database.*in DATABASE_URL"):
        async with database_startup.open_database(settings):
            pass
    assert [each.name for each in path.parent.iterdir()] == ["README.md"]
    assert path.read_text() == "words " * 1000


@pytest.mark.usefixtures("hurried")
async def test_of_a_file_nothing_is_said_of_servers(tmp_path: Path) -> None:
    said = await refusal(f"sqlite:///{tmp_path}")
    assert said.startswith(f"The database sqlite:///{tmp_path} cannot be used (unable to open database file). ")
    assert "server" not in said


async def test_a_user_who_is_refused(postgres_server: str) -> None:
    """At once, though a server that is away is waited for."""
    url = make_url(postgres_server).set(username="metka_nobody", password="hunter2")
    said = await refusal(url.render_as_string(hide_password=False))
    assert said.startswith(f"The database {shown(url)} refuses the user or the password (")
    assert "metka_nobody" in said
    assert "hunter2" not in said


async def test_a_database_that_is_not_there(postgres_server: str) -> None:
    url = make_url(postgres_server).set(database="metka_nowhere")
    said = await refusal(url.render_as_string(hide_password=False))
    assert said.startswith(f"The server of {shown(url)} has no such database (")
    assert "Create it" in said


@pytest.mark.usefixtures("hurried")
async def test_a_server_that_is_away() -> None:
    away = "The database postgresql://a:***@{} does not answer ({}). Check DATABASE_URL and that the server runs."
    said = await refusal("postgres://a:hunter2@nowhere.invalid/b")
    assert said == away.format("nowhere.invalid/b", "no such host")
    said = await refusal("postgresql://a:hunter2@127.0.0.1:1/b")
    assert said == away.format("127.0.0.1:1/b", "ConnectionRefusedError")


def test_an_address_is_shown_as_it_was_written_but_for_passwords() -> None:
    assert shown(parse_url("sqlite:///data/metka.db")) == "sqlite:///data/metka.db"
    assert shown(parse_url("postgresql+psycopg://a:hunter2@b:5/c?password=hunter3")) == "postgresql://a:***@b:5/c"
