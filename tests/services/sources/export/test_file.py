"""What an export's file holds becomes posts, and whatever else it may be is said in words."""

from __future__ import annotations

import json
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sources.base import Delivery, SourceChannel, SourcePost
from services.sources.export.file import ExportError, ExportFault, ExportFile, fingerprint
from services.sources.export.messages import moment
from tests.services.sources.export.exports import (
    BARE,
    CHANNEL,
    POSTED,
    a_channel,
    a_message,
    a_service,
    an_account,
    write,
)

AT = datetime.fromtimestamp(POSTED, UTC)


def read(path: Path, position: int = 0, max_delivery: int = 500) -> tuple[list[Delivery], ExportFault | None]:
    """The deliveries, and what broke them off."""
    found: list[Delivery] = []
    try:
        for delivery in ExportFile(path, max_delivery=max_delivery).read(position):
            found += [delivery]
    except ExportError as error:
        return found, error.fault
    return found, None


def posts_of(path: Path) -> list[SourcePost]:
    deliveries, fault = read(path)
    assert fault is None
    return [post for delivery in deliveries for post in delivery.posts]


def texts(*messages: Any, folder: Path) -> list[str | None]:
    return [post.text for post in posts_of(write(folder, a_channel(*messages)))]


def test_a_message_becomes_a_post(tmp_path: Path) -> None:
    path = write(tmp_path, a_channel(a_message(5, "Hello", edited_unixtime=str(POSTED + 60), views=7)))
    (delivery,), fault = read(path)
    assert fault is None
    assert delivery.channel == SourceChannel(CHANNEL, None, "News")
    edited = datetime.fromtimestamp(POSTED + 60, UTC)
    assert delivery.posts == [SourcePost(5, "Hello", AT, url=f"https://t.me/c/{BARE}/5", as_of=edited)]
    assert (delivery.position, dict(delivery.skipped), delivery.is_whole) == (1, {}, False)


def test_texts_in_all_their_forms(tmp_path: Path) -> None:
    parts = [
        "a ",
        {"type": "bold", "text": "b"},
        "\n",
        {"type": "link", "text": "c", "href": {"text": "no"}},
        5,
        ["d"],
    ]
    poll = {"question": "Tea?", "closed": False, "answers": [{"text": "Yes", "voters": 3}, {"text": "No"}, 7]}
    rich = {"question": ["Te", {"type": "custom_emoji", "text": "a?"}], "answers": [{"text": ["Y", "es"]}]}
    assert texts(
        a_message(1, parts),
        a_message(2, "", text_entities=parts),
        a_message(3, "", poll=poll),
        a_message(4, "", poll=rich),
        a_message(5, "Caption", poll=poll, photo="photos/1.jpg"),
        a_message(6, "", photo="(File not included.)"),
        a_message(7, None),
        a_message(8, {"type": "plain", "text": "one part"}),
        folder=tmp_path,
    ) == [
        *("a b\ncd", "a b\ncd", "Tea?\n— Yes\n— No", "Tea?\n— Yes", "Caption\nTea?\n— Yes\n— No"),
        *(None, None, "one part"),
    ]


@pytest.mark.parametrize(
    ("kind", "number", "expected"),
    [
        ("public_channel", BARE, CHANNEL),
        ("private_channel", BARE, CHANNEL),
        ("public_supergroup", BARE, CHANNEL),
        ("private_supergroup", 5_000_000_000, -1_005_000_000_000),
        ("private_group", 77, -77),
        ("personal_chat", 77, 77),
        ("bot_chat", 77, 77),
        ("saved_messages", 77, 77),
        ("replies", 77, 77),
        ("something_new", 77, 77),
        (None, 77, 77),
        # As exports had them until 2021.
        ("public_channel", 2**33 + BARE, CHANNEL),
        ("private_group", 2**33 + 77, -77),
    ],
)
def test_every_kind_of_chat(kind: str | None, number: int, expected: int, tmp_path: Path) -> None:
    (delivery,), _ = read(write(tmp_path, a_channel(a_message(1), type=kind, id=number)))
    assert delivery.channel.telegram_id == expected
    assert (delivery.posts[0].url is not None) == (expected < -(10**12))


def test_chats_without_a_name_have_a_title(tmp_path: Path) -> None:
    unnamed = [a_channel(a_message(1), name=None, type=kind, id=9) for kind in ("saved_messages", "personal_chat")]
    deliveries, _ = read(write(tmp_path, an_account(unnamed)))
    assert [delivery.channel.title for delivery in deliveries] == ["Saved Messages", "personal chat 9"]


