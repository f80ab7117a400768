from collections.abc import Mapping
from typing import Any

from bot.i18n import Html, Texts, escape
from bot.views.common import lines, shorten


def stranger(t: Texts) -> Html:
    return t._("This bot is private. To ask for access, send /start.")


def no_administrators(t: Texts, telegram_id: int) -> Html:
    """The stranger may be the owner."""
    return t._(
        "This bot has no administrator yet. If it is yours: put your Telegram id, <code>{id}</code>, into "
        "<code>ADMIN_IDS</code> in .env and start the bot again.",
        # As text: a number would get thousands separators, and this one is copied.
        id=str(telegram_id),
    )


def asked(t: Texts) -> Html:
    return t._("This bot is private. I have asked the administrators; you will hear from me when they decide.")


def asked_already(t: Texts) -> Html:
    return t._("I have asked the administrators already; you will hear from me when they decide.")


def declined(t: Texts) -> Html:
    return t._("Your request for access was declined.")


def approved(t: Texts) -> Html:
    return t._("✅ You have access now. Commands: /help")


def request(t: Texts, payload: Mapping[str, Any]) -> Html:
    username = payload.get("username")
    return lines(
        t._("👤 <b>{name}</b> asks to use the bot", name=shorten(str(payload.get("name") or "—"), 80)),
        escape(f"@{shorten(str(username), 40)}") if username else None,
        Html(f"<code>{escape(payload.get('person'))}</code>"),
    )


def decided(t: Texts, *, approved: bool, by: str) -> Html:
    return (
        t._("✅ Approved by {name}", name=shorten(by, 60))
        if approved
        else t._("🚫 Declined by {name}", name=shorten(by, 60))
    )
