"""Whatever the server sends, a page gives sound posts or one of the expected errors."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sandbox.preview.markup import text_html
from services.sources.base import SourceGoneError, SourceUnreadableError
from services.sources.preview.page import PreviewPage, read_count, read_page
from tests.services.sources.preview.pages import INFO_PAGE, PHOTO, footer, message, more, page, text_block

PAGE = page(
    message(1, text_block("Channel created"), kind="service_message"),
    message(2, text_block('a &amp; <b>b</b><br/><i class="emoji"><b>🙂</b></i> <a href="https://x.example">x</a>')),
    message(3, PHOTO + text_block("caption")),
    message(
        5,
        '<div class="tgme_widget_message_poll"><div class="tgme_widget_message_poll_question">q</div>'
        '<div class="tgme_widget_message_poll_option_text">o</div></div>',
    ),
    older=more(1),
)
PIECES = [
    *("<div>", "</div>", "<a ", "<b>", "</b>", "<p>", "<pre>", "</pre>", "<svg>", "</svg>", "<script>", "</script>"),
    *(
        "<!--",
        "-->",
        "<![CDATA[",
        "<",
        ">",
        '"',
        "'",
        "=",
        "&",
        "&#",
        "&#x110000;",
        "&#99999999999;",
        "\x00",
        "\r",
        "\ud800",
    ),
    *('class="tgme_widget_message"', 'data-post="x/1"', 'data-before="0"', 'datetime="9999-12-31T23:59:59-12:00"'),
    *('<div class="tgme_widget_message" data-post="durov/9">', '<div class="tgme_widget_message_wrap">'),
    *('<div class="js-message_text">', '<a class="tgme_widget_message_date">', '<div class="tgme_page">'),
    *(footer("durov", 9), text_block("x"), message(9, text_block("y")), PHOTO, INFO_PAGE),
]


def check(html: str) -> None:
    """Read a page, and look at what comes of it."""
    try:
        found = read_page(html, "durov")
    except (SourceGoneError, SourceUnreadableError):
        return
    check_posts(found)


def check_posts(found: PreviewPage) -> None:
    assert found.title
    assert found.name
    assert found.before is None or found.before > 0
    numbers = [post.message_id for post in found.posts]
    assert numbers == sorted(numbers)
    for post in found.posts:
        assert post.message_id > 0
        assert post.text is None or post.text.strip() == post.text != ""
        assert post.posted_at.utcoffset() == timedelta(0)
        assert post.members == () or post.message_id in post.members
        assert post.views is None or post.views >= 0


@given(st.text(max_size=3000))
@example("")
@example("\ud800")
def test_any_text(html: str) -> None:
    check(html)


@given(st.lists(st.sampled_from(PIECES), max_size=60))
def test_any_order_of_the_parts_of_pages(pieces: list[str]) -> None:
    check("".join(pieces))
    check(page("".join(pieces)))


@given(st.data())
def test_pages_with_parts_lost_doubled_or_put_elsewhere(data: st.DataObject) -> None:
    """And cut off anywhere, as a connection does."""
    html = PAGE
    for _ in range(data.draw(st.integers(1, 5))):
        start = data.draw(st.integers(0, len(html)))
        end = data.draw(st.integers(start, min(len(html), start + 400)))
        part = data.draw(st.sampled_from(["", html[start:end] * 2, *PIECES]) | st.text(max_size=20))
        html = html[:start] + part + html[end:]
    check(html)
    check(html[: data.draw(st.integers(0, len(html)))])


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\x00"), max_size=300))
@example("a\n\n b \n")
@example("https://x.example/?a=1&b=2 #tag &lt; &amp; 🙂❤️")
def test_every_text_comes_back_as_it_was_written(text: str) -> None:
    """Through the page's markup and out of it again, character for character."""
    written = text_html(text)
    if text.strip():
        [post] = read_page(page(message(1, text_block(written))), "durov").posts
        assert post.text == text.strip()
    else:
        with pytest.raises(SourceUnreadableError):
            read_page(page(message(1, text_block(written))), "durov")


@given(st.text(max_size=50))
def test_any_count(written: str) -> None:
    count = read_count(written)
    assert count is None or count >= 0


def test_elements_nested_beyond_any_page_are_refused() -> None:
    deep = message(9, text_block("<b>" * 5000 + "x"))
    with pytest.raises(SourceUnreadableError, match="nested too deeply"):
        read_page(page(deep), "durov")
