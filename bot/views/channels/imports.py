from bot.i18n import Html, Texts, escape
from bot.views.common import lines, paragraphs, shorten
from services.ingest.imports import Import, ImportResult
from services.sources.base import ChatKind
from services.sources.export.file import ExportFault

NAME_UNITS = 60


def received(t: Texts, name: str | None) -> Html:
    return t._("📥 Got {name}, importing it.", name=_name(name))


def progress(t: Texts, work: Import, done: ImportResult, percent: str) -> Html:
    return lines(
        t._("📥 <b>Importing {name}: {percent}</b>", name=_name(work.file_name), percent=percent),
        t._("New posts: {count}", count=done.new),
    )


def finished(t: Texts, work: Import, done: ImportResult) -> Html:
    head = t._("✅ <b>{name} is imported</b>", name=_name(work.file_name))
    foot = t._("Posts with text are tagged one after another; new posts of your channels come first.")
    is_anything_queued = done.new + done.edited - done.without_text > sum(done.held_posts.values())
    return paragraphs(head, summary(t, done), foot if is_anything_queued else None, _personal_question(t, done))


def _personal_question(t: Texts, done: ImportResult) -> Html | None:
    if not done.held_posts:
        return None
    return paragraphs(
        t._("🔒 <b>Tag your personal chats, too?</b>"),
        _held(t, done),
        t._("Tagging sends their text to the model's provider. Nothing of them is sent before you answer."),
    )


def _held(t: Texts, done: ImportResult) -> Html:
    kinds = {
        ChatKind.PERSON: t._("People"),
        ChatKind.PRIVATE_GROUP: t._("Private groups"),
        ChatKind.BOT: t._("Bots"),
        ChatKind.SAVED: t._("Saved Messages"),
    }
    counts = [(name, done.held_chats.get(kind, 0), done.held_posts.get(kind, 0)) for kind, name in kinds.items()]
    return lines(
        *(
            t._("• {kind}: {posts} with text, in {chats}", kind=kind, posts=_posts(t, posts), chats=_chats_in(t, chats))
            for kind, chats, posts in counts
            if posts
        )
    )


def _posts(t: Texts, count: int) -> Html:
    return t.ngettext("{count} message", "{count} messages", count)


def _chats_in(t: Texts, count: int) -> Html:
    return t.ngettext("{count} chat", "{count} chats", count)


def personal_tagged(t: Texts, work: Import, posts: int) -> Html:
    """`posts`: how many were queued by this press."""
    told = (
        t.ngettext(
            "🏷 {count} message of personal chats is queued for tagging.",
            "🏷 {count} messages of personal chats are queued for tagging.",
            posts,
        )
        if posts
        else t._("🏷 The messages of your personal chats are queued for tagging already.")
    )
    return paragraphs(_bold_name(work), summary(t, work.done), told)


def personal_left_out(t: Texts, work: Import) -> Html:
    told = t._("🔒 Your personal chats are left out: their messages are not sent to a model and get no tags.")
    return paragraphs(_bold_name(work), summary(t, work.done), told)


def _bold_name(work: Import) -> Html:
    return Html(f"📥 <b>{escape(_name(work.file_name))}</b>")


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
    return paragraphs(head, reason, summary(t, done) if done.messages else None, _personal_question(t, done))


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
        t._("Already stored: {count}", count=done.known) if done.known else None,
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