def test_a_whole_account_is_read_chat_by_chat(tmp_path: Path) -> None:
    chats = [a_channel(a_message(1), a_message(2)), a_channel(), a_channel(a_message(1), type="private_group", id=8)]
    path = write(tmp_path, an_account(chats, [a_channel(a_message(9), id=6)]))
    deliveries, fault = read(path)
    assert fault is None
    seen = [(d.channel.telegram_id, [post.message_id for post in d.posts], d.position) for d in deliveries]
    assert seen == [(CHANNEL, [1, 2], 2), (-8, [1], 3), (-1_000_000_000_006, [9], 4)]


def test_what_is_no_post_is_counted(tmp_path: Path) -> None:
    odd = [
        a_message(0),
        {**a_message(1), "id": True},
        {**a_message(1), "id": 1.5},
        {**a_message(1), "id": "1"},
        {**a_message(1), "id": None},
        {**a_message(1), "date": "yesterday", "date_unixtime": "9" * 50},
        {},
        5,
        "text",
        None,
        [[1]],
    ]
    unsupported = {"id": 4, "type": "unsupported"}
    deliveries, fault = read(write(tmp_path, a_channel(a_service(1), *odd, a_message(2), a_service(3), unsupported)))
    assert fault is None
    assert dict(deliveries[0].skipped) == {"service": 2, "unreadable": len(odd), "unsupported": 1}
    assert [post.message_id for post in deliveries[0].posts] == [2]
    assert deliveries[0].position == len(odd) + 4


def test_what_members_wrote_before_a_group_became_a_supergroup_is_kept(tmp_path: Path) -> None:
    (post,) = posts_of(write(tmp_path, a_channel(a_message(-999_999_990))))
    assert (post.message_id, post.url) == (-999_999_990, None)


@pytest.mark.parametrize(
    ("seconds", "local", "expected"),
    [
        (str(POSTED), "2000-01-01T00:00:00", AT),
        (POSTED, None, AT),
        (None, "2023-11-14T22:13:20", AT),
        (None, "2023-11-15T01:13:20+03:00", AT),
        ("-5", "2023-11-14T22:13:20", AT),
        (True, "0001-01-01T00:00:00+14:00", None),
        ("٣", None, datetime(1970, 1, 1, 0, 0, 3, tzinfo=UTC)),
        (253_402_300_800, "2" * 100, None),
        (None, 5, None),
    ],
)
def test_when_a_message_was_posted(seconds: object, local: object, expected: datetime | None) -> None:
    assert moment(seconds, local) == expected


def test_the_order_of_keys_and_doubles_do_not_matter(tmp_path: Path) -> None:
    message = '{"text":"old","text":["new"],"date_unixtime":"1700000000","type":"message","id":3,"id":4}'
    path = write(
        tmp_path, f'{{"id":1,"messages":[],"id":{BARE},"type":"public_channel","messages":[{message}]}}'.encode()
    )
    (post,) = posts_of(path)
    assert (post.message_id, post.text) == (4, "new")


@pytest.mark.parametrize("part", [1, 2, 3, 500])
def test_from_any_position_it_gives_the_rest(part: int, tmp_path: Path) -> None:
    chat = a_channel(a_message(1), a_service(2), a_message(3), 5, a_message(4), a_message(5))
    path = write(tmp_path, an_account([chat, a_channel(a_message(1), type="private_group", id=8)]))
    everything, _ = read(path, max_delivery=part)
    assert all(len(delivery.posts) + sum(delivery.skipped.values()) <= part for delivery in everything)
    for at in range(8):
        rest, fault = read(path, at, part)
        assert fault is None
        numbers = [(d.channel.telegram_id, post.message_id) for d in rest for post in d.posts]
        skipped = sum(sum(delivery.skipped.values()) for delivery in rest)
        assert len(numbers) + skipped == 7 - at
        assert (
            numbers == [(d.channel.telegram_id, p.message_id) for d in everything for p in d.posts][-len(numbers) :]
            or at == 7
        )
        assert [delivery.position for delivery in rest] == sorted({delivery.position for delivery in rest})


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", ExportFault.NOT_JSON),
        (b"PK\x03\x04", ExportFault.NOT_JSON),
        (b"\xef\xbb\xbf \n<!DOCTYPE html><html>", ExportFault.HTML),
        (b"{}", ExportFault.NOT_EXPORT),
        (b"[1]", ExportFault.NOT_EXPORT),
        (b'{"chats": [], "messages": {}}', ExportFault.NOT_EXPORT),
        (b'{"name": "x", "messages": [{}], "id": 5}', ExportFault.NOT_EXPORT),
        (b'{"id": 0, "messages": [{}]}', ExportFault.NOT_EXPORT),
        (b"{,}", ExportFault.BROKEN),
    ],
)
def test_what_is_no_export(content: bytes, fault: ExportFault, tmp_path: Path) -> None:
    assert read(write(tmp_path, content)) == ([], fault)


