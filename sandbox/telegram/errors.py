"""Telegram's errors."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """An error with which Telegram answers."""

    def __init__(self, code: int, description: str, retry_after: int | None = None) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.retry_after = retry_after

    def body(self) -> dict[str, Any]:
        """The JSON body of the answer."""
        body: dict[str, Any] = {"ok": False, "error_code": self.code, "description": self.description}
        if self.retry_after is not None:
            body["parameters"] = {"retry_after": self.retry_after}
        return body


class OddAnswerError(ApiError):
    """An answer that is none of the Bot API's: a proxy's page, nothing, or JSON of another form."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(status, "odd answer")
        self.text = text


def bad_request(what: str) -> ApiError:
    """A 400."""
    return ApiError(400, f"Bad Request: {what}")


def forbidden(what: str) -> ApiError:
    """A 403."""
    return ApiError(403, f"Forbidden: {what}")


def too_many(retry_after: int) -> ApiError:
    """A 429."""
    return ApiError(429, f"Too Many Requests: retry after {retry_after}", retry_after)
