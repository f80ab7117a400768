"""What buttons carry: anybody can send anything in its place."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from aiogram.filters.callback_data import CallbackData
from hypothesis import example, given
from hypothesis import strategies as st

from bot.keyboards import (
    MAX_POST_ID,
    AccessRequest,
    Action,
    Failed,
    HashtagList,
    Hashtags,
    HashtagUndo,
    PostButton,
    Refresh,
    Retry,
    StopRetry,
    TryNow,
)
from bot.keyboards.channels import MAX_CHANNEL_ID, MAX_PAGE, ChannelAction, ChannelButton, ChannelList, Follow
from services.following.channel_names import is_name

MOST_BYTES = 64

#: Every kind of button with every value it may carry.
BUTTONS: dict[type[CallbackData], st.SearchStrategy[CallbackData]] = {
    PostButton: st.builds(
        PostButton, action=st.sampled_from(Action), post=st.integers(1, MAX_POST_ID), here=st.booleans()
    ),
    Retry: st.builds(Retry, here=st.booleans()),
    StopRetry: st.builds(StopRetry, batch=st.integers(1, 2**63 - 1)),
    Failed: st.builds(Failed, page=st.integers(1, 1_000_000), here=st.booleans()),
    Refresh: st.builds(Refresh, everybody=st.booleans()),
    AccessRequest: st.builds(AccessRequest, person=st.integers(1, 2**53), approve=st.booleans()),
    TryNow: st.just(TryNow()),
    ChannelButton: st.builds(
        ChannelButton,
        action=st.sampled_from(ChannelAction),
        channel=st.integers(1, MAX_CHANNEL_ID),
        page=st.integers(1, MAX_PAGE),
        card=st.booleans(),
    ),
    ChannelList: st.builds(ChannelList, page=st.integers(1, MAX_PAGE), here=st.booleans()),
    Follow: st.builds(Follow, name=st.from_regex(r"[A-Za-z][A-Za-z0-9_]{3,31}", fullmatch=True)),
    Hashtags: st.builds(Hashtags, channel=st.integers(-(2**53), -1), on=st.booleans(), sure=st.booleans()),
    HashtagUndo: st.builds(HashtagUndo, post=st.integers(1, MAX_POST_ID), here=st.booleans()),
    HashtagList: st.just(HashtagList()),
}
NUMBERS: dict[type[CallbackData], Callable[[CallbackData], bool]] = {
    PostButton: lambda button: isinstance(button, PostButton) and 1 <= button.post <= MAX_POST_ID,
    StopRetry: lambda button: isinstance(button, StopRetry) and 1 <= button.batch < 2**63,
    Failed: lambda button: isinstance(button, Failed) and 1 <= button.page <= 1_000_000,
    AccessRequest: lambda button: isinstance(button, AccessRequest) and 1 <= button.person <= 2**53,
    ChannelButton: lambda button: (
        isinstance(button, ChannelButton) and 1 <= button.channel <= MAX_CHANNEL_ID and 1 <= button.page <= MAX_PAGE
    ),
    ChannelList: lambda button: isinstance(button, ChannelList) and 1 <= button.page <= MAX_PAGE,
    Follow: lambda button: isinstance(button, Follow) and is_name(button.name),
    Hashtags: lambda button: isinstance(button, Hashtags) and -(2**53) <= button.channel <= -1,
    HashtagUndo: lambda button: isinstance(button, HashtagUndo) and 1 <= button.post <= MAX_POST_ID,
}

#: Of what a forger would put together: what is right, nearly right, and rubbish.
part = st.one_of(
    st.sampled_from(
        [
            *Action,
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
@example(text=f"post:retry:{MAX_POST_ID + 1}:1")
@example(text=f"stop:{2**63}")
@example(text="access:9007199254740993:1")
@example(text="failed:0:1")
@example(text="9" * MOST_BYTES)
@example(text=f"channel:drop:{MAX_CHANNEL_ID + 1}:1:1")
@example(text="follow:durov\n")
@example(text="follow:дуров")
def test_forged_data_is_refused_or_in_range(kind: type[CallbackData], text: str) -> None:
    """Whatever comes is refused by the errors that aiogram's filter expects, or holds values that a row may have."""
    try:
        button = kind.unpack(text)
    except (TypeError, ValueError):
        return
    assert kind not in NUMBERS or NUMBERS[kind](button)
    assert kind.unpack(button.pack()) == button


@pytest.mark.parametrize("kind", BUTTONS, ids=lambda kind: kind.__prefix__)
@given(data=st.data())
def test_a_button_comes_back_as_it_was(kind: type[CallbackData], data: st.DataObject) -> None:
    """Every value that a button may carry fits into Telegram's 64 bytes, and is read again; by no other kind."""
    button = data.draw(BUTTONS[kind])
    packed = button.pack()
    assert len(packed.encode()) <= MOST_BYTES
    assert kind.unpack(packed) == button
    for other in BUTTONS.keys() - {kind}:
        with pytest.raises((TypeError, ValueError)):
            other.unpack(packed)
