"""A router per topic. A handler parses, calls one use case, and answers; middlewares are in bot/telegram."""

from aiogram import Router

from bot.handlers import (
    access,
    alerts,
    channel_updates,
    channels,
    exports,
    fallback,
    feeds,
    find,
    following,
    forwards,
    groups,
    hashtags,
    imports,
    inline,
    post_tags,
    posts,
    retry_run,
    rules,
    stats,
    tags,
)
from bot.handlers import help as help_


def make_routers() -> list[Router]:
    """New routers in the order in which they are asked: a router belongs to one dispatcher."""
    return [
        groups.router(),
        stats.router(),
        help_.router(),
        retry_run.router(),
        posts.router(),
        find.router(),
        tags.router(),
        post_tags.router(),
        channels.router(),
        following.router(),
        exports.router(),
        feeds.router(),
        access.router(),
        alerts.router(),
        hashtags.router(),
        rules.router(),
        forwards.router(),
        imports.router(),
        fallback.router(),
        channel_updates.router(),
        inline.router(),
    ]
