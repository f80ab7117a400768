"""Messages to the administrators that come unasked: the kind 'admin' of the outbox."""

from collections.abc import Callable, Mapping
from typing import Any

from bot.i18n import Html, Texts, escape
from bot.views import access
from bot.views.common import lines, paragraphs, shorten, whole
from bot.views.reasons import outcome_name, reason


def alert(t: Texts, payload: Mapping[str, Any]) -> Html:
    known: dict[object, Callable[[], Html]] = {
        "access": lambda: access.request(t, payload),
        "approved": lambda: access.approved(t),
        "declined": lambda: access.declined(t),
        "account": lambda: _account(t, payload),
        "outage": lambda: _outage(t, payload),
        "models_gone": lambda: _models_gone(t, payload),
        "failing": lambda: _failing(t, payload),
        "unreadable": lambda: _unreadable(t, payload),
        "update_fields": lambda: _update_fields(t, payload),
        "readable": lambda: t._("✅ The pages of public channels can be read again."),
        "recovered": lambda: t._("✅ The provider answers again; posts are being tagged."),
    }
    render = known.get(payload.get("text"))
    return render() if render else _other(t, payload)


def _other(t: Texts, payload: Mapping[str, Any]) -> Html:
    return lines(t._("⚠️ {text}", text=shorten(str(payload.get("text")), 200)), _detail(t, payload))


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
    """The reason in plain words, and below it the provider's own words if they say more."""
    text = payload.get("reason")
    if not text:
        return None
    shown, raw = reason(t, str(text)), escape(shorten(str(text), 200))
    return lines(shown, Html(f"<code>{raw}</code>") if raw != shown else None)


def _update_fields(t: Texts, payload: Mapping[str, Any]) -> Html:
    return paragraphs(
        t._("⚠️ <b>I cannot read all that Telegram sends</b>"),
        Html(f"<code>{escape(shorten(str(payload.get('field')), 200))}</code>"),
        t._(
            "This field has another form than I know. What can be read is handled as usual. Look for a new version of "
            "Metka, or of the Bot API server if you run your own. I tell you of this once a day at most."
        ),
    )


def _unreadable(t: Texts, payload: Mapping[str, Any]) -> Html:
    name, some = shorten(str(payload.get("name") or ""), 64), whole(payload.get("some"))
    if some:
        return paragraphs(
            t.ngettext(
                "⚠️ <b>{count} message of @{name} cannot be understood</b>",
                "⚠️ <b>{count} messages of @{name} cannot be understood</b>",
                some,
                name=name,
            ),
            t._(
                "They are of a kind that I do not know, and were left out; the others are stored. Look for a new "
                "version."
            ),
        )
    return paragraphs(
        t._("⚠️ <b>The page of @{name} cannot be understood</b>", name=name),
        t._(
            "Telegram shows it in another form than I know. Nothing of it was stored; other channels may follow. I "
            "keep trying, and tell you when it works again. If it does not: look for a new version of Metka."
        ),
    )
