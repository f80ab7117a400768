"""Actions of people over HTTP, and the chat page."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from sandbox.telegram.actors import Actors
from sandbox.telegram.settings_methods import commands_for

Json = dict[str, Any]
Action = Callable[[Actors, Json], Awaitable[Json]]
PAGE = Path(__file__).parent / "page"


async def _send(actors: Actors, body: Json) -> Json:
    user_id = int(body["user_id"])
    extra: Json = {"via_bot": actors.world.bot_user()} if body.get("via_bot") else {}
    if replied := actors.world.message(user_id, int(body.get("reply_to") or 0)):
        # Messages show only one level of replies.
        extra["reply_to_message"] = {name: value for name, value in replied.data.items() if name != "reply_to_message"}
    return {"message_id": actors.send_text(user_id, str(body["text"]), **extra)}


async def _send_document(actors: Actors, body: Json) -> Json:
    data = str(body["content"]).encode()
    return {"message_id": actors.send_document(int(body["user_id"]), str(body["name"]), data, body.get("mime_type"))}


async def _press(actors: Actors, body: Json) -> Json:
    button: str | int = body.get("data") or body.get("text") or 0
    chat_id = int(body.get("chat_id") or body["user_id"])
    answer = await actors.press(int(body["user_id"]), int(body["message_id"]), button, chat_id=chat_id)
    return {"answer": dataclasses.asdict(answer)}


async def _ask_inline(actors: Actors, body: Json) -> Json:
    answer = await actors.ask_inline(int(body["user_id"]), str(body["text"]), str(body.get("offset") or ""))
    return dataclasses.asdict(answer)


async def _forward(actors: Actors, body: Json) -> Json:
    channel = body["channel"] if isinstance(body["channel"], dict) else int(body["channel"])
    date = int(body.get("date", time.time()))
    number = actors.send_forward(int(body["user_id"]), channel, int(body["message_id"]), str(body["text"]), date)
    return {"message_id": number}


async def _channel_post(actors: Actors, body: Json) -> Json:
    number = actors.channel_post(
        int(body["channel_id"]), str(body["text"]), body.get("message_id"), body.get("media_group_id")
    )
    return {"message_id": number}


async def _edit_channel_post(actors: Actors, body: Json) -> Json:
    actors.edit_channel_post(int(body["channel_id"]), int(body["message_id"]), str(body["text"]))
    return {}


async def _add_bot(actors: Actors, body: Json) -> Json:
    actors.add_bot_to_channel(int(body["channel_id"]), int(body["user_id"]))
    return {}


async def _remove_bot(actors: Actors, body: Json) -> Json:
    actors.remove_bot_from_channel(int(body["channel_id"]), int(body["user_id"]))
    return {}


async def _set_rights(actors: Actors, body: Json) -> Json:
    actors.set_bot_rights(int(body["channel_id"]), int(body["user_id"]), can_edit=bool(body["can_edit"]))
    return {}


async def _add_user(actors: Actors, body: Json) -> Json:
    actors.add_user(int(body["user_id"]), str(body["first_name"]), body.get("language_code"), body.get("username"))
    return {}


async def _add_channel(actors: Actors, body: Json) -> Json:
    actors.add_channel(int(body["channel_id"]), str(body["title"]), body.get("username"))
    return {}


async def _block(actors: Actors, body: Json) -> Json:
    (actors.block if body.get("blocked", True) else actors.unblock)(int(body["user_id"]))
    return {}


async def _push(actors: Actors, body: Json) -> Json:
    return {"update_id": actors.push_update(body)}


ACTIONS: dict[str, Action] = {
    "send": _send,
    "send_document": _send_document,
    "press": _press,
    "ask_inline": _ask_inline,
    "forward": _forward,
    "channel_post": _channel_post,
    "edit_channel_post": _edit_channel_post,
    "add_bot_to_channel": _add_bot,
    "remove_bot_from_channel": _remove_bot,
    "set_bot_rights": _set_rights,
    "add_user": _add_user,
    "add_channel": _add_channel,
    "block": _block,
    "push_update": _push,
}


def add_control_routes(app: web.Application, actors: Actors) -> None:
    """Add all routes but the Bot API."""
    for name, action in ACTIONS.items():
        app.router.add_post(f"/sandbox/{name}", _posted(actors, action))
    app.router.add_get("/sandbox/state", _state(actors))
    app.router.add_get("/sandbox/errors", _errors(actors))
    app.router.add_get("/sandbox/events", _events(actors))
    app.router.add_get("/", _page("index.html"))
    app.router.add_static("/page", PAGE)


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _posted(actors: Actors, action: Action) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return web.json_response({"ok": True, **await action(actors, await request.json())})
        except TimeoutError:
            return _refused(504, "the bot did not answer")
        except (KeyError, LookupError, ValueError, TypeError) as error:
            return _refused(400, f"{type(error).__name__}: {error}")

    return handle


def _refused(status: int, why: str) -> web.Response:
    return web.json_response({"ok": False, "error": why}, status=status)


def _page(name: str) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return web.FileResponse(PAGE / name, headers={"Cache-Control": "no-cache"})

    return handle


def _errors(actors: Actors) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return _json([dataclasses.asdict(error) for error in actors.errors])

    return handle


def _state(actors: Actors) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        chat_id = request.query.get("chat_id")
        if chat_id is not None:
            return _json({"messages": actors.messages(int(chat_id))})
        chats = [_chat(actors, chat_id) for chat_id in actors.world.chats]
        return _json({"bot": actors.world.bot_user(), "chats": chats})

    return handle


def _chat(actors: Actors, chat_id: int) -> Json:
    chat = actors.world.chats[chat_id]
    shown = chat.shown() | {"title": chat.title, "bot_is_member": chat.bot_is_member}
    person = actors.world.people.get(chat_id)
    if person is not None:
        shown |= {"language_code": person.language_code, "blocked": person.blocked}
        shown["commands"] = commands_for(actors.world, chat_id, person.language_code)
    messages = actors.messages(chat_id)
    return shown | {"last": messages[-1] if messages else None}


def _json(value: Any) -> web.Response:
    # Uploads and other objects are shown by name.
    return web.json_response(value, dumps=lambda v: json.dumps(v, ensure_ascii=False, default=repr))


def _events(actors: Actors) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        with actors.world.changes.listening() as events:
            while True:
                await response.write(await _next_event(events))

    return handle


async def _next_event(events: asyncio.Queue[Json]) -> bytes:
    try:
        event = await asyncio.wait_for(events.get(), 15)
    except TimeoutError:
        return b": still here\n\n"
    return f"data: {json.dumps(event, ensure_ascii=False, default=repr)}\n\n".encode()
