"""📈 under /stats."""

from aiogram import Bot, Router
from aiogram.types import BufferedInputFile, CallbackQuery

from bot.handlers.replies import chat_of
from bot.i18n import Texts
from bot.keyboards.posts.stats import ChartButton
from bot.telegram.middlewares import Toast
from bot.views.posts import chart as views
from services.accounts.people import CurrentUser
from services.charts.activity import Activities
from services.charts.process import ChartDrawing


async def send(
    press: CallbackQuery,
    bot: Bot,
    t: Texts,
    user: CurrentUser,
    activities: Activities,
    charts: ChartDrawing,
    toast: Toast,
) -> None:
    found = await activities.of(user)
    if found is None:
        toast.text = views.nothing(t)
        return
    picture = await charts.png(views.chart(t, found))
    if picture is None:
        await bot.send_message(chat_of(press), views.not_drawn(t))
    else:
        await bot.send_photo(chat_of(press), BufferedInputFile(picture, "metka.png"))


def router() -> Router:
    made = Router(name="chart")
    made.callback_query.register(send, ChartButton.filter())
    return made
