"""Checks of .env and the environment."""

from bot.cli.doctor.check import CheckWarning
from bot.settings import APPOINT, Settings, unknown_names


async def check_names(_: Settings) -> str:
    unknown = unknown_names()
    if unknown:
        raise CheckWarning("; ".join(map(str, unknown)))
    return ""


async def check_administrators(settings: Settings) -> str:
    if not settings.admin_ids:
        raise CheckWarning(f"ADMIN_IDS is empty, so nobody can let you in: {APPOINT}")
    return ", ".join(map(str, settings.admin_ids))
