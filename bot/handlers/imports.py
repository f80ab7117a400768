"""Files that a user sends: an export of Telegram Desktop's is imported."""

from __future__ import annotations

from aiogram import F, Router
from aiogram.types import Document, Message

from bot.delivery.import_jobs import ImportJobs
from bot.i18n import Texts
from bot.views import imports as views
from services.accounts.people import Caller
from services.ingest.imports import Imports


async def document(message: Message, t: Texts, caller: Caller, imports: Imports, importer: ImportJobs) -> None:
    """Import it, or say what can be imported."""
    file = message.document
    if file is None or caller.user_id is None or not is_json(file):
        is_pages = file is not None and is_html(file)
        await message.answer(views.web_pages(t) if is_pages else views.not_an_export(t))
        return
    name = file.file_name or "result.json"
    sent = await message.answer(views.received(t, name))
    await imports.receive(
        caller.user_id,
        file_id=file.file_id,
        file_name=name,
        telegram_id=caller.telegram_id,
        chat_id=message.chat.id,
        message_id=sent.message_id,
    )
    importer.wake()


def is_json(file: Document) -> bool:
    """PURE: whether it may be an export, by its name or its type."""
    return (file.file_name or "").lower().endswith(".json") or file.mime_type == "application/json"


def is_html(file: Document) -> bool:
    """PURE: whether it may be an export in Telegram Desktop's other format."""
    return (file.file_name or "").lower().endswith((".html", ".htm")) or file.mime_type == "text/html"


def router() -> Router:
    """This topic's handlers."""
    made = Router(name="imports")
    # A GIF is a document, too.
    made.message.register(document, F.document & ~F.animation)
    return made
