"""A router per topic. A handler parses, calls one use case, and answers; middlewares are in bot/telegram."""

from aiogram import Router

from bot.handlers import access, alerts, fallback, settings
from bot.handlers import help as help_
from bot.handlers.channels import channel_updates, channels, exports, feeds, following, groups, hashtags, imports
from bot.handlers.posts import chart, digest, find, forwards, inline, posts, retry_run, stats, watch
from bot.handlers.tags import post_tags, rules, similar_tags, tags


def make_routers() -> list[Router]:
    """New routers in the order in which they are asked: a router belongs to one dispatcher."""
    return [
        watch.router(),
        groups.router(),
        stats.router(),
        chart.router(),
        digest.router(),
        help_.router(),
        retry_run.router(),
        posts.router(),
        find.router(),
        tags.router(),
        similar_tags.router(),
        post_tags.router(),
        channels.router(),
        following.router(),
        exports.router(),
        feeds.router(),
        access.router(),
        alerts.router(),
        settings.router(),
        hashtags.router(),
        rules.router(),
        forwards.router(),
        imports.router(),
        fallback.router(),
        channel_updates.router(),
        inline.router(),
    ]
