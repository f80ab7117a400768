from collections.abc import Iterable, Sequence

from bot.i18n import Html, Texts
from bot.views.common import lines, shorten
from services.following.channel_names import MOST_NAMES, Reason, Unusable
from services.following.service import MOST_CHANNELS, AddOutcome, AddResult

UNUSABLE_SHOWN = 10


def offer(t: Texts, name: str) -> Html:
    return t._(
        "Shall I read the public channel @{name}? Press the button: its last posts get tags, and each new one.",
        name=name,
    )


def known(t: Texts, name: str) -> Html:
    return t._("You follow @{name} already: /channels", name=name)


def how_to_add(t: Texts) -> Html:
    return lines(
        t._("• <code>/add @name</code> or a t.me link, several at once too: I read the public channel"),
        t._("• reply /add to a post that you forwarded to me: I read its channel"),
        t._("• make me an administrator of a channel, also of a private one: I see its new posts"),
    )


def usage_remove(t: Texts) -> Html:
    return t._("Usage: <code>/remove @name</code> or a t.me link; /channels lists your channels")


def no_public_name(t: Texts) -> Html:
    return t._(
        "This channel has no public name, so I cannot read it. Make me its administrator to have its new posts, or "
        "forward me single ones."
    )


def reading(t: Texts, name: str) -> Html:
    return t._("⏳ Reading @{name}…", name=name)


def additions(t: Texts, added: Sequence[AddResult], unusable: Sequence[Unusable]) -> Html:
    names = {outcome: _names(each.name for each in added if each.outcome is outcome) for outcome in AddOutcome}
    told = {
        AddOutcome.NEW: t._("⏳ Reading: {names}", names=names[AddOutcome.NEW]),
        AddOutcome.KNOWN: t._("✅ Followed already; I look for new posts now: {names}", names=names[AddOutcome.KNOWN]),
        AddOutcome.TOO_MANY: t._(
            "🚫 You follow {most} channels, the maximum. Remove one first, then add {names}",
            most=MOST_CHANNELS,
            names=names[AddOutcome.TOO_MANY],
        ),
    }
    return lines(*(told[outcome] for outcome in AddOutcome if names[outcome]), *_unusable(t, unusable))


def removed(t: Texts, gone: Sequence[str], others: Sequence[str], unusable: Sequence[Unusable]) -> Html:
    """`gone`: channels removed; `others`: channels that were not followed."""
    return lines(
        t._("🗑 Unfollowed; their posts stay: {names}", names=_names(gone)) if gone else None,
        t._("🚫 You don't follow: {names}", names=_names(others)) if others else None,
        *_unusable(t, unusable),
    )


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"@{name}" for name in names)


def _unusable(t: Texts, unusable: Sequence[Unusable]) -> list[Html]:
    words = {
        reason: ", ".join(shorten(each.word, 64) for each in unusable[:UNUSABLE_SHOWN] if each.reason is reason)
        for reason in Reason
    }
    told = {
        Reason.PRIVATE: t._(
            "🔒 Private, so I cannot read it (make me an administrator there): {words}", words=words[Reason.PRIVATE]
        ),
        Reason.NO_CHANNEL: t._("🚫 Not a link to a channel: {words}", words=words[Reason.NO_CHANNEL]),
        Reason.NO_NAME: t._(
            "🚫 Not a channel's name (one looks like @name or t.me/name): {words}", words=words[Reason.NO_NAME]
        ),
        Reason.TOO_MANY: t._(
            "🚫 More than {most} at once; send the rest by itself: {words}",
            most=MOST_NAMES,
            words=words[Reason.TOO_MANY],
        ),
    }
    more = len(unusable) - UNUSABLE_SHOWN
    return [
        *(told[reason] for reason in Reason if words[reason]),
        *([t.ngettext("and {count} more", "and {count} more", more)] if more > 0 else []),
    ]


def followed(t: Texts, added: AddResult) -> str:
    name = added.name
    match added.outcome:
        case AddOutcome.NEW:
            return t.plain("Reading…")
        case AddOutcome.KNOWN:
            return t.plain("You follow @{name} already.", name=name)
        case AddOutcome.TOO_MANY:
            return t.plain("You follow {most} channels, the maximum. Remove one first.", most=MOST_CHANNELS)
