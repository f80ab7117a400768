from aiogram import F, Router
from aiogram.types import Document, Message

from bot.delivery.import_jobs import ImportJobs
from bot.i18n import Texts
from bot.views import imports as views
from services.accounts.people import CurrentUser
from services.ingest.imports import Imports


async def document(message: Message, t: Texts, user: CurrentUser, imports: Imports, importer: ImportJobs) -> None:
    file = message.document
    if file is None or user.user_id is None or not is_json(file):
        is_pages = file is not None and is_html(file)
        await message.answer(views.web_pages(t) if is_pages else views.not_an_export(t))
        return
    name = file.file_name or "result.json"
    sent = await message.answer(views.received(t, name))
    await imports.receive(
        user.user_id,
        file_id=file.file_id,
        file_name=name,
        telegram_id=user.telegram_id,
        chat_id=message.chat.id,
        message_id=sent.message_id,
    )
    importer.wake()


def is_json(file: Document) -> bool:
    return (file.file_name or "").lower().endswith(".json") or file.mime_type == "application/json"


def is_html(file: Document) -> bool:
    return (file.file_name or "").lower().endswith((".html", ".htm")) or file.mime_type == "text/html"


def router() -> Router:
    made = Router(name="imports")
    # Telegram sends a GIF with a document as well.
    made.message.register(document, F.document & ~F.animation)
    return made
