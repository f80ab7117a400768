from bot.i18n import Html, Texts
from bot.views.common import TITLE_UNITS, lines, paragraphs, shorten
from services.hashtags.service import HashtagChannels


def listed(t: Texts, found: HashtagChannels) -> Html:
    if not found.channels:
        return t._(
            "I'm not an admin in any of your channels. Make me one, with the right to edit messages, then send "
            "/hashtags again."
        )
    return paragraphs(
        t._("#️⃣ <b>Hashtags in your channels</b>"),
        t._("Where it is on, I write the tags of new posts below them as hashtags."),
        t._("✅ on · ⬜ off — press a channel to change it"),
    )


def ask(t: Texts, title: str) -> Html:
    return paragraphs(
        t._("#️⃣ <b>Hashtags in {channel}?</b>", channel=shorten(title, TITLE_UNITS)),
        lines(
            t._("• As soon as a new post has its tags, I edit it: an empty line, and the tags as hashtags."),
            t._("• The text, its formatting and links, previews and buttons stay as they are."),
            t._("• Readers see that the post was edited. Older posts are not touched."),
            t._("• Forwards, polls, and posts with custom emoji are left alone, since an edit would harm them."),
        ),
        t._("You can undo each post, and switch this off at any time: existing hashtags remain."),
    )


def no_right(t: Texts, title: str) -> Html:
    return paragraphs(
        t._("I am not allowed to edit messages in <b>{channel}</b>.", channel=shorten(title, TITLE_UNITS)),
        t._(
            "In Telegram open the channel → its name → Administrators → me, switch on <b>Edit messages of others</b>, "
            "and save. Then send /hashtags again."
        ),
    )


def rights_lost(t: Texts, title: str) -> Html:
    return paragraphs(
        t._(
            "#️⃣ Hashtags in <b>{channel}</b> are off: I am not allowed to edit messages there any more.",
            channel=shorten(title, TITLE_UNITS),
        ),
        t._("Give me the right to edit messages again if you want them, and send /hashtags."),
    )


def removed(t: Texts, post_id: int) -> Html:
    return t._("✅ The hashtags of #{post} are removed from the channel.", post=str(post_id))


def stay(t: Texts, post_id: int) -> Html:
    """Telegram refused to remove the hashtags."""
    return t._(
        "⚠️ Telegram did not let me remove the hashtags of #{post}: they are still there. You can delete them in the "
        "channel yourself.",
        post=str(post_id),
    )


def taken_out(t: Texts, title: str) -> Html:
    """The bot was removed from a channel in which it wrote hashtags."""
    return paragraphs(
        t._("ℹ️ I was taken out of <b>{channel}</b>.", channel=shorten(title, TITLE_UNITS)),
        t._(
            "New posts do not come from there any more, and I add no hashtags; existing ones remain. If that was not "
            "intended, make me an admin there again and send /hashtags."
        ),
    )
