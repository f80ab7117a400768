"""News of channels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bot.i18n import Html, Texts
from bot.views.common import shorten
from bot.views.hashtags import rights_lost


def channel_news(t: Texts, payload: Mapping[str, Any]) -> Html:
    """A message of kind 'channel': what happened, and what to do."""
    known: dict[object, Callable[[], Html]] = {"hashtags_off": lambda: rights_lost(t, str(payload.get("title")))}
    render = known.get(payload.get("text"))
    return render() if render else t._("⚠️ {text}", text=shorten(str(payload.get("text")), 200))
