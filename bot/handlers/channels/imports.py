from aiogram import Bot, F, Router
from aiogram.types import CallbackQuery, Document, Message

from bot.delivery.import_jobs import ImportJobs
from bot.handlers.replies import show
from bot.i18n import Texts
from bot.keyboards.channels import imports as keyboards
from bot.keyboards.channels.imports import PersonalChatsButton
from bot.telegram.middlewares import Toast
from bot.views.channels import imports as views
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


async def personal_chats(
    press: CallbackQuery,
    callback_data: PersonalChatsButton,
    bot: Bot,
    t: Texts,
    user: CurrentUser,
    imports: Imports,
    toast: Toast,
) -> None:
    work = await imports.find(callback_data.work, user.telegram_id)
    if work is None:
        toast.text = t.plain("This button no longer works.")
    elif callback_data.tag:
        await show(press, bot, views.personal_tagged(t, work, await imports.tag_held(work)))
    else:
        await show(press, bot, views.personal_left_out(t, work), keyboards.personal_chats(t, work.id, left_out=True))


def is_json(file: Document) -> bool:
    return (file.file_name or "").lower().endswith(".json") or file.mime_type == "application/json"


def is_html(file: Document) -> bool:
    return (file.file_name or "").lower().endswith((".html", ".htm")) or file.mime_type == "text/html"


def router() -> Router:
    made = Router(name="imports")
    # Telegram sends a GIF with a document as well.
    made.message.register(document, F.document & ~F.animation)
    made.callback_query.register(personal_chats, PersonalChatsButton.filter())
    return made