def test_an_export_without_any_chat_is_one(tmp_path: Path) -> None:
    assert read(write(tmp_path, an_account([]))) == ([], None)
    assert read(write(tmp_path, b"\xef\xbb\xbf" + json.dumps(a_channel()).encode())) == ([], None)


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.json", tmp_path / "a\0b"):
        assert read(path) == ([], ExportFault.UNREADABLE)
        with pytest.raises(ExportError):
            fingerprint(path)
    with pytest.raises(ExportError, match=r"result\.json in it"):
        fingerprint(tmp_path)


BREAKS = [
    b"",
    b',{"id":',
    b',{"id":9223372036854775808',
    b',{"id":3,"text":"a',
    b',{"id":3,"text":"a\\',
    b"," + b"[" * 10**6,
    b"," + b'{"a":' * 10**6,
    b'],"more":[]} trailing',
    b"," + b" " * 10**6 + b"nonsense",
]


@pytest.mark.parametrize("end", BREAKS, ids=range(len(BREAKS)))
def test_what_came_before_a_break_is_delivered(end: bytes, tmp_path: Path) -> None:
    whole = json.dumps(a_channel(a_message(1), a_message(2))).encode()
    deliveries, fault = read(write(tmp_path, whole.removesuffix(b"]}") + end))
    assert fault is ExportFault.BROKEN
    assert [post.message_id for delivery in deliveries for post in delivery.posts] == [1, 2]


#: What stands in place of `HERE` in the third of five messages → its text; None: the message cannot be mended.
DAMAGE: dict[str, tuple[str, bytes, str | None]] = {
    "a control character": ('"HERE"', rb'"a\x01b\x1F"', "a\x01b\x1f"),
    "an escaped backslash before x": ('"HERE"', rb'"a\x01 \\x01"', "a\x01 \\x01"),
    "a path without quotes": (
        '"HERE"',
        b'[{"type": "custom_emoji", "text": "A", "document_id": video_files/sticker (2).webm}, "b"]',
        "Ab",
    ),
    "an id without quotes": ('"HERE"', b'"b", "reply_to_peer_id": channel123', "b"),
    "a number that is none": ('"HERE"', b'"b", "latitude": nan', "b"),
    "a number that is too long": ('"HERE"', b'"b", "width": ' + b"9" * 10**6, "b"),
    "an infinite number": ('"HERE"', b'"b", "width": 9e999999999999999999999', "b"),
    "an unknown escape": ('"HERE"', rb'"a\eb"', "a\\eb"),
    "a bare control character": ('"HERE"', b'"a\x01b"', "a\x01b"),
    "no UTF-8": ('"HERE"', b'"a\xffb"', "a\ufffdb"),
    "a missing value": ('"HERE"', b"", None),
    "zeros": ('"HERE"', b"\0\0\0", "\0\0\0"),
    "two commas": ('"HERE"', b'"b",,', None),
    "depth": ('"HERE"', b"[" * 500 + b"]" * 500, None),
}
#: The same where each value has its line, as in Telegram Desktop's files.
LINE_DAMAGE: dict[str, tuple[str, bytes, str | None]] = DAMAGE | {
    "quotes": ('"HERE"', b'"say "hi" now"', 'say "hi" now'),
    "one quote": ('"HERE"', b'"5" wide"', '5" wide'),
    "a string that is not closed": ('"HERE"', b'"b', None),
    "brackets that are not closed": ('"HERE"', b'"b", "a": {"b": [', None),
}


