from bot.i18n import Html, Texts, escape, join
from bot.views.common import lines, link, paragraphs, shorten
from services.tagging.similar_tags import SimilarPair
from services.tags.errors import TagProblem
from services.tags.vocabulary import TagPage
from storage.tags.lists import PostOfTag, TagCard

#: The first word of a question tells what its answer is for.
ADD, RENAME, MERGE = "➕", "✏️", "🔀"


def listed(t: Texts, page: TagPage, number: int, pages: int, search: str) -> Html:
    if not page.total:
        return t._("No tag contains “{search}”.", search=search) if search else _none(t)
    found = t._("🔎 “{search}”", search=search) if search else None
    return paragraphs(
        lines(
            t.ngettext(
                "🏷 <b>{count} tag</b>, the most used first", "🏷 <b>{count} tags</b>, the most used first", page.total
            ),
            found,
        ),
        t._("page {page} of {pages}", page=number, pages=pages) if pages > 1 else None,
        None if search or pages == 1 else t._("Search: <code>/tags part of a tag</code>"),
    )


def _none(t: Texts) -> Html:
    return t._("You have no tags yet: they come with your first tagged posts.")


def tag(t: Texts, card: TagCard, posts: list[PostOfTag]) -> Html:
    banned = t._("🚫 Banned: no new post gets it.") if card.state == "banned" else None
    return paragraphs(
        lines(t._("🏷 <b>{tag}</b>", tag=card.name), _posts(t, card.uses), banned),
        lines(t._("<b>Newest posts</b>"), *(_post(post) for post in posts)) if posts else None,
    )


def _posts(t: Texts, count: int) -> Html:
    return t.ngettext("{count} post has it", "{count} posts have it", count)


def _post(post: PostOfTag) -> Html:
    return join(" · ", [escape(f"#{post.id}"), link(escape(shorten(post.text or "", 80) or "—"), post.url)])


def ask_name(t: Texts, card: TagCard) -> Html:
    return _question(
        RENAME, card.name, _posts(t, card.uses), t._("Reply to this message with the tag's new name: they get it, too.")
    )


def ask_target(t: Texts, card: TagCard) -> Html:
    return _question(
        MERGE,
        card.name,
        _posts(t, card.uses),
        t._("Reply to this message with the tag that they get instead. Later posts get that one, too."),
    )


def ask_tags(t: Texts, post_id: int) -> Html:
    return _question(
        ADD, f"#{post_id}", t._("Reply to this message with a tag for the post, or with several: <i>one, two</i>")
    )


def _question(sign: str, subject: str, *text: Html) -> Html:
    """The answer is a reply, and `subject_of` reads from it what was asked."""
    return paragraphs(escape(f"{sign} {subject}"), lines(*text))


def subject_of(question: str, sign: str) -> str | None:
    """What the question was about; None if it is no question of this kind."""
    first = question.partition("\n")[0]
    return first.removeprefix(f"{sign} ").strip() if first.startswith(f"{sign} ") else None


def ask_ban(t: Texts, card: TagCard) -> Html:
    return paragraphs(
        t._("🚫 Ban <b>{tag}</b>?", tag=card.name), lines(_posts(t, card.uses), t._("No new post will get it."))
    )


def renamed(t: Texts, before: TagCard, after: TagCard) -> Html:
    return lines(
        t._("✏️ <b>{tag}</b> is now <b>{name}</b>.", tag=before.name, name=after.name), _touched(t, before.uses)
    )


def merged(t: Texts, before: TagCard, into: TagCard) -> Html:
    return lines(
        t._("🔀 <b>{tag}</b> is merged into <b>{into}</b>, for later posts too.", tag=before.name, into=into.name),
        _touched(t, before.uses),
        _posts(t, into.uses),
    )


def banned(t: Texts, before: TagCard, *, taken_off: bool) -> Html:
    kept = t.ngettext("{count} post keeps it.", "{count} posts keep it.", before.uses) if before.uses else None
    return lines(
        t._("🚫 <b>{tag}</b> is banned: no new post gets it.", tag=before.name),
        _touched(t, before.uses) if taken_off else kept,
    )


def _touched(t: Texts, count: int) -> Html:
    return t.ngettext("{count} post changed", "{count} posts changed", count)


def undone(t: Texts, card: TagCard) -> Html:
    return lines(t._("↩️ Undone: <b>{tag}</b> is as it was.", tag=card.name), _posts(t, card.uses))


def similar(t: Texts, pair: SimilarPair | None) -> Html:
    if pair is None:
        return t._("No similar tags to decide on. I look again when many new posts have come.")
    return paragraphs(
        t._("🧩 Do these two tags mean the same?"),
        lines(*(_counted(t, card) for card in (pair.tag, pair.other))),
        t._("Merged, their posts get <b>{into}</b>.", into=pair.other.name),
        t._("pairs left: {count}", count=pair.left) if pair.left > 1 else None,
    )


def _counted(t: Texts, card: TagCard) -> Html:
    return join(" · ", [t._("🏷 <b>{tag}</b>", tag=card.name), _posts(t, card.uses)])


def looking(t: Texts) -> str:
    return t.plain("🧩 Looking for similar tags …")


def differ(t: Texts) -> str:
    return t.plain("Noted: I won't ask about these two again.")


def taken_off(t: Texts, name: str) -> str:
    return t.plain("Taken off: {tag}. It does not come back by itself.", tag=shorten(name, 100))


def put_back(t: Texts, name: str) -> str:
    return t.plain("Put back: {tag}", tag=shorten(name, 100))


def hashtags_follow(t: Texts, count: int) -> str:
    if not count:
        return t.plain("No post with hashtags is left to change.")
    return t.plain("Posts whose hashtags I change: {count}, one every 3 s in a channel.", count=count)


def problem(t: Texts, what: TagProblem) -> str:
    texts = {
        TagProblem.NOT_FOUND: t.plain("There is no such tag among yours. /tags lists them."),
        TagProblem.NO_POST: t.plain("You have no such post."),
        TagProblem.EMPTY: t.plain("A tag needs a letter or a digit."),
        TagProblem.TOO_LONG: t.plain("A tag has 64 characters at most."),
        TagProblem.TOO_MANY: t.plain("A post has 30 tags at most."),
        TagProblem.ITSELF: t.plain("These are the same tag already."),
        TagProblem.TAKEN: t.plain("You have a tag of this name: merge the two instead."),
        TagProblem.BANNED: t.plain("This tag is banned. Its page in /tags has Undo."),
        TagProblem.CHANGED_SINCE: t.plain("The tag was changed again since: undo that first."),
        TagProblem.DECIDED: t.plain("This pair is decided already."),
        TagProblem.NOTHING_TO_UNDO: t.plain("There is nothing to undo."),
    }
    return texts[what]


def usage_merge(t: Texts) -> Html:
    return t._("Usage: <code>/merge one tag -&gt; another</code>")


def usage_rename(t: Texts) -> Html:
    return t._("Usage: <code>/rename a tag -&gt; its new name</code>")


def usage_ban(t: Texts) -> Html:
    return t._("Usage: <code>/ban tag</code>")
