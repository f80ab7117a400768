import os
import stat
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import click

from bot.errors import CommandError
from bot.runtime.database_startup import current_database, settings_or_stop
from services.library.export import Exporter, ExportFormat, heading
from storage.db.engine import is_unavailable


async def run_export(telegram_id: int | None, form: str, *, everything: bool, output: str | None) -> int:
    async with _source(telegram_id) as (exporting, user_id):
        try:
            with _target(output) as target:
                count = await _copy(exporting, user_id, ExportFormat(form), target, everything=everything)
        except BrokenPipeError:
            # The reader has seen enough (`| head`).
            return 1
        except Exception as error:
            if not is_unavailable(error):
                raise
            raise CommandError("The database does not answer any more: the export is not whole. Try again.") from None
    click.echo(f"Posts: {count}" if count else "No posts: there is nothing to export.", err=True)
    return 0


class _Target:
    def __init__(self, file: BinaryIO, name: str | None) -> None:
        self.file = file
        self.is_file = name is not None
        self._name = name or "stdout"

    def write(self, data: bytes) -> None:
        with _file_errors(self._name):
            self.file.write(data)

    def finish(self) -> None:
        with _file_errors(self._name):
            self.file.flush()
            if self.is_file:
                os.fsync(self.file.fileno())


async def _copy(exporting: Exporter, user_id: int, form: ExportFormat, target: _Target, *, everything: bool) -> int:
    count = 0
    target.write(heading(form, bom=target.is_file))
    async with aclosing(exporting.chunks(user_id, form, tagged_only=not everything)) as chunks:
        async for block in chunks:
            target.write(block.data)
            count += block.posts
    target.finish()
    return count


@asynccontextmanager
async def _source(telegram_id: int | None) -> AsyncIterator[tuple[Exporter, int]]:
    settings = settings_or_stop()
    async with current_database(settings) as database:
        exporting = Exporter(database)
        who = telegram_id or next(iter(settings.admin_ids), None)
        if who is None:
            raise CommandError("--user: name the Telegram id of the user whose posts you want, or set ADMIN_IDS.")
        user_id = await exporting.user_of(who)
        if user_id is None:
            raise CommandError(f"--user: nobody with the Telegram id {who} uses the bot.")
        yield exporting, user_id


@contextmanager
def _target(output: str | None) -> Iterator[_Target]:
    """Yield where to write. A file gets its name once it is whole; an earlier file stays until then."""
    if output is None:
        with _stdout() as file:
            yield _Target(file, None)
        return
    path = Path(output)
    if path.exists() and not path.is_file():
        raise CommandError(f"--output: {output} is no file. Without --output the posts go to stdout.")
    with _file_errors(output):
        descriptor, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if path.exists():
                os.fchmod(descriptor, stat.S_IMODE(path.stat().st_mode))
            yield _Target(file, output)
        with _file_errors(output):
            Path(beside).replace(path)
    finally:
        with suppress(FileNotFoundError):
            Path(beside).unlink()


@contextmanager
def _stdout() -> Iterator[BinaryIO]:
    try:
        yield sys.stdout.buffer
    except (BrokenPipeError, CommandError):
        # At exit Python would try again to write what is buffered.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


@contextmanager
def _file_errors(name: str) -> Iterator[None]:
    """Turn the file system's errors into CommandError. The database's may be of the same class."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CommandError(f"{name} cannot be written: {error.strerror}.") from None
