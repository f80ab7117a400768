from datetime import datetime
from typing import Any

from bot.i18n import Html, Texts, escape, join
from services.availability.provider_status import ProviderState
from services.library.bot_queries import PostCard
from services.text import units

SIGNS = {"success": "✅", "pending": "⏳", "retrying": "🔁", "failed": "❌", "skipped": "⏭"}
TITLE_UNITS = 80


def shorten(text: str, most: int) -> str:
    """Cut a text to one line of at most `most` UTF-16 units; surrogate pairs stay whole."""
    text = " ".join(text.encode("utf-8", "replace").decode().split())
    if units(text) <= most:
        return text
    cut = text.encode("utf-16-le")[: (most - 1) * 2].decode("utf-16-le", "ignore")
    return f"{cut.rstrip()}…"


def whole(value: Any) -> int:
    """An integer of an outbox payload; 0 for anything else."""
    return value if isinstance(value, int) else 0


def status_words(t: Texts) -> dict[str, Html]:
    return {
        "success": t._("tagged"),
        "pending": t._("waiting"),
        "retrying": t._("will retry"),
        "failed": t._("failed"),
        "skipped": t._("skipped"),
    }


def number(card: PostCard) -> str:
    return f"#{card.id}"


def channel(card: PostCard) -> Html:
    return Html(f"<b>{escape(shorten(card.channel_title or card.channel_username or '—', TITLE_UNITS))}</b>")


def beginning(card: PostCard, most: int) -> Html | None:
    text = shorten(card.text or "", most)
    return escape(text) if text else None


def tags(values: tuple[str, ...]) -> Html:
    shown = [Html(f"<code>{escape(shorten(tag, 50))}</code>") for tag in values[:15]]
    return join(" · ", shown)


def link(text: Html, url: str | None) -> Html:
    """Make the text a link if `url` is a web address."""
    if not url or not url.startswith(("https://", "http://")) or len(url) > 500:
        return text
    return Html(f'<a href="{escape(url)}">{text}</a>')


def lines(*parts: Html | None) -> Html:
    """One line for each part that is not None."""
    return join("\n", [part for part in parts if part is not None])


def paragraphs(*parts: Html | None) -> Html:
    """The parts that are not empty, separated by empty lines."""
    return join("\n\n", [part for part in parts if part])


def next_try(t: Texts, at: datetime | None) -> Html:
    return t._("Next try: {at}", at=at) if at is not None else t._("Next try: as soon as possible")


def disabled(t: Texts) -> Html:
    return t._(
        "⛔ Tagging is disabled: there is no API key. Posts wait until the administrator sets "
        "OPENROUTER_API_KEY in .env and restarts the bot."
    )


def provider(t: Texts, state: ProviderState, *, admin: bool = False) -> Html | None:
    """Why tagging is held up; None if it is not. `admin`: for an administrator, who has a message about it."""
    if state.state == "open":
        return None
    if state.state == "disabled":
        return disabled(t)
    names = {
        "paused": t._("⛔ Tagging is paused: the provider refuses the account."),
        "credit": t._("⛔ Tagging is paused: the account at the provider is out of credit."),
        "key": t._("⛔ Tagging is paused: the provider does not accept the API key."),
        "limited": t._("⏸ The provider's limit is reached; posts wait."),
        "down": t._("⏸ The provider does not answer; posts wait."),
        "gone": t._("⛔ None of the models is offered any more; posts wait."),
    }
    name = "gone" if _all_gone(state) else account_fault(state) or state.state
    return lines(names.get(name, names["down"]), _who_acts(t, name, admin=admin), _when(t, state))


def account_fault(state: ProviderState) -> str | None:
    """'credit' or 'key', if that is why the provider refuses the account."""
    found = (state.reason or "").partition(": “")[0].lower() if state.state == "paused" else ""
    return "credit" if "out of credit" in found else "key" if "api key was not accepted" in found else None


def _who_acts(t: Texts, name: str, *, admin: bool) -> Html | None:
    if name not in {"paused", "credit", "key", "gone"}:
        return None
    if not admin:
        return t._("The administrators have been told what to do.")
    if name == "credit":
        return t._("Top up the account at the provider, then press Try now in my message about it.")
    return t._("What to do is in the message that I sent you about it.")


def _all_gone(state: ProviderState) -> bool:
    gone = {each.model for each in state.aside if each.reason == "gone"}
    return state.state == "down" and gone.issuperset(state.models)


def _when(t: Texts, state: ProviderState) -> Html | None:
    if state.state == "limited":
        return t._("Until {at}", at=state.until) if state.until is not None else None
    since = t._("Since {at}", at=state.since) if state.since is not None else None
    return lines(since, next_try(t, state.until))
