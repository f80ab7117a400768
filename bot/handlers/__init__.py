"""What the bot does with updates: a router a topic, in the order in which they are asked."""

from __future__ import annotations

from aiogram import Router

from bot.handlers import (
    access,
    channel_updates,
    channels,
    exports,
    fallback,
    following,
    forwards,
    groups,
    hashtags,
    imports,
    posts,
    retry,
    start,
    stats,
)


def make_routers() -> list[Router]:
    """All routers, new ones, since a router belongs to one dispatcher."""
    return [
        groups.router(),
        stats.router(),
        start.router(),
        retry.router(),
        posts.router(),
        channels.router(),
        following.router(),
        exports.router(),
        access.router(),
        hashtags.router(),
        forwards.router(),
        imports.router(),
        fallback.router(),
        # Of no person's: asked last, since every router costs an update its time.
        channel_updates.router(),
    ]
