"""Callback data: anybody can send any text in its place."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from aiogram.filters.callback_data import CallbackData
from hypothesis import example, given
from hypothesis import strategies as st

from bot.keyboards.access import AccessDecisionButton
from bot.keyboards.alerts import TryNowButton
from bot.keyboards.channels.channels import MAX_PAGE, ChannelAction, ChannelButton, ChannelListButton
from bot.keyboards.channels.exports import ExportButton
from bot.keyboards.channels.feeds import NewFeedLinkButton
from bot.keyboards.channels.following import FollowButton
from bot.keyboards.channels.hashtags import HashtagListButton, HashtagSwitchButton, RemoveHashtagsButton
from bot.keyboards.posts.find import MAX_PAGE as MOST_FOUND
from bot.keyboards.posts.find import FindPageButton, LatestPageButton, RelatedButton, TagDraftButton
from bot.keyboards.posts.posts import FailedPageButton, PostAction, PostButton
from bot.keyboards.posts.retry_run import RetryAllButton, StopRetryButton
from bot.keyboards.posts.stats import RefreshStatsButton, SendNowButton
from bot.keyboards.tags.rules import RuledChannelsButton, RulesAction, RulesButton
from bot.keyboards.tags.tags import (
    AddTagButton,
    ChangedHashtagsButton,
    PostHashtagsButton,
    PostTagAction,
    PostTagButton,
    TagAction,
    TagButton,
    TagListButton,
    UndoChangeButton,
    mark,
    searchable,
)
from services.following.channel_names import is_name
from services.library.cursor import MAX_ID
from services.library.export import ExportFormat
from services.tags.rules import HashtagStyle, Mode

MOST_BYTES = 64

#: Class of button → all its values.
BUTTONS: dict[type[CallbackData], st.SearchStrategy[CallbackData]] = {
    PostButton: st.builds(
        PostButton, action=st.sampled_from(PostAction), post=st.integers(1, MAX_ID), here=st.booleans()
    ),
    RetryAllButton: st.builds(RetryAllButton, here=st.booleans()),
    StopRetryButton: st.builds(StopRetryButton, run=st.integers(1, 2**63 - 1)),
    FailedPageButton: st.builds(FailedPageButton, page=st.integers(1, 1_000_000), here=st.booleans()),
    SendNowButton: st.just(SendNowButton()),
    RefreshStatsButton: st.builds(RefreshStatsButton, everybody=st.booleans()),
    AccessDecisionButton: st.builds(AccessDecisionButton, person=st.integers(1, 2**53), approve=st.booleans()),
    TryNowButton: st.just(TryNowButton()),
    ChannelButton: st.builds(
        ChannelButton,
        action=st.sampled_from(ChannelAction),
        channel=st.integers(1, MAX_ID),
        page=st.integers(1, MAX_PAGE),
        card=st.booleans(),
    ),
    ChannelListButton: st.builds(ChannelListButton, page=st.integers(1, MAX_PAGE), here=st.booleans()),
    FollowButton: st.builds(FollowButton, name=st.from_regex(r"[A-Za-z][A-Za-z0-9_]{3,31}", fullmatch=True)),
    HashtagSwitchButton: st.builds(
        HashtagSwitchButton, channel=st.integers(-(2**53), -1), on=st.booleans(), sure=st.booleans()
    ),
    RemoveHashtagsButton: st.builds(RemoveHashtagsButton, post=st.integers(1, MAX_ID), here=st.booleans()),
    HashtagListButton: st.just(HashtagListButton()),
    ExportButton: st.builds(ExportButton, form=st.sampled_from(ExportFormat)),
    NewFeedLinkButton: st.just(NewFeedLinkButton()),
    FindPageButton: st.builds(FindPageButton, page=st.integers(1, MOST_FOUND)),
    LatestPageButton: st.builds(LatestPageButton, page=st.integers(1, MOST_FOUND)),
    RelatedButton: st.builds(RelatedButton, post=st.integers(1, MAX_ID)),
    TagDraftButton: st.just(TagDraftButton()),
    RulesButton: st.builds(
        RulesButton,
        action=st.sampled_from(RulesAction),
        channel=st.integers(0, MAX_ID),
        mode=st.none() | st.sampled_from(Mode),
        language=st.sampled_from([None, "post", "ru"]),
        most=st.none() | st.integers(1, 10),
        style=st.none() | st.sampled_from(HashtagStyle),
        is_on=st.none() | st.booleans(),
    ),
    RuledChannelsButton: st.builds(RuledChannelsButton, page=st.integers(1, 1_000_000)),
    TagButton: st.builds(TagButton, action=st.sampled_from(TagAction), tag=st.integers(1, 2**63 - 1)),
    TagListButton: st.builds(
        TagListButton, page=st.integers(1, 1_000_000), search=st.text(max_size=80).map(searchable)
    ),
    UndoChangeButton: st.builds(UndoChangeButton, change=st.integers(1, 2**63 - 1)),
    ChangedHashtagsButton: st.builds(ChangedHashtagsButton, change=st.integers(1, 2**63 - 1)),
    PostTagButton: st.builds(
        PostTagButton,
        action=st.sampled_from(PostTagAction),
        post=st.integers(1, MAX_ID),
        mark=st.text().map(mark),
        card=st.booleans(),
    ),
    AddTagButton: st.builds(AddTagButton, post=st.integers(1, MAX_ID)),
    PostHashtagsButton: st.builds(PostHashtagsButton, post=st.integers(1, MAX_ID)),
}
NUMBERS: dict[type[CallbackData], Callable[[CallbackData], bool]] = {
    PostButton: lambda button: isinstance(button, PostButton) and 1 <= button.post <= MAX_ID,
    StopRetryButton: lambda button: isinstance(button, StopRetryButton) and 1 <= button.run < 2**63,
    FailedPageButton: lambda button: isinstance(button, FailedPageButton) and 1 <= button.page <= 1_000_000,
    AccessDecisionButton: lambda button: isinstance(button, AccessDecisionButton) and 1 <= button.person <= 2**53,
    ChannelButton: lambda button: (
        isinstance(button, ChannelButton) and 1 <= button.channel <= MAX_ID and 1 <= button.page <= MAX_PAGE
    ),
    ChannelListButton: lambda button: isinstance(button, ChannelListButton) and 1 <= button.page <= MAX_PAGE,
    FollowButton: lambda button: isinstance(button, FollowButton) and is_name(button.name),
    HashtagSwitchButton: lambda button: isinstance(button, HashtagSwitchButton) and -(2**53) <= button.channel <= -1,
    RemoveHashtagsButton: lambda button: isinstance(button, RemoveHashtagsButton) and 1 <= button.post <= MAX_ID,
    FindPageButton: lambda button: isinstance(button, FindPageButton) and 1 <= button.page <= MOST_FOUND,
    LatestPageButton: lambda button: isinstance(button, LatestPageButton) and 1 <= button.page <= MOST_FOUND,
    RelatedButton: lambda button: isinstance(button, RelatedButton) and 1 <= button.post <= MAX_ID,
    TagButton: lambda button: isinstance(button, TagButton) and 1 <= button.tag < 2**63,
    UndoChangeButton: lambda button: isinstance(button, UndoChangeButton) and 1 <= button.change < 2**63,
    PostTagButton: lambda button: isinstance(button, PostTagButton) and 1 <= button.post <= MAX_ID,
    AddTagButton: lambda button: isinstance(button, AddTagButton) and 1 <= button.post <= MAX_ID,
}

#: Parts of forged data: valid, nearly valid, and random.
part = st.one_of(
    st.sampled_from(
        [
            *PostAction,
            *ChannelAction,
            "durov",
            *(kind.__prefix__ for kind in BUTTONS),
            "",
            "0",
            "1",
            "١",
            " 1",
            "1_0",
            "1e3",
            "NaN",
        ]
    ),
    st.integers(-(2**70), 2**70).map(str),
    st.text(max_size=8),
)
forged = st.one_of(st.text(max_size=MOST_BYTES), st.lists(part, max_size=6).map(":".join)).filter(
    lambda text: len(text.encode("utf-8", "surrogatepass")) <= MOST_BYTES
)


@pytest.mark.parametrize("kind", BUTTONS, ids=lambda kind: kind.__prefix__)
@given(text=forged)
@example(text=f"post:retry:{MAX_ID + 1}:1")
@example(text=f"stop:{2**63}")
@example(text="access:9007199254740993:1")
@example(text="failed:0:1")
@example(text="9" * MOST_BYTES)
@example(text=f"channel:drop:{MAX_ID + 1}:1:1")
@example(text="follow:durov\n")
@example(text="follow:дуров")
def test_forged_data_is_refused_or_in_range(kind: type[CallbackData], text: str) -> None:
    """Any text is refused with an error that aiogram's filter expects, or holds values in range."""
    try:
        button = kind.unpack(text)
    except (TypeError, ValueError):
        return
    assert kind not in NUMBERS or NUMBERS[kind](button)
    assert kind.unpack(button.pack()) == button


@pytest.mark.parametrize("kind", BUTTONS, ids=lambda kind: kind.__prefix__)
@given(data=st.data())
def test_a_button_comes_back_as_it_was(kind: type[CallbackData], data: st.DataObject) -> None:
    """Every value fits into Telegram's 64 bytes, and only its own class can read it."""
    button = data.draw(BUTTONS[kind])
    packed = button.pack()
    assert len(packed.encode()) <= MOST_BYTES
    assert kind.unpack(packed) == button
    for other in BUTTONS.keys() - {kind}:
        with pytest.raises((TypeError, ValueError)):
            other.unpack(packed)
