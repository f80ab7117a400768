from bot.i18n import Html, Texts
from bot.views.common import lines, paragraphs, shorten
from services.ingest.imports import Import, ImportResult
from services.sources.export.file import ExportFault

NAME_UNITS = 60


def received(t: Texts, name: str | None) -> Html:
    return t._("📥 I have got {name} and begin to import it.", name=_name(name))


def progress(t: Texts, work: Import, done: ImportResult, percent: str) -> Html:
    return lines(
        t._("📥 <b>Importing {name}: {percent}</b>", name=_name(work.file_name), percent=percent),
        t._("New posts: {count}", count=done.new),
    )


def finished(t: Texts, work: Import, done: ImportResult) -> Html:
    head = t._("✅ <b>{name} is imported</b>", name=_name(work.file_name))
    foot = t._("Posts with text get their tags one after the other; new posts of your channels come first.")
    return paragraphs(head, summary(t, done), foot if done.new + done.edited > done.without_text else None)


def failed(t: Texts, work: Import, done: ImportResult, fault: ExportFault) -> Html:
    reasons = {
        ExportFault.HTML: web_pages(t),
        ExportFault.BROKEN: t._(
            "The file is damaged or breaks off. Export it again and send me that: nothing is stored twice."
        ),
        ExportFault.NOT_JSON: paragraphs(t._("There is no JSON in this file."), not_an_export(t)),
        ExportFault.NOT_EXPORT: paragraphs(
            t._("It is a JSON file, but not an export of chats from Telegram Desktop."), not_an_export(t)
        ),
    }
    reason = reasons.get(fault) or not_an_export(t)
    head = t._("❌ <b>{name} cannot be imported</b>", name=_name(work.file_name))
    if done.messages:
        head = t._("⚠️ <b>{name} is imported in part</b>", name=_name(work.file_name))
    return paragraphs(head, reason, summary(t, done) if done.messages else None)


def not_an_export(t: Texts) -> Html:
    return t._(
        "I can import the file result.json that Telegram Desktop makes: open the chat there, ⋮, “Export chat "
        "history”, format “Machine-readable JSON”."
    )


def web_pages(t: Texts) -> Html:
    return t._("These are web pages (HTML). Export the chat again and choose the format “Machine-readable JSON”.")


def too_big(t: Texts, telegram_id: int | None, *, admin: bool) -> Html:
    """Telegram lets bots download 20 MB at most; an administrator can import the file on the server."""
    command = f".venv/bin/python -m bot import result.json --user {telegram_id}"
    way = t._("On the server where I run it can be as big as you like: <code>{command}</code>", command=command)
    ask = t._(
        "Export a shorter period, or ask the bot's administrator to import the file on the server, where it can be as "
        "big as you like. Your Telegram id, which they need for that: <code>{person}</code>",
        person=str(telegram_id),
    )
    head = t._("❌ <b>The file is too big</b>: Telegram lets me download 20 MB at most.")
    return paragraphs(head, way if admin else ask)


def lost(t: Texts) -> Html:
    return t._("❌ Telegram does not give me that file any more. Send it again.")


def went_wrong(t: Texts) -> Html:
    return t._("❌ The import went wrong; the error is in the log. What was imported stays.")


def summary(t: Texts, done: ImportResult) -> Html:
    """The numbers; zeros are left out."""
    service, unreadable, unsupported, damaged = (
        done.skipped.get(reason, 0) for reason in ("service", "unreadable", "unsupported", "damaged")
    )
    return lines(
        t._("Messages: {count}", count=done.messages),
        _chats(t, done) if done.chats > 1 else None,
        t._("New posts: {count}", count=done.new),
        t._("Without text, so nothing to tag: {count}", count=done.without_text) if done.without_text else None,
        t._("With a newer text: {count}", count=done.edited) if done.edited else None,
        t._("Known already: {count}", count=done.known) if done.known else None,
        t._("Skipped, service messages: {count}", count=service) if service else None,
        t._("Skipped, without a number or a date: {count}", count=unreadable) if unreadable else None,
        t._("Skipped, of a kind that Telegram Desktop leaves out: {count}", count=unsupported) if unsupported else None,
        t._("Could not be read, since the file is damaged there: {count}", count=damaged) if damaged else None,
    )


def _chats(t: Texts, done: ImportResult) -> Html:
    if not done.personal:
        return t._("Chats: {count}", count=done.chats)
    return t._("Chats: {count}, of them personal: {personal}", count=done.chats, personal=done.personal)


def _name(name: str | None) -> str:
    return shorten(name or "result.json", NAME_UNITS)
