"""Replies when the bot does not do what was asked, whatever the topic."""

from __future__ import annotations

from bot.i18n import Html, Texts


def admins_only(t: Texts) -> Html:
    """The command is for administrators."""
    return t._("🚫 That is for administrators only.")


def private_only(t: Texts) -> Html:
    """The answer in groups."""
    return t._("I work in a private chat only: write to me there.")


def unavailable(t: Texts) -> Html:
    """The database does not answer."""
    return t._("⚠️ Temporarily unavailable, try again in a minute.")


def went_wrong(t: Texts) -> Html:
    """An unexpected exception."""
    return t._("⚠️ Something went wrong; the error is in the log. Try again later.")


def too_many(t: Texts) -> Html:
    """Sent once to a person who is throttled."""
    return t._("⏳ Too much at once: wait a few seconds.")
