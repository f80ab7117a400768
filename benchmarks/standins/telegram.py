"""A Bot API that costs next to nothing: people's messages in batches of a hundred, every answer taken at once.

    python -m benchmarks.standins.telegram

prints its port. POST /bench/send {"updates", "people", "text", "first"} queues private messages of people in turn,
/bench/counts and /bench/report tell.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import parse_qs

from benchmarks.standins.http import Reply, Request, serve_for_ever

Json = dict[str, Any]

TOKEN = "123456:benchmark"
BOT = {"id": 123456, "is_bot": True, "first_name": "Bot", "username": "benchmark_bot"}
#: Telegram's id of person n is so much more.
IDS_FROM = 1000
DATE = 1_767_225_600


@dataclass(slots=True)
class Report:
    """What happened since the last `send`; times are the monotonic clock's, which all processes share."""

    polls: int = 0
    handed_out: int = 0
    messages: int = 0
    sent_at: float = 0.0
    first_handed_out: float = 0.0
    first_message: float = 0.0
    last_message: float = 0.0
    cpu_seconds: float = 0.0


class BotApiStandIn:
    """Handles one request after another."""

    def __init__(self) -> None:
        self._updates: list[Json] = []
        self._report = Report()
        self._cpu = time.process_time()
        self._waiting: tuple[Json, Reply] | None = None

    def handle(self, request: Request, reply: Reply) -> None:
        """Answer a call of the Bot API, or of the control."""
        if request.path.startswith("/bench/"):
            reply(self._control(request))
            return
        params = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        match request.path.rpartition("/")[2].lower():
            case "getupdates":
                self._poll(params, reply)
            case "sendmessage":
                self._message(params, reply)
            case "getme":
                reply(_result(BOT))
            case "getwebhookinfo":
                reply(_result({"url": "", "has_custom_certificate": False, "pending_update_count": 0}))
            case _:
                reply(_result(True))

    def _control(self, request: Request) -> Json:
        if request.path == "/bench/send":
            self._send(**request.json())
        self._report.cpu_seconds = time.process_time() - self._cpu
        return asdict(self._report)

    def _send(self, updates: int, people: int, text: str, first: int = 0) -> None:
        polls = self._report.polls
        self._report, self._cpu = Report(polls=polls, sent_at=time.monotonic()), time.process_time()
        number, person = len(self._updates) + 1, IDS_FROM + 1 + first
        self._updates += [_update(number + n, person + n % people, text) for n in range(updates)]
        if self._waiting is not None:
            params, reply = self._waiting
            self._hand_out(params, reply)

    def _poll(self, params: Json, reply: Reply) -> None:
        self._report.polls += 1
        if self._pending(params) or int(params.get("timeout", 0)) == 0:
            self._hand_out(params, reply)
        else:
            # Nothing is measured while nothing is sent: a poll waits however long that is.
            self._waiting = (params, reply)

    def _hand_out(self, params: Json, reply: Reply) -> None:
        self._waiting = None
        pending = self._pending(params)
        report = self._report
        report.first_handed_out = report.first_handed_out or time.monotonic()
        report.handed_out += len(pending)
        reply(_result(pending))

    def _pending(self, params: Json) -> list[Json]:
        start = max(0, int(params.get("offset") or 1) - 1)
        return self._updates[start : start + int(params.get("limit", 100))]

    def _message(self, params: Json, reply: Reply) -> None:
        report = self._report
        report.messages += 1
        report.last_message = time.monotonic()
        report.first_message = report.first_message or report.last_message
        chat = {"id": int(params["chat_id"]), "type": "private", "first_name": "Anna"}
        message = {"message_id": report.messages, "date": DATE, "chat": chat, "from": BOT, "text": params["text"]}
        reply(_result(message))


def _result(value: object) -> Json:
    return {"ok": True, "result": value}


def _update(number: int, person: int, text: str) -> Json:
    message = {
        "message_id": number,
        "date": DATE,
        "chat": {"id": person, "type": "private", "first_name": "Anna"},
        "from": {"id": person, "is_bot": False, "first_name": "Anna", "language_code": "ru"},
        "text": text,
        "entities": [{"type": "bot_command", "offset": 0, "length": len(text.split(maxsplit=1)[0])}],
    }
    return {"update_id": number, "message": message}


if __name__ == "__main__":
    asyncio.run(serve_for_ever(BotApiStandIn().handle))