@pytest.mark.parametrize("indent", [1, None])
@pytest.mark.parametrize("what", LINE_DAMAGE)
def test_a_damaged_message_is_mended_or_skipped_and_the_others_are_read(
    what: str, indent: int | None, tmp_path: Path
) -> None:
    """In one chat's export and in a whole account's, wherever the reading starts."""
    if indent is None and what not in DAMAGE:
        return
    place, damage, text = LINE_DAMAGE[what]
    chat = a_channel(*(a_message(number, "HERE" if number == 3 else f"text {number}") for number in range(1, 6)))
    for export, others in ((chat, 0), (an_account([chat, a_channel(a_message(1), id=7)]), 1)):
        whole = json.dumps(export, indent=indent).encode()
        path = write(tmp_path, whole.replace(f'"text": {place}'.encode(), b'"text": ' + damage, 1))
        for position in (0, 4):
            deliveries, fault = read(path, position)
            assert fault is None
            found = {p.message_id: p.text for d in deliveries if d.channel.telegram_id == CHANNEL for p in d.posts}
            expected = {1: "text 1", 2: "text 2", 4: "text 4", 5: "text 5"} | ({} if text is None else {3: text})
            assert found == {number: said for number, said in expected.items() if number > position}
            skipped = sum(d.skipped.get("damaged", 0) for d in deliveries)
            assert skipped == (text is None and position == 0)
            assert deliveries[-1].position == 5 + others


def test_damage_around_the_messages_is_mended(tmp_path: Path) -> None:
    account = an_account([a_channel(a_message(1, "one"))])
    account["sessions"] = {"list": [{"data": "HERE"}]}
    whole = json.dumps({"sessions": account.pop("sessions"), **account}, indent=1).encode()
    (post,) = posts_of(write(tmp_path, whole.replace(b"HERE", rb"1=412\x012=97180")))
    assert post.text == "one"


def test_a_damaged_file_is_read_a_message_at_a_time(tmp_path: Path) -> None:
    """However long it is, and wherever a part of what is read ends."""
    message = json.dumps(a_message(1, "x" * 1000 + " \\ HERE é"), ensure_ascii=False).replace("HERE", r"\x01")
    head = f'{{"name": "News", "type": "public_channel", "id": {BARE}, "messages": ['
    path = write(tmp_path, (head + ",\n".join([message] * 1000) + "]}").encode())
    tracemalloc.start()
    posts = sum(len(delivery.posts) for delivery in ExportFile(path, max_delivery=100).read())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert posts == 1000
    assert peak < path.stat().st_size


KEYS = st.sampled_from(
    ["name", "type", "id", "messages", "chats", "list", "text", "poll", "question", "answers", "date"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just(str(POSTED)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=30,
)
MESSAGES = st.fixed_dictionaries(
    {"id": st.integers(1, 9) | JSON, "date": st.just("2024-01-01") | JSON},
    optional={"text": JSON, "poll": JSON, "type": JSON, "date_unixtime": JSON, "edited": JSON, "text_entities": JSON},
)
CHATS = st.fixed_dictionaries(
    {"id": st.integers(1, 9) | JSON, "messages": st.lists(MESSAGES | JSON, max_size=7) | JSON}, optional={"type": JSON}
)
LISTS = st.fixed_dictionaries({"list": st.lists(CHATS | JSON, max_size=3)})
EXPORTS = CHATS | st.fixed_dictionaries({"chats": LISTS | JSON}, optional={"left_chats": LISTS}) | JSON


@given(export=EXPORTS, position=st.integers(0, 5), part=st.integers(1, 3))
def test_whatever_json_it_is_only_source_errors_come(
    export: Any, position: int, part: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = write(tmp_path_factory.getbasetemp(), json.dumps(export).encode(), "fuzz.json")
    check_deliveries(*read(path, position, part), position, part)


@given(cut=st.integers(0, 2000), junk=st.binary(max_size=8), resume=st.booleans())
def test_however_it_is_damaged_only_source_errors_come(
    cut: int, junk: bytes, resume: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = json.dumps(an_account([a_channel(a_message(1), a_service(2), a_message(3, ["a", {"text": "b"}]))])).encode()
    damaged = whole[:cut] + junk + (whole[cut:] if resume else b"")
    check_deliveries(*read(write(tmp_path_factory.getbasetemp(), damaged, "fuzz.json"), 0, 2), 0, 2)


def check_deliveries(deliveries: list[Delivery], fault: ExportFault | None, position: int, part: int) -> None:
    for delivery in deliveries:
        assert position < delivery.position
        assert len(delivery.posts) + sum(delivery.skipped.values()) == delivery.position - position <= part
        position = delivery.position


def test_a_file_is_known_again_by_its_size_and_beginning(tmp_path: Path) -> None:
    first, same = write(tmp_path, b"{abc", "a"), write(tmp_path, b"{abc", "b")
    longer, other = write(tmp_path, b"{abcd", "c"), write(tmp_path, b"{abd", "d")
    assert fingerprint(first) == fingerprint(same)
    assert len({fingerprint(path) for path in (first, longer, other)}) == 3
