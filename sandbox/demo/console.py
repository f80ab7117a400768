"""Prints the demo's conversation in the terminal."""

from __future__ import annotations

import html
import re
import sys
import textwrap
from typing import Any

Json = dict[str, Any]


class Console:
    """Prints messages; in colour on a terminal."""

    def __init__(self) -> None:
        self._colours = sys.stdout.isatty()
        self._step = 0

    def step(self, text: str) -> None:
        """Announce the next step."""
        self._step += 1
        self._print(self._painted("1;36", f"\n{self._step}. {text}"))

    def note(self, text: str) -> None:
        """Print a remark."""
        self._print(self._painted("2", f"   {text}"))

    def says(self, who: str, text: str) -> None:
        """Print what a person writes."""
        self._print(f"   {self._painted('1;33', f'{who:>6}')} │ {text}")

    def shows(self, message: Json) -> None:
        """Print a message of the bot with its buttons."""
        lines = plain(message).splitlines()
        wrapped = [part for line in lines for part in textwrap.wrap(line, 92) or [""]]
        rows = message.get("reply_markup", {}).get("inline_keyboard", [])
        wrapped += ["  ".join(f"[ {button['text']} ]" for button in row) for row in rows]
        for at, line in enumerate(wrapped):
            name = self._painted("1;32", " Metka") if at == 0 else " " * 6
            self._print(f"   {name} │ {line}")

    def failed(self, text: str) -> None:
        """Print an error."""
        self._print(self._painted("1;31", f"\n✗ {text}"))

    def _painted(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colours else text

    def _print(self, text: str) -> None:
        print(text, flush=True)


def plain(message: Json) -> str:
    """A message without its formatting."""
    return html.unescape(re.sub(r"<[^>]+>", "", str(message["html"])))
