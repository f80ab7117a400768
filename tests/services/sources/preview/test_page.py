"""A page of the preview: what is on it, and what is said of one that is not of the known form."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.sources.base import SourceGoneError, SourcePost, SourceUnreadableError
from services.sources.preview.page import PreviewPage, read_count, read_page
from tests.services.sources.preview.pages import (
    CONTENTLESS_NOTE,
    INFO_PAGE,
    PHOTO,
    footer,
    message,
    more,
    page,
    text_block,
)

EMOJI = '<i class="emoji" style="background-image:url(\'//telegram.org/img/emoji/40/F09F9982.png\')"><b>🙂</b></i>'


def read(*messages: str, **rest: str) -> PreviewPage:
    return read_page(page(*messages, **rest), "durov")


def only(body: str) -> SourcePost:
    """The post that a message of this content becomes."""
    [post] = read(message(7, body)).posts
    return post


def text_of(html: str) -> str | None:
    return only(text_block(html)).text


def test_a_page_gives_posts_oldest_first_with_all_that_is_known_of_them() -> None:
    """Title, name, number, text, views, time and address of each post, and where older ones are."""
    found = read(message(12, text_block("two")), message(11, text_block("one")), older=more(11))
    assert (found.title, found.name, found.before, found.lowest) == ("Durov's Channel", "durov", 11, 11)
    moment = datetime(2024, 12, 5, 13, 10, 40, tzinfo=UTC)
    assert list(found.posts) == [
        SourcePost(11, "one", moment, "https://t.me/durov/11", views=1200),
        SourcePost(12, "two", moment, "https://t.me/durov/12", views=1200),
    ]
    assert found.skipped == {}


def test_without_a_link_to_older_posts_it_is_the_beginning() -> None:
    assert read(message(1, text_block("first"))).before is None


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("a<br/>b<br><br />c", "a\nb\n\nc"),
        (f"good {EMOJI} day", "good 🙂 day"),
        (f'<tg-emoji emoji-id="5208811735292590251">{EMOJI}</tg-emoji>!', "🙂!"),
        ('<tg-emoji emoji-id="1">🔥</tg-emoji>x', "🔥x"),
        ('<a href="https://example.com/?a=1&amp;b=2" onclick="return confirm(\'?\\n\')">shown</a>', "shown"),
        ('<a href="?q=%23tag">#tag</a> <a href="https://t.me/x">@x</a>', "#tag @x"),
        ("1 &lt; 2 &amp;&amp; &#036;3 &quot;q&quot; &nbsp;8", '1 < 2 && $3 "q" \xa08'),
        ("<b>bold</b><i>it<u>un</u></i><s>st</s>", "bolditunst"),
        ("see <tg-spoiler>secret</tg-spoiler> <span class='tg-spoiler'>two</span>", "see secret two"),
        ("before<blockquote>quoted<br/>twice</blockquote>after", "before\nquoted\ntwice\nafter"),
        ("before<br/><blockquote>quoted</blockquote><br/>after", "before\nquoted\nafter"),
        ("a<pre>  one\n    two</pre>b <code>c  d</code>", "a\n  one\n    two\nb c  d"),
        ("list<ul><li>one</li><li>two</li></ul>end", "list\none\ntwo\nend"),
        ("two  spaces and <b>one </b>more", "two  spaces and one more"),
        ("\n   laid out\n   by a program <br/>\n  here\n", "laid out by a program \nhere"),
        (text_block("nested<br/>twice"), "nested\ntwice"),
        ("x<script>alert(1)</script><style>b{}</style><!-- not <b>this</b> -->y", "xy"),
        ('<img class="emoji" alt="🙂" src="//x"><img alt="a photo">z', "🙂z"),
        ("no\x00thing &#0; &#99999999999999;", "nothing \ufffd \ufffd"),
        ("عربي 中文 \u200bé", "عربي 中文 \u200bé"),
    ],
)
def test_text_is_as_the_bot_api_gives_it(html: str, text: str) -> None:
    """The same characters and line breaks, whatever the page's markup: no post may seem edited by where it was read."""
    assert text_of(html) == text


def test_a_replys_quote_and_the_forwards_author_are_not_the_posts_text() -> None:
    reply = (
        '<a class="tgme_widget_message_reply" href="https://t.me/durov/3"><div class="tgme_widget_message_author">'
        '<span class="tgme_widget_message_author_name">D</span></div>'
        '<div class="tgme_widget_message_text js-message_reply_text" dir="auto">old words</div></a>'
    )
    forwarded = (
        '<div class="tgme_widget_message_forwarded_from accent_color">Forwarded from '
        '<a class="tgme_widget_message_forwarded_from_name" href="https://t.me/x/5"><span>Somebody</span></a></div>'
    )
    link = (
        '<a class="tgme_widget_message_link_preview" href="https://example.com">'
        '<div class="link_preview_title">Site</div><div class="link_preview_description">words</div></a>'
    )
    assert only(forwarded + reply + text_block("new words") + link).text == "new words"


