"""Malformed answers of small models, with and without usable tags."""

from __future__ import annotations

import json
from collections.abc import Callable

from sandbox.provider.exchange import Exchange

Shape = Callable[[Exchange], str]


def _fenced(ex: Exchange) -> str:
    return f"```json\n{ex.content()}\n```"


def _prose(ex: Exchange) -> str:
    return f"Sure! Here are the tags for the text:\n\n{ex.content()}\n\nLet me know if you need more."


def _think(ex: Exchange) -> str:
    decoy = ["decoy", "wrong", "thought"]
    wrong = json.dumps(
        {"tags": decoy} if ex.single else {"posts": [{"id": number, "tags": decoy} for number in ex.tags]}
    )
    return f"<think>Maybe {wrong}? No, the text is about something else.</think>\n{ex.content()}"


def _trailing_comma(ex: Exchange) -> str:
    return ex.content().replace("]", ",]").replace("]}", "],}")


def _curly_quotes(ex: Exchange) -> str:
    out, opening = "", True
    for char in ex.content():
        out += ("“" if opening else "”") if char == '"' else char
        opening = not opening if char == '"' else opening
    return out


def _bare_array(ex: Exchange) -> str:
    return json.dumps(next(iter(ex.truth().values())), ensure_ascii=False)


def _comma_line(ex: Exchange) -> str:
    if ex.single:
        return ", ".join(next(iter(ex.tags.values())))
    return "\n".join(f"{number}: {', '.join(tags)}" for number, tags in ex.tags.items())


def _truncated_array(ex: Exchange) -> str:
    # Cut inside the last tag: the tags before it can still be read.
    content = ex.content()
    return content[: content.rindex('"') - 2]


def _numbered_list(ex: Exchange) -> str:
    if ex.single:
        return "\n".join(f"{at}. {tag}" for at, tag in enumerate(next(iter(ex.tags.values())), 1))
    return "\n".join(f"{number}. {', '.join(tags)}" for number, tags in ex.tags.items())


def _single_quotes(ex: Exchange) -> str:
    return ex.content().replace('"', "'")


def _no_tags(ex: Exchange) -> str:
    if ex.single:
        return '{"tags": []}'
    return json.dumps({"posts": [{"id": number, "tags": []} for number in ex.tags]})


MALFORMED: dict[str, Shape] = {
    "fenced": _fenced,
    "prose": _prose,
    "think": _think,
    "trailing_comma": _trailing_comma,
    "curly_quotes": _curly_quotes,
    "bare_array": _bare_array,
    "comma_line": _comma_line,
    "truncated_array": _truncated_array,
    "numbered_list": _numbered_list,
    "single_quotes": _single_quotes,
}

UNUSABLE: dict[str, Shape] = {
    "echo": lambda ex: ex.message,
    "refusal_words": lambda ex: "I'm sorry, but I can't help with that request.",
    "no_tags": _no_tags,
}
