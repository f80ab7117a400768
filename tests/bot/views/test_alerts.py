"""What the administrators are told of a pause: whose fault it is, in the server's words, and what is to be done."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from bot.i18n import I18n
from bot.views.alerts import alert
from bot.views.posts.reasons import reason

TEXTS = I18n(ZoneInfo("UTC"), lambda: datetime.now(UTC))
NOTHING = "Nothing needs to be done"

#: The alert, what was recorded, and words that stand in it.
CASES = [
    ("outage", "HTTP 503: the provider failed: “Overloaded”", ("the provider fails", "“Overloaded”", NOTHING)),
    ("outage", "HTTP 529: the provider failed: “Overloaded”", (NOTHING,)),
    ("outage", "no answer within 60 s", (NOTHING,)),
    ("outage", "HTTP 504: the provider timed out", (NOTHING,)),
    ("outage", "HTTP 503: the model has no capacity", (NOTHING,)),
    (
        "outage",
        "HTTP 404: the provider failed (nothing answers at this address: is /v1 missing in OPENROUTER_BASE_URL?)",
        ("the provider's address is wrong", "Correct OPENROUTER_BASE_URL"),
    ),
    (
        "outage",
        "the server answered with an HTML page (is OPENROUTER_BASE_URL the address of an API? /v1 may be missing)",
        ("the provider's address is wrong",),
    ),
    ("outage", "HTTP 301: the provider failed (it redirects, which is not followed)", ("Correct OPENROUTER_BASE_URL",)),
    (
        "outage",
        "connection failed (ClientConnectorDNSError)",
        ("whether it runs", "OPENROUTER_BASE_URL in .env is right"),
    ),
    ("outage", "connection failed through the proxy (ClientConnectionError)", ("Check the proxy",)),
    (
        "outage",
        "HTTP 500: the provider failed: “model requires more system memory (2.7 GiB)”",
        ("“model requires more system memory (2.7 GiB)”", "see what the server says"),
    ),
    (
        "outage",
        "HTTP 400: the provider failed (the model is not loaded): “No models loaded. Please load a model”",
        ("“No models loaded. Please load a model”", "see what the server says"),
    ),
    (
        "account",
        "HTTP 429: the account is out of credit: “You exceeded your current quota”",
        ("is out of credit", "“You exceeded your current quota”", "Top up the account", "No restart is needed"),
    ),
    ("account", "HTTP 401: the API key was not accepted", ("refuses the account", "A new key goes into .env")),
    (
        "account",
        "HTTP 400: the request was not accepted: “tenant <x> is not provisioned”",
        ("refuses every request", "“tenant &lt;x&gt; is not provisioned”", "not the posts' fault"),
    ),
    (
        "account",
        "HTTP 404: access was forbidden by the account's privacy or provider settings: “matching your data policy”",
        ("refuses the account", "“matching your data policy”", "Change the setting that is named above"),
    ),
]


@pytest.mark.parametrize(("kind", "recorded", "words"), CASES, ids=[case[1][:60] for case in CASES])
def test_what_is_to_be_done(kind: str, recorded: str, words: tuple[str, ...]) -> None:
    """Nothing, only when that is true."""
    shown = str(alert(TEXTS.texts("en"), {"text": kind, "reason": recorded}))
    for each in words:
        assert each in shown
    assert (NOTHING in shown) is (NOTHING in words)


def test_all_of_the_servers_words_are_shown_in_russian_too() -> None:
    said = "слово " * 49
    shown = str(
        alert(TEXTS.texts("ru"), {"text": "outage", "reason": f"HTTP 500: the provider failed: “{said.strip()}”"})
    )
    assert said.strip() in shown
    assert not re.search("[A-Za-z]{4,}", re.sub(r"<code>.*?</code>|OPENROUTER_BASE_URL|\.env", "", shown))


def test_a_refused_post_says_why() -> None:
    said = reason(TEXTS.texts("en"), "HTTP 400: the model refuses the text: “Content Exists Risk” (a/b)", "refused")
    assert said == "Every model refuses this text. “Content Exists Risk”"
