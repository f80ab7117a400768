"""Imports no aiogram."""

import sys
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path

import click

from bot.cli.stop_signals import StopAsked, stop_signals
from bot.errors import CommandError
from bot.runtime.database_startup import current_database, settings_or_stop
from bot.settings import Settings
from services.accounts.people import People
from services.clock import utc_now
from services.ingest.imports import Import, ImportResult, Imports, ImportTakenError
from services.sources.base import SourceError
from services.sources.export.file import ExportFile, fingerprint
from storage.db.engine import Database, is_unavailable

AGAIN = "The same command goes on from there."
HELD = "Left out, messages of personal chats and private groups: {count:,}. With --personal they are tagged, too."


async def run_import(path: Path, telegram_id: int | None, *, personal: bool) -> int:
    """Import a file for a user. Raises CommandError if the file, the user or the database cannot be used."""
    settings = settings_or_stop()
    try:
        mark = fingerprint(path)
    except SourceError as error:
        raise CommandError(str(error)) from None
    with stop_signals() as stop, _database_in_words():
        async with current_database(settings) as database:
            user_id = await _user_id(database, settings, telegram_id)
            # A running bot's worker finds the posts by PostgreSQL's notification, or at its next tick.
            imports = Imports(database, lambda: None, utc_now)
            work = await imports.begin(user_id, fingerprint=mark, file_name=path.name)
            return await _import(imports, work, path, stop, personal=personal)


async def _import(imports: Imports, work: Import, path: Path, stop: StopAsked, *, personal: bool) -> int:
    if work.done.messages:
        click.echo(f"Going on after {work.done.messages:,} messages, which are imported.", err=True)
    done = work.done
    try:
        with _progress(path) as show:
            source = ExportFile(path)
            async with aclosing(imports.steps(work, source)) as steps:
                async for step in steps:
                    done = step
                    show(source.bytes_read)
                    if stop.event.is_set():
                        break
    except SourceError as error:
        await imports.finish(work, str(error))
        if done.messages:
            click.echo("\n".join(summary_lines(done)))
        raise CommandError(str(error)) from None
    except ImportTakenError:
        raise CommandError("Another process imports this file already, or the user was deleted.") from None
    if stop.event.is_set():
        click.echo(f"Stopped after {done.messages:,} messages, which are imported. {AGAIN}", err=True)
        return stop.status
    if personal:
        await imports.tag_held(work)
    await imports.finish(work)
    click.echo("\n".join(summary_lines(done)))
    if done.held_posts and not personal:
        click.echo(HELD.format(count=sum(done.held_posts.values())))
    return 0


@contextmanager
def _database_in_words() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if not is_unavailable(error):
            raise
        raise CommandError(f"The database does not answer ({type(error).__name__}). {AGAIN}") from None


async def _user_id(database: Database, settings: Settings, telegram_id: int | None) -> int:
    who = telegram_id or next(iter(settings.admin_ids), None)
    if who is None:
        raise CommandError(
            "Whose posts are these? Name a user of the bot with --user TELEGRAM_ID, "
            "or put your own Telegram id into ADMIN_IDS in .env."
        )
    async with database.write() as session:
        user_id = await People(database, settings.admin_ids, utc_now).account_of(session, who)
    if user_id is None:
        raise CommandError(
            f"--user: nobody with the Telegram id {who} uses the bot. "
            "They have to press Start, and an administrator has to let them in."
        )
    return user_id


@contextmanager
def _progress(path: Path) -> Iterator[Callable[[int], None]]:
    size, hidden = path.stat().st_size, not sys.stderr.isatty()
    with click.progressbar(length=size, label="Importing", file=sys.stderr, hidden=hidden) as bar:

        def show(bytes_read: int) -> None:
            bar.update(bytes_read - bar.pos)

        yield show


def summary_lines(done: ImportResult) -> list[str]:
    lines = [
        f"Messages: {done.messages:,}, chats with posts: {done.chats:,}"
        + (f", of them personal: {done.personal:,}" if done.personal else ""),
        f"New posts: {done.new:,}" + (f" ({done.without_text:,} without text to tag)" if done.without_text else ""),
        f"Known already: {done.known:,}",
        f"With a newer text: {done.edited:,}",
    ]
    reasons = {
        "service": "service messages (somebody joined, a call, a pinned message, …)",
        "unreadable": "messages that cannot be read (without a number or a date)",
        "unsupported": "messages of kinds that Telegram Desktop leaves out",
        "damaged": "messages that could not be read, since the file is damaged there",
    }
    skipped = [(done.skipped.get(reason, 0), words) for reason, words in reasons.items()]
    return [*lines, *(f"Skipped: {count:,} {words}" for count, words in skipped if count)]
