"""Messages to the administrators that come unasked: the kind 'admin' of the outbox."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from bot.i18n import Html, Texts, escape
from bot.views import access
from bot.views.common import lines, paragraphs, shorten, whole
from bot.views.posts import watch
from bot.views.posts.reasons import WRONG_ADDRESS, outcome_name, reason


def alert(t: Texts, payload: Mapping[str, Any]) -> Html:
    known: dict[object, Callable[[], Html]] = {
        "access": lambda: access.request(t, payload),
        "approved": lambda: access.approved(t),
        "declined": lambda: access.declined(t),
        "watch_lost": lambda: watch.lost(t, payload),
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
    found = str(payload.get("reason") or "").lower()
    head = t._("⛔ <b>Tagging is paused: the provider refuses the account</b>")
    again = t._(
        "Then press the button: one request is sent, and if it succeeds everything goes on. Posts wait and lose "
        "nothing."
    )
    if "request was not accepted" in found:
        head = t._("⛔ <b>Tagging is paused: the server refuses every request</b>")
        todo = t._(
            "It is not the posts' fault. Look at what the server says, and at OPENROUTER_MODEL and OPENROUTER_BASE_URL "
            "in .env; a change takes a restart."
        )
    elif "out of credit" in found:
        head = t._("⛔ <b>Tagging is paused: the account at the provider is out of credit</b>")
        todo = t._("Top up the account at the provider, or raise the key's limit there. No restart is needed.")
    elif "privacy or provider settings" in found:
        todo = t._(
            "Change the setting that is named above in the account at the provider, or name other models in .env, "
            "which takes a restart."
        )
    else:
        todo = t._("Check the key and its limits at the provider. A new key goes into .env, and takes a restart.")
    return paragraphs(head, _detail(t, payload), todo, again)


#: Faults that end without anybody's help: the server is busy, starts, or is away behind its proxy.
_PASSING = re.compile(r"^http (?:408|502|503|504|52\d)\b|no answer within|answer was empty|no capacity", re.IGNORECASE)


def _outage(t: Texts, payload: Mapping[str, Any]) -> Html:
    found = str(payload.get("reason") or "").partition(": “")[0].lower()
    if any(wording in found for wording in WRONG_ADDRESS):
        return paragraphs(
            t._("⛔ <b>Tagging is paused: the provider's address is wrong</b>"),
            _detail(t, payload),
            t._(
                "Correct OPENROUTER_BASE_URL in .env (it usually ends with /v1) and restart the bot; python -m bot "
                "doctor checks it. Posts wait and lose nothing."
            ),
        )
    if _PASSING.search(found) or not found:
        todo = t._("Nothing needs to be done: posts wait, the bot asks again by itself and tells you when it is over.")
    elif "certificate is refused" in found:
        todo = None
    elif "proxy" in found:
        todo = t._(
            "Check the proxy that HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names. Posts wait, the bot asks again by itself "
            "and tells you when it is over."
        )
    else:
        todo = t._(
            "Posts wait, the bot asks again by itself and tells you when it is over. If it lasts: see what the server "
            "says, whether it runs, and whether OPENROUTER_BASE_URL in .env is right."
        )
    return paragraphs(t._("⚠️ <b>Tagging is paused: the provider fails</b>"), _detail(t, payload), todo)


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


def database_unwritable(t: Texts, reason: str) -> Html:
    return paragraphs(
        t._("⛔ <b>The database cannot be written</b>"),
        Html(f"<code>{escape(shorten(reason, 200))}</code>"),
        t._(
            "Nothing is stored or tagged meanwhile. Make room on the disk, or let the bot write to the file: "
            "everything then goes on by itself."
        ),
    )


def database_writable(t: Texts) -> Html:
    return t._("✅ The database can be written again.")


def _detail(t: Texts, payload: Mapping[str, Any]) -> Html | None:
    """The reason in plain words with the server's own, and below it what was recorded, if that says more."""
    text = str(payload.get("reason") or "")
    if not text:
        return None
    shown, recorded = reason(t, text), escape(shorten(text.partition(": “")[0], 200))
    return lines(shown, Html(f"<code>{recorded}</code>") if recorded != shown else None)


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
