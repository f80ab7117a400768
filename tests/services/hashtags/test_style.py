"""The style of hashtags, by the owner's rules."""

from __future__ import annotations

from services.hashtags.service import SwitchResult
from services.tags.rules import RuleSettings
from services.tags.user_rules import UserRules
from storage.db.engine import Database
from storage.schema.tables import User
from tests.services.hashtags.test_service import CHANNEL, OWNER, POST, World


async def test_hashtags_have_the_style_of_the_channels_rules(database: Database) -> None:
    """A channel's style is over the user's own; what is written follows with the post's next tags."""
    async with database.write() as session:
        session.add(User(telegram_id=OWNER))
    world = World(database)
    await world.channel_posts.bot_added(CHANNEL, "News", "TheNews", OWNER, can_edit=True)
    assert await world.hashtags.switch(OWNER, CHANNEL, on=True) is SwitchResult.DONE
    await world.channel_posts.channel_post(POST)
    post, rules = await world.post(), UserRules(database, lambda: world.now)
    await rules.put(post.user_id, RuleSettings(hashtag_style="camel"))
    await world.tagged("большая рыба")
    assert (await world.written()).line == "#БольшаяРыба"
    assert await world.hashtags.due() == []
    await rules.put(post.user_id, RuleSettings(hashtag_style="snake"), post.channel_id)
    assert await world.hashtags.due() == []
    await world.tagged("большая рыба")
    assert (await world.written(20)).line == "#большая_рыба"
