"""Parameters of a call: from JSON, a form, multipart or the query."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from sandbox.telegram.errors import bad_request

Json = dict[str, Any]


@dataclass(frozen=True)
class Upload:
    """An uploaded file."""

    name: str
    data: bytes


async def read_params(request: web.Request) -> Json:
    """All parameters; values of forms stay strings."""
    params: Json = dict(request.query)
    if request.method == "POST":
        if request.content_type == "application/json":
            params.update(_json_object(await request.text()))
        elif request.can_read_body:
            for name, value in (await request.post()).items():
                params[name] = _field(value)
    return params


def _json_object(body: str) -> Json:
    try:
        value = json.loads(body or "{}")
    except ValueError as error:
        raise bad_request("can't parse JSON object") from error
    if not isinstance(value, dict):
        raise bad_request("can't parse JSON object")
    return value


def _field(value: str | bytes | bytearray | web.FileField) -> Any:
    if isinstance(value, web.FileField):
        return Upload(value.filename, value.file.read())
    return value.decode() if isinstance(value, bytes | bytearray) else value


def integer(params: Json, name: str, default: int | None = None) -> int:
    """An integer; 400 if it is missing or something else."""
    value = params.get(name, default)
    try:
        return int(value)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise bad_request(f"parameter {name} is required") from error


def chat_of(params: Json) -> int | str:
    """chat_id: a number or @username."""
    value = params.get("chat_id")
    if value is None or value == "":
        raise bad_request("chat_id is empty")
    if isinstance(value, str) and not value.lstrip("-").isdigit():
        return value
    return int(value)


def flag(params: Json, name: str) -> bool:
    """A boolean, of JSON or a form."""
    return str(params.get(name, "")).lower() in {"true", "1"}


def decoded(params: Json, name: str) -> Any:
    """A value; forms send it as JSON text."""
    value = params.get(name)
    if not isinstance(value, str) or value == "":
        return value or None
    try:
        return json.loads(value)
    except ValueError as error:
        raise bad_request(f"can't parse {name} JSON object") from error
