from bot.i18n import Html, Texts
from bot.views.common import lines, paragraphs
from services.accounts.preferences import FailureNotices, Settings


def hour(value: int) -> str:
    return f"{value:02}:00"


def main(t: Texts, found: Settings) -> Html:
    return paragraphs(
        t._("⚙️ <b>Settings</b>"),
        lines(
            t._("🌍 Time zone: {place}", place=t.place(found.time_zone)),
            t._("❌ Failed posts: {choice}", choice=failures(t, found.failures, found)),
            quiet(t, found),
        ),
    )


def time_zones(t: Texts, found: Settings) -> Html:
    return paragraphs(
        t._("🌍 Time zone: {place}", place=t.place(found.time_zone)),
        t._("Yours is not here? Send <code>/settings Asia/Bangkok</code> with its name."),
    )


def unknown_time_zone(t: Texts) -> Html:
    return t._("I don't know this time zone. Its name looks like <code>/settings Asia/Bangkok</code>.")


def choose_failures(t: Texts) -> Html:
    return t._("❌ How shall I tell you of posts that failed? You always see them in /failed.")


def failures(t: Texts, choice: FailureNotices, found: Settings) -> str:
    match choice:
        case FailureNotices.EACH:
            return t.plain("at once")
        case FailureNotices.DIGEST:
            return t.plain("once a day at {hour}", hour=hour(found.digest_hour))
        case FailureNotices.OFF:
            return t.plain("never")


def quiet(t: Texts, found: Settings) -> Html:
    if found.quiet is None:
        return t._("🌙 Quiet hours: none")
    return t._("🌙 Quiet hours: {start}–{end}", start=hour(found.quiet.start), end=hour(found.quiet.end))


def choose_quiet(t: Texts, found: Settings, start: int | None) -> Html:
    if start is not None:
        return t._("🌙 Quiet from {start}. Until when?", start=hour(start))
    return paragraphs(
        quiet(t, found),
        t._(
            "In quiet hours I send only what you ask for, and urgent alerts; the rest comes when they end. "
            "When shall they begin?"
        ),
    )
