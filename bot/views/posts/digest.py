"""The digest, and its settings."""

from bot.i18n import Html, Texts, escape
from bot.views.common import lines, link, paragraphs, shorten
from services.library.digest_schedule import Every, Schedule
from services.library.digests import Digest, DigestPost, DigestTag

#: All tags and posts of a digest are to fit into one message.
TAG_UNITS, TEXT_UNITS = 40, 80


def digest(t: Texts, found: Digest, every: str) -> Html:
    head = t._("🗞 <b>Your week</b>") if every == Every.WEEKLY else t._("🗞 <b>Your day</b>")
    new = t.ngettext("{count} new post", "{count} new posts", found.posts) if found.posts else None
    return paragraphs(
        lines(head, new),
        *(_tag(t, each) for each in found.tags),
        lines(
            t._("❌ Failed: {number}", number=found.failed) if found.failed else None,
            t._("Requests to models: {number}", number=found.requests) if found.requests else None,
        ),
    )


def _tag(t: Texts, tag: DigestTag) -> Html:
    name = Html(f"<b>{escape(shorten(tag.name, TAG_UNITS))}</b>")
    return lines(t._("{tag}: {number}", tag=name, number=tag.posts), *(_post(post) for post in tag.newest))


def _post(post: DigestPost) -> Html:
    return Html(f"• {link(escape(shorten(post.text, TEXT_UNITS) or '—'), post.url)}")


def settings(t: Texts, schedule: Schedule | None) -> Html:
    if schedule is None:
        return t._("🗞 The digest is off.")
    at = {"hour": f"{schedule.hour:02}:00", "zone": schedule.zone.key}
    when = (
        t._("🗞 Your digest comes on Mondays at {hour} ({zone}).", **at)
        if schedule.every is Every.WEEKLY
        else t._("🗞 Your digest comes every day at {hour} ({zone}).", **at)
    )
    return paragraphs(
        when,
        t._(
            "New posts by tag, what failed, and how many requests it took. It comes without a sound, and only if there "
            "is something to tell."
        ),
    )


def hours(t: Texts) -> Html:
    return t._("At what hour shall the digest come?")
