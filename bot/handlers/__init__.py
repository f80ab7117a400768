"""What the bot does with updates: a router a topic, in the order in which they are asked."""

from __future__ import annotations

from aiogram import Router

from bot.handlers import access, channels, fallback, forwards, groups, intro, outgoing, posts, retry, stats


def make_routers() -> list[Router]:
    """All routers, new ones, since a router belongs to one dispatcher."""
    return [
        groups.router(),
        intro.router(),
        stats.router(),
        retry.router(),
        posts.router(),
        outgoing.router(),
        access.router(),
        forwards.router(),
        fallback.router(),
        # Of no person's: asked last, since every router costs an update its time.
        channels.router(),
    ]
