"""`python -m bot` beside the stand-ins: its settings, and the address of its HTTP API."""

from __future__ import annotations

import json
import os

from benchmarks.standins.process import Provider, Telegram
from benchmarks.standins.telegram import TOKEN
from tests.end_to_end.process import Bot


def settings(url: str, bot_api: Telegram, models: Provider | None = None, **more: str) -> dict[str, str]:
    """The defaults, except for addresses and names. Without `models` the bot tags nothing."""
    asked = {"OPENROUTER_BASE_URL": models.base_url, "OPENROUTER_API_KEY": "sk-benchmark"} if models else {}
    return {
        "PATH": os.environ["PATH"],
        "BOT_TOKEN": TOKEN,
        "TELEGRAM_API_URL": bot_api.url,
        "DATABASE_URL": url,
        "OPENROUTER_MODEL": "one/model",
        "HTTP_PORT": "0",
        "LOG_FORMAT": "json",
        **asked,
        **more,
    }


async def api(bot: Bot) -> str:
    """The address of the bot's HTTP API, whose port the bot chose itself."""
    await bot.logs("http_ready")
    line = next(line for line in bot.log.splitlines() if '"event": "http_ready"' in line)
    return f"http://127.0.0.1:{json.loads(line)['port']}"