def test_a_bare_reply_to_a_text_is_media_only() -> None:
    """The quoted text must not become that of a photo which answers it."""
    reply = '<div class="tgme_widget_message_metatext js-message_reply_text">old words</div>'
    assert only(reply + PHOTO.format(id=7)).text is None


@pytest.mark.parametrize(
    "quote",
    [
        '<div class="tgme_widget_message_text js-message_reply_text">old words</div>',
        '<a class="tgme_widget_message_reply"><div class="tgme_widget_message_text">old words</div></a>',
    ],
)
def test_either_mark_of_a_quote_is_enough(quote: str) -> None:
    assert only(quote + text_block("new words")).text == "new words"


def test_a_text_that_is_on_the_page_in_parts_is_one_and_none_of_it_twice() -> None:
    parts = text_block("caption"), text_block("more"), text_block("caption")
    assert only("".join(parts)).text == "caption\nmore"


def test_a_poll_becomes_its_question_and_options() -> None:
    options = "".join(
        '<div class="tgme_widget_message_poll_option"><div class="tgme_widget_message_poll_option_percent">27%</div>'
        f'<div class="tgme_widget_message_poll_option_value"><div class="tgme_widget_message_poll_option_text">{option}'
        '</div><div class="tgme_widget_message_poll_option_bar"></div></div></div>'
        for option in ("Tea", f"Coffee {EMOJI}")
    )
    poll = (
        '<div class="tgme_widget_message_poll js-poll"><div class="tgme_widget_message_poll_question">Tea\nor coffee?'
        '</div><div class="tgme_widget_message_poll_type">Anonymous Poll</div>'
        f'<a class="tgme_widget_message_poll_options" href="https://t.me/durov/7">{options}</a></div>'
    )
    assert only(poll).text == "Tea or coffee?\n— Tea\n— Coffee 🙂"


@pytest.mark.parametrize(
    "body",
    [
        PHOTO.format(id=7),
        '<a class="tgme_widget_message_video_player js-message_video_player" href="https://t.me/durov/7"></a>',
        '<a class="tgme_widget_message_roundvideo_player"></a>',
        '<a class="tgme_widget_message_voice_player"><audio class="tgme_widget_message_voice"></audio></a>',
        '<a class="tgme_widget_message_document_wrap"><div class="tgme_widget_message_document_title">a.pdf</div></a>',
        '<div class="tgme_widget_message_sticker_wrap"><i class="tgme_widget_message_sticker"></i></div>',
        '<div class="tgme_widget_message_tgsticker js-tgsticker"></div>',
        '<a class="tgme_widget_message_location_wrap"></a>',
        '<a class="tgme_widget_message_contact_wrap"></a>',
        CONTENTLESS_NOTE.format(id=7),
        text_block('<tg-emoji emoji-id="5"></tg-emoji>'),
    ],
)
def test_media_alone_are_a_post_without_text(body: str) -> None:
    post = only(body)
    assert (post.message_id, post.text, post.members) == (7, None, ())


def test_the_notice_under_a_text_is_not_part_of_it() -> None:
    assert only(text_block("words") + CONTENTLESS_NOTE.format(id=7)).text == "words"


def test_an_album_is_one_post_that_names_its_members() -> None:
    photos = "".join(
        f'<a class="tgme_widget_message_photo_wrap grouped_media_wrap" href="https://t.me/Durov/{n}?single"></a>'
        for n in (7, 8, 9)
    )
    album = f'<div class="tgme_widget_message_grouped_wrap js-message_grouped_wrap">{photos}</div>'
    found = read(message(7, album + text_block("caption")), message(10, text_block("next")))
    assert [(post.message_id, post.text, post.members) for post in found.posts] == [
        (7, "caption", (7, 8, 9)),
        (10, "next", ()),
    ]


def test_service_messages_are_left_out_and_counted() -> None:
    created = message(1, text_block("Channel created"), kind="service_message")
    pinned = message(3, text_block("Durov pinned a photo"), kind="service_message", foot="")
    found = read(created, message(2, text_block("post")), pinned)
    assert ([post.message_id for post in found.posts], found.skipped, found.lowest) == ([2], {"service": 2}, 1)


@pytest.mark.parametrize("written", ["Durov", "DUROV", "telegram"])
def test_the_name_is_the_pages(written: str) -> None:
    """It may differ from the asked one in case, or because the channel was renamed."""
    found = read(message(5, text_block("x"), name=written))
    assert (found.name, found.posts[0].url) == (written, f"https://t.me/{written}/5")


