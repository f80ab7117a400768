"""Words to strangers, and to the administrators about them and about the provider."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from bot.i18n import Html, Texts, escape
from bot.views.channel_news import channel_news
from bot.views.common import lines, paragraphs, shorten, whole
from bot.views.reasons import outcome_name, reason


def stranger(t: Texts) -> Html:
    """Told once to whoever may not use the bot."""
    return t._("This bot is private. /start asks the administrators to let you in.")


def no_administrators(t: Texts, telegram_id: int) -> Html:
    """To a stranger, who may well be the owner, while there is nobody to ask."""
    return t._(
        "This bot has no administrator yet. If it is yours: put your Telegram id, <code>{id}</code>, into "
        "<code>ADMIN_IDS</code> in .env and start the bot again.",
        # Not a number to be grouped: it is copied.
        id=str(telegram_id),
    )


def asked(t: Texts) -> Html:
    """Told once to a stranger whose request is with the administrators."""
    return t._("This bot is private. I have asked the administrators; you will hear from me when they decide.")


def asked_already(t: Texts) -> Html:
    """To another /start of a stranger whose request waits."""
    return t._("I have asked the administrators already; you will hear from me when they decide.")


def declined(t: Texts) -> Html:
    """What became of a stranger's request."""
    return t._("The administrators declined your request.")


def admin(t: Texts, payload: Mapping[str, Any]) -> Html:
    """A message of kind 'admin': what happened, and what to do."""
    known: dict[object, Callable[[], Html]] = {
        "access": lambda: _request(t, payload),
        "approved": lambda: t._("✅ You may use the bot now. /help says how."),
        "declined": lambda: declined(t),
        "account": lambda: _account(t, payload),
        "outage": lambda: _outage(t, payload),
        "models_gone": lambda: _models_gone(t, payload),
        "failing": lambda: _failing(t, payload),
        "unreadable": lambda: channel_news(t, payload),
        "readable": lambda: channel_news(t, payload),
        "recovered": lambda: t._("✅ The provider answers again; posts are being tagged."),
    }
    render = known.get(payload.get("text"))
    return render() if render else _other(t, payload)


def _other(t: Texts, payload: Mapping[str, Any]) -> Html:
    return lines(t._("⚠️ {text}", text=shorten(str(payload.get("text")), 200)), _detail(t, payload))


def _request(t: Texts, payload: Mapping[str, Any]) -> Html:
    username = payload.get("username")
    return lines(
        t._("👤 <b>{name}</b> asks to use the bot", name=shorten(str(payload.get("name") or "—"), 80)),
        escape(f"@{shorten(str(username), 40)}") if username else None,
        Html(f"<code>{escape(payload.get('person'))}</code>"),
    )


def _account(t: Texts, payload: Mapping[str, Any]) -> Html:
    return paragraphs(
        t._("⛔ <b>Tagging is paused: the provider refuses the account</b>"),
        _detail(t, payload),
        t._(
            "Check the key, its limits and the credit at the provider. Then press the button: one request is sent, and "
            "if it succeeds everything goes on. A new key goes into .env, and takes a restart. Posts wait and lose "
            "nothing."
        ),
    )


def _outage(t: Texts, payload: Mapping[str, Any]) -> Html:
    return paragraphs(
        t._("⚠️ <b>Tagging is paused: the provider fails</b>"),
        _detail(t, payload),
        t._("Nothing needs to be done: posts wait, the bot asks again by itself and tells you when it is over."),
    )


def _models_gone(t: Texts, payload: Mapping[str, Any]) -> Html:
    return paragraphs(
        t._("⛔ <b>Tagging is paused: none of the models is offered any more</b>"),
        _detail(t, payload),
        t._(
            "Name others in OPENROUTER_MODEL and OPENROUTER_FALLBACK_MODELS in .env (openrouter/free always picks one "
            "that there is) and restart the bot. Posts wait and lose nothing."
        ),
    )


def _failing(t: Texts, payload: Mapping[str, Any]) -> Html:
    failed, attempts = whole(payload.get("failed")), whole(payload.get("attempts"))
    counts = payload.get("reasons")
    reasons = sorted(counts.items(), key=lambda item: -whole(item[1])) if isinstance(counts, Mapping) else []
    return paragraphs(
        t._("⚠️ <b>Many attempts fail: {failed} of {attempts} in the last hour</b>", failed=failed, attempts=attempts),
        lines(*(Html(f"• {outcome_name(t, str(name))}: {t.number(whole(n))}") for name, n in reasons)) or None,
        t._(
            "Posts are tried again by themselves. If it goes on: unusable answers and refused texts call for another "
            "model (OPENROUTER_MODEL, OPENROUTER_FALLBACK_MODELS in .env); server errors and silence are the "
            "provider's. /failed shows each post's reason."
        ),
    )


def _detail(t: Texts, payload: Mapping[str, Any]) -> Html | None:
    text = payload.get("reason") or payload.get("detail")
    until = _moment(payload.get("until"))
    shown = reason(t, str(text)) if text else None
    raw = escape(shorten(str(text), 200)) if text else None
    return (
        lines(
            shown,
            Html(f"<code>{raw}</code>") if raw is not None and raw != shown else None,
            t._("Until {at}", at=until) if until else None,
        )
        or None
    )


def _moment(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def decided(t: Texts, *, approved: bool, by: str) -> Html:
    """What the administrators' message says after the decision."""
    return (
        t._("✅ Approved by {name}", name=shorten(by, 60))
        if approved
        else t._("🚫 Declined by {name}", name=shorten(by, 60))
    )
