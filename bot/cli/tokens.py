from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import click

from bot.errors import CommandError
from bot.runtime.database_startup import current_database, settings_or_stop
from services.accounts.people import People
from services.accounts.tokens import Tokens, UnknownPersonError
from services.clock import utc_now


async def create_token(telegram_id: int) -> int:
    async with _tokens() as tokens:
        try:
            token = await tokens.create(telegram_id)
        except UnknownPersonError:
            raise CommandError(
                f"--user: nobody with the Telegram id {telegram_id} uses the bot. "
                "They have to press Start, and an administrator has to let them in."
            ) from None
    click.echo(token)
    click.echo("Keep it: it is not shown again. It goes into the header Authorization: Bearer <token>.", err=True)
    return 0


async def list_tokens() -> int:
    async with _tokens() as tokens:
        listed = await tokens.list()
    for token in listed:
        made = token.created_at.strftime("%Y-%m-%d %H:%M UTC")
        click.echo(f"{token.id}  {token.prefix}…  {made}  user {token.telegram_id} {token.name or ''}".rstrip())
    if not listed:
        click.echo("No tokens. Make one: .venv/bin/python -m bot token create --user TELEGRAM_ID")
    return 0


async def revoke_token(token_id: int) -> int:
    async with _tokens() as tokens:
        if not await tokens.revoke(token_id):
            raise CommandError(f"There is no token {token_id}: python -m bot token list shows them.")
    click.echo(f"Token {token_id} is revoked.")
    return 0


@asynccontextmanager
async def _tokens() -> AsyncIterator[Tokens]:
    settings = settings_or_stop()
    async with current_database(settings) as database:
        yield Tokens(database, People(database, settings.admin_ids, utc_now), utc_now)
