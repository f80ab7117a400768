from aiogram.filters.callback_data import CallbackData
from aiogram.types import InlineKeyboardMarkup

from bot.i18n import Texts
from bot.keyboards.common import button
from services.library.export import ExportFormat


class ExportButton(CallbackData, prefix="export"):
    form: ExportFormat


def export_formats(t: Texts) -> InlineKeyboardMarkup:
    names = {
        ExportFormat.XLSX: t.plain("📊 Excel"),
        ExportFormat.CSV: t.plain("📄 CSV"),
        ExportFormat.JSONL: t.plain("🧩 JSON Lines"),
    }
    buttons = [button(name, ExportButton(form=form)) for form, name in names.items()]
    return InlineKeyboardMarkup(inline_keyboard=[buttons])
