"""Answers to the question which of a person's tags mean the same."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.provider.finding import user_message

_LISTED = re.compile(r"^(\d+)\. (.+)$", re.MULTILINE)


def similar_pairs(body: Mapping[str, Any], similar: Sequence[tuple[str, str]]) -> str | None:
    """The answer's text: these pairs, as far as both tags are listed; None if the request asks something else."""
    asked = "\n".join(str(message.get("content")) for message in body.get("messages") or [])
    if 'the one key "pairs"' not in asked:
        return None
    numbers = {name: int(number) for number, name in _LISTED.findall(user_message(dict(body)))}
    found = [(numbers[one], numbers[other]) for one, other in similar if one in numbers and other in numbers]
    return json.dumps({"pairs": [{"first": one, "second": other} for one, other in found]})
