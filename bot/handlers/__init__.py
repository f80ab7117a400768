"""What the bot does with updates: a router a topic, in the order in which they are asked."""

from __future__ import annotations

from aiogram import Router

from bot.handlers import (
    access,
    channel_updates,
    exports,
    fallback,
    following,
    forwards,
    groups,
    hashtags,
    help,
    imports,
    posts,
    retry,
    stats,
)
from bot.handlers import channels as channel_list


def make_routers() -> list[Router]:
    """All routers, new ones, since a router belongs to one dispatcher."""
    return [
        groups.router(),
        stats.router(),
        help.router(),
        retry.router(),
        posts.router(),
        channel_list.router(),
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
