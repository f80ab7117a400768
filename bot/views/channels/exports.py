from bot.i18n import Html, Texts
from bot.views.common import lines, paragraphs


def choose_export(t: Texts) -> Html:
    return paragraphs(
        t._("📤 Your tagged posts as a file. Which format?"),
        lines(
            t._("• Excel is for Excel, Numbers and Google Sheets"),
            t._("• CSV is for any other table or program"),
            t._("• JSON Lines is for programs: an object in each line"),
        ),
    )


def usage_export(t: Texts) -> Html:
    return t._(
        "Usage: <code>/export</code>, or with a format: <code>/export xlsx</code>, <code>csv</code>, <code>jsonl</code>"
    )


def export_begun(t: Texts) -> Html:
    return t._("⏳ Preparing the file; it will appear here.")


def export_under_way(t: Texts) -> str:
    return t.plain("⏳ Your file is already on its way.")


def exported(t: Texts, posts: int, number: int, count: int) -> Html:
    """The caption of file `number` of `count`."""
    text = t.ngettext("📤 {count} tagged post", "📤 {count} tagged posts", posts)
    return lines(text, t._("Part {number} of {parts}", number=number, parts=count) if count > 1 else None)


def nothing_to_export(t: Texts) -> Html:
    return t._("Nothing to export: none of your posts has tags yet. /stats shows the progress.")


def export_not_sent(t: Texts) -> Html:
    return t._("⚠️ Telegram did not take the file. Try /export again later.")


def export_not_made(t: Texts) -> Html:
    return t._("⚠️ The file could not be made. Try /export again in a few minutes.")


def export_broken_off(t: Texts) -> Html:
    return t._("⚠️ The bot is being restarted, and your file was not finished. Send /export again in a minute.")
