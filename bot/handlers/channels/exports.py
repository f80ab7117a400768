from aiogram import Router
from aiogram.filters import Command, CommandObject
from aiogram.types import CallbackQuery, Message

from bot.delivery.export_jobs import ExportJobs
from bot.handlers.replies import chat_of
from bot.i18n import Texts
from bot.keyboards.channels import exports as keyboards
from bot.keyboards.channels.exports import ExportButton
from bot.telegram.middlewares import Toast
from bot.views.channels import exports as views
from services.accounts.people import CurrentUser
from services.library.export import ExportFormat


async def export(message: Message, command: CommandObject, t: Texts, user: CurrentUser, exports: ExportJobs) -> None:
    wanted = (command.args or "").strip().lower().replace("excel", ExportFormat.XLSX)
    if not wanted:
        await message.answer(views.choose_export(t), reply_markup=keyboards.export_formats(t))
    elif wanted not in set(ExportFormat):
        await message.answer(views.usage_export(t))
    elif not exports.begin(user, message.chat.id, ExportFormat(wanted)):
        await message.answer(views.export_under_way(t))


async def export_as(
    press: CallbackQuery, callback_data: ExportButton, t: Texts, user: CurrentUser, exports: ExportJobs, toast: Toast
) -> None:
    if not exports.begin(user, chat_of(press), callback_data.form):
        toast.text = views.export_under_way(t)


def router() -> Router:
    made = Router(name="exports")
    made.message.register(export, Command("export", ignore_case=True))
    made.callback_query.register(export_as, ExportButton.filter())
    return made