@pytest.mark.parametrize(
    ("written", "count"),
    [
        ("7", 7),
        ("1.2K", 1200),
        ("12.55K", 12550),
        ("3M", 3_000_000),
        ("24M", 24_000_000),
        ("1.5b", 1_500_000_000),
        ("12 345", 12345),
        ("12\u202f345", 12345),
        ("12,345", 12345),
        ("", None),
        ("many", None),
        ("1.2.3K", None),
        ("-5", None),
        ("9" * 5000, None),
    ],
)
def test_views_are_read_as_they_are_shown(written: str, count: int | None) -> None:
    assert read_count(written) == count


def test_views_that_are_missing_or_odd_are_unknown() -> None:
    found = read(message(1, text_block("x"), foot=footer("durov", 1, views="lots")))
    assert found.posts[0].views is None


@pytest.mark.parametrize(
    ("written", "hour"), [("2024-12-05T13:10:40+03:00", 10), ("2024-12-05T13:10:40Z", 13), ("2024-12-05T13:10:40", 13)]
)
def test_time_is_read_with_its_offset(written: str, hour: int) -> None:
    found = read(message(1, text_block("x"), foot=footer("durov", 1, time=written)))
    assert found.posts[0].posted_at == datetime(2024, 12, 5, hour, 10, 40, tzinfo=UTC)


def test_a_channel_without_posts_is_no_error() -> None:
    """So is a page older than the oldest post, and the notice that nothing was found."""
    notice = (
        '<div class="tgme_widget_message_wrap"><div class="tgme_widget_message_centered">'
        '<div class="tme_no_messages_found">No posts</div></div></div>'
    )
    for found in (read(title="Новый", name="fresh"), read(notice, title="Новый", name="fresh")):
        assert (found.title, found.name, found.posts, found.before) == ("Новый", "fresh", [], None)


def test_a_page_about_a_name_says_that_there_is_no_preview() -> None:
    with pytest.raises(SourceGoneError):
        read_page(INFO_PAGE, "secret")


GOOD = message(7, text_block("private words"))


def test_a_message_of_a_new_kind_among_others_is_left_out_and_counted() -> None:
    odd = message(8, '<div class="tgme_widget_message_hologram">private words</div>')
    found = read_page(page(GOOD, odd), "durov")
    assert ([post.message_id for post in found.posts], found.skipped, found.lowest) == ([7], {"unknown": 1}, 7)
    with pytest.raises(SourceUnreadableError):
        read_page(page(odd, message(9, ""), GOOD), "durov")


@pytest.mark.parametrize(
    ("html", "missing"),
    [
        ("", "no messages, nor the known frame"),
        ("<html><body><h1>Welcome to nginx!</h1></body></html>", "no messages, nor the known frame"),
        (page(GOOD.replace('data-post="durov/7"', "")), "no name and number in data-post"),
        (page(GOOD.replace("durov/7", "durov/x")), "no name and number in data-post"),
        (page(GOOD.replace("durov/7", "durov/0")), "no name and number in data-post"),
        (page(message(7, text_block("private words"), foot="")), "message 7 has no time"),
        (page(GOOD.replace("tgme_widget_message_date", "tgme_when")), "message 7 has no time"),
        (page(GOOD.replace("2024-12-05T13:10:40+00:00", "yesterday")), "a time that is none"),
        (page(GOOD.replace("2024-12-05T13:10:40+00:00", "0001-01-01T00:00:00+05:00")), "a time that is none"),
        (page(message(7, "")), "message 7 has neither text nor content"),
        (page(message(7, text_block(""))), "message 7 has neither text nor content"),
        (page(message(7, '<div class="tgme_widget_message_hologram">private words</div>')), "message 7 has neither"),
        (page(GOOD.replace("tgme_widget_message_text js-message_text", "tgme_body")), "message 7 has neither text"),
        (page(message(7, PHOTO + text_block("private words").replace("message_text", "body"))), "message 7 has words"),
        (page(message(7, '<a class="tgme_widget_message_link_preview">private words</a>')), "message 7 has neither"),
        (page(GOOD.replace('class="tgme_widget_message ', 'class="tgme_post ')), "outside of any"),
        (page('<div class="tgme_widget_message_wrap"><article>private words</article></div>'), "holds no"),
        (page(message(7, GOOD)), "message 7 holds another message"),
        (page(GOOD, message(8, text_block("x"), name="other")), "posts of several channels"),
        (page(GOOD, older=more("soon")), "no number in data-before"),
        (page(message(7, '<div class="tgme_widget_message_poll"></div>')), "a poll without question"),
    ],
)
def test_an_unknown_structure_is_said_and_gives_no_posts(html: str, missing: str) -> None:
    """The error says what is missing, and repeats nothing of the page."""
    with pytest.raises(SourceUnreadableError, match=missing) as caught:
        read_page(html, "durov")
    assert "private" not in str(caught.value)
