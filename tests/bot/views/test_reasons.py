"""Why a post has no tags: in our words, and in the server's own."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from bot.i18n import I18n
from bot.views.posts.reasons import reason


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        ("HTTP 500: the provider failed (a/b)", "The provider failed."),
        ("the answer is larger than 1 MiB (a/b)", "The provider failed."),
        (
            "the server's certificate is refused (Hostname mismatch): name the file in SSL_CERT_FILE (a/b)",
            "The provider's certificate is not trusted. A CA of your own goes into SSL_CERT_FILE, with a restart.",
        ),
        (
            "HTTP 404: access was forbidden: “No endpoints found matching your data policy <x>” (a/b)",
            "The provider forbids access. “No endpoints found matching your data policy &lt;x&gt;”",
        ),
        (
            "HTTP 400: the request was not accepted: “too many requests” (a/b)",
            "The provider did not accept the request. “too many requests”",
        ),
    ],
)
def test_the_servers_words_follow_ours(error: str, shown: str) -> None:
    """They decide nothing about the words that are ours."""
    assert reason(I18n(ZoneInfo("UTC"), lambda: datetime.now(UTC)).texts("en"), error) == shown
