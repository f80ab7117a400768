"""The Bot API's methods about the bot: commands, descriptions, webhook."""

from __future__ import annotations

import json
import re
from typing import Any

from sandbox.telegram.errors import bad_request
from sandbox.telegram.methods import Method
from sandbox.telegram.params import decoded, flag, integer
from sandbox.telegram.updates import MOST_CONNECTIONS, WebhookTarget
from sandbox.telegram.world import World

Json = dict[str, Any]
DESCRIPTION_LIMITS = {"description": 512, "short_description": 120, "name": 64}


def _scope(params: Json) -> tuple[str, str]:
    scope = decoded(params, "scope") or {"type": "default"}
    return json.dumps(scope, sort_keys=True), str(params.get("language_code") or "")


def set_my_commands(world: World, params: Json) -> bool:
    commands = decoded(params, "commands") or []
    if len(commands) > 100:
        raise bad_request("BOT_COMMANDS_TOO_MUCH")
    for command in commands:
        if not re.fullmatch(r"[a-z0-9_]{1,32}", command.get("command", "")):
            raise bad_request("BOT_COMMAND_INVALID")
        if not 1 <= len(command.get("description", "")) <= 256:
            raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
    world.commands[_scope(params)] = commands
    world.changes.touch({"type": "commands"})
    return True


def get_my_commands(world: World, params: Json) -> list[Json]:
    return world.commands.get(_scope(params), [])


def delete_my_commands(world: World, params: Json) -> bool:
    world.commands.pop(_scope(params), None)
    return True


def commands_for(world: World, user_id: int, language: str | None) -> list[Json]:
    """The commands shown to a person: of the narrowest scope, preferably in their language."""
    scopes: list[Json] = [
        {"type": "chat", "chat_id": user_id},
        {"type": "all_private_chats"},
        {"type": "default"},
    ]
    for scope in scopes:
        for code in (language or "", ""):
            found = world.commands.get((json.dumps(scope, sort_keys=True), code))
            if found:
                return found
    return []


def _setter(field: str) -> Method:
    def set_it(world: World, params: Json) -> bool:
        value = str(params.get(field) or "")
        if len(value) > DESCRIPTION_LIMITS[field]:
            raise bad_request(f"{field} is too long")
        world.descriptions[(field, str(params.get("language_code") or ""))] = value
        return True

    return set_it


def _getter(field: str) -> Method:
    def get_it(world: World, params: Json) -> Json:
        return {field: world.descriptions.get((field, str(params.get("language_code") or "")), "")}

    return get_it


def set_webhook(world: World, params: Json) -> bool:
    url, secret = str(params.get("url") or ""), str(params.get("secret_token") or "")
    if secret and not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", secret):
        raise bad_request("secret token contains unallowed characters")
    if url and not re.match(r"https?://[^/]+", url):
        raise bad_request("bad webhook: invalid webhook URL specified")
    allowed = decoded(params, "allowed_updates")
    if allowed is not None:
        world.updates.allowed = list(allowed)
    if flag(params, "drop_pending_updates"):
        world.updates.clear()
    most = integer(params, "max_connections", MOST_CONNECTIONS)
    if not 1 <= most <= 100:
        raise bad_request("max_connections must be from 1 to 100")
    world.updates.set_webhook(WebhookTarget(url, secret, most))
    return True


def delete_webhook(world: World, params: Json) -> bool:
    return set_webhook(world, {"drop_pending_updates": params.get("drop_pending_updates", False)})


def get_webhook_info(world: World, params: Json) -> Json:
    hook = world.updates.webhook
    info: Json = {
        "url": hook.url,
        "has_custom_certificate": False,
        "pending_update_count": len(world.updates.pending),
    }
    if hook.url:
        info |= {"max_connections": hook.max_connections}
    if hook.last_error:
        info |= {"last_error_message": hook.last_error, "last_error_date": hook.last_error_date}
    if world.updates.allowed:
        info |= {"allowed_updates": world.updates.allowed}
    return info


SETTINGS_METHODS: dict[str, Method] = {
    "setMyCommands": set_my_commands,
    "getMyCommands": get_my_commands,
    "deleteMyCommands": delete_my_commands,
    "setMyDescription": _setter("description"),
    "getMyDescription": _getter("description"),
    "setMyShortDescription": _setter("short_description"),
    "getMyShortDescription": _getter("short_description"),
    "setMyName": _setter("name"),
    "getMyName": _getter("name"),
    "setWebhook": set_webhook,
    "deleteWebhook": delete_webhook,
    "getWebhookInfo": get_webhook_info,
}
