"""Checks of the bot's token and of what Telegram knows of the bot."""

from bot.cli.doctor.check import CheckFailed
from bot.cli.doctor.http import get_json
from bot.settings import Settings


async def check_telegram(settings: Settings) -> str:
    if settings.bot_token is None:
        raise CheckFailed("BOT_TOKEN is empty: get one from https://t.me/BotFather and put it into .env")
    base = settings.telegram_api_url or "https://api.telegram.org"
    url = f"{base}/bot{settings.bot_token.get_secret_value()}/getMe"
    answer = await get_json(url, {}, "Telegram", settings.proxies)
    if answer.status in {401, 404}:
        raise CheckFailed("Telegram does not accept BOT_TOKEN: copy it again from BotFather")
    result = answer.body.get("result") if isinstance(answer.body, dict) else None
    if answer.status != 200 or not isinstance(result, dict):
        raise CheckFailed(f"{base} answers HTTP {answer.status}, and not as Telegram does: check TELEGRAM_API_URL")
    return f"@{result.get('username')}"
