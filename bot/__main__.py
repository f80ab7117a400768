"""The command line. Commands are imported when they run: aiogram alone takes seconds."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import click
from dotenv import dotenv_values

from bot import __version__
from bot.errors import CommandError, StartError


def _run(main: Coroutine[Any, Any, int]) -> None:
    try:
        sys.exit(asyncio.run(main))
    except StartError as error:
        sys.exit(f"Metka cannot start. {error}")
    except CommandError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)


def _use_own_ca() -> None:
    """OpenSSL and aiohttp read SSL_CERT_FILE from the environment, and aiohttp does so while it is imported."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        if value := dotenv_values(".env").get(name):
            os.environ.setdefault(name, value)


def _of_user(text: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The option --user of a command."""
    number = click.IntRange(1, 2**63 - 1)
    return click.option("--user", "telegram_id", type=number, metavar="TELEGRAM_ID", show_default=False, help=text)


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="Metka")
@click.pass_context
def main(context: click.Context) -> None:
    """Metka tags the posts of your Telegram channels. Without a command: run the bot with the settings of .env."""
    # What Metka makes holds posts, and perhaps the parser's credentials: database, backups, exports.
    os.umask(0o077)
    _use_own_ca()
    if context.invoked_subcommand is None:
        from bot.runtime.app import run_bot  # noqa: PLC0415

        _run(run_bot())


@main.command()
@click.option("--metrics", metavar="HOST:PORT", help="Serve this worker's /metrics there, to anybody who can reach it.")
def worker(metrics: str | None) -> None:
    """Only tag: no Telegram, no token. Beside a bot it needs PostgreSQL; start as many as you like."""
    from bot.runtime.worker_process import run_worker  # noqa: PLC0415

    _run(run_worker(metrics))


@main.command()
def migrate() -> None:
    """Bring the database up to date; takes over a Telegram Channel Parser database as it is."""
    from bot.cli.migrate import run_migrate  # noqa: PLC0415

    _run(run_migrate())


@main.command()
def doctor() -> None:
    """Check settings, database, Telegram and the models' provider, and say what to do."""
    from bot.cli.doctor.run import run_doctor  # noqa: PLC0415

    _run(run_doctor())


@main.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@_of_user("For whom. Without it: for the first of ADMIN_IDS.")
@click.option("--personal", is_flag=True, help="Also tag personal chats and private groups of a whole account.")
def import_file(file: Path, telegram_id: int | None, *, personal: bool) -> None:
    """Store the posts of a Telegram Desktop export (FILE: its result.json). The same command goes on after a stop."""
    from bot.cli.import_file import run_import  # noqa: PLC0415

    _run(run_import(file, telegram_id, personal=personal))


@main.command()
@_of_user("Whose posts. Without it: those of the first of ADMIN_IDS.")
@click.option("--format", "form", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True)
@click.option("--all", "everything", is_flag=True, help="Also posts that have no tags.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="A file, which is there when it is whole. Without it: stdout.",
)
def export(telegram_id: int | None, form: str, everything: bool, output: str | None) -> None:
    """Write a user's tagged posts as CSV or JSON Lines, the newest first."""
    from bot.cli.export import run_export  # noqa: PLC0415

    _run(run_export(telegram_id, form, everything=everything, output=output))


@main.group()
def token() -> None:
    """Tokens of the HTTP API that reach the posts of one user (API_TOKEN reaches everything)."""


@token.command("create")
@click.option("--user", "telegram_id", type=click.IntRange(1, 2**63 - 1), required=True, metavar="TELEGRAM_ID")
def create_token(telegram_id: int) -> None:
    """Make a token for a user, and print it this once."""
    from bot.cli.tokens import create_token  # noqa: PLC0415

    _run(create_token(telegram_id))


@token.command("list")
def list_tokens() -> None:
    """Show the tokens: id, first characters, when made, whose."""
    from bot.cli.tokens import list_tokens  # noqa: PLC0415

    _run(list_tokens())


@token.command("revoke")
@click.argument("token_id", type=click.IntRange(1, 2**63 - 1))
def revoke_token(token_id: int) -> None:
    """Make a token worthless at once."""
    from bot.cli.tokens import revoke_token  # noqa: PLC0415

    _run(revoke_token(token_id))


if __name__ == "__main__":
    main(prog_name="python -m bot")
