from babel import Locale

from bot.i18n import Html, Texts, escape, join
from bot.views.common import TITLE_UNITS, lines, link, paragraphs, shorten
from services.tagging.rules_trial import TriedPost
from services.tagging.single_request import TrialProblem
from services.tags.rules import AS_POST, MOST_TAGS, RuleProblem, Rules, RuleSettings
from services.tags.user_rules import RulesInForce


def rules(t: Texts, found: RulesInForce, draft: RuleSettings, would_be: Rules) -> Html:
    """The draft's instruction is the message's only code."""
    title = (
        t._("⚙️ <b>Rules for tags</b>: all your channels")
        if found.channel is None
        else t._("⚙️ <b>Rules for tags</b>: {channel}", channel=shorten(found.channel.title, TITLE_UNITS))
    )
    instruction = (
        t._("Your instruction: <code>{text}</code>", text=draft.instruction)
        if draft.instruction
        else t._("Instruction, as for all channels: {text}", text=would_be.instruction)
        if would_be.instruction
        else None
    )
    return paragraphs(
        title,
        t._("Press a row to change it. The rules hold for new posts and for /regen; tags that posts have stay."),
        instruction,
        None if draft == found.settings else t._("✏️ Not saved yet."),
    )


def mode_label(t: Texts, mode: str | None) -> str:
    names = {
        "free": t.plain("🏷 New tags and mine"),
        "prefer": t.plain("🏷 Mine first, new ones if none fits"),
        "only": t.plain("🏷 Only my tags"),
    }
    return names.get(mode or "") or t.plain("🏷 Whose tags: as for all channels")


def language_label(t: Texts, language: str | None) -> str:
    if language is None:
        return t.plain("🌐 As for all channels")
    if language == AS_POST:
        return t.plain("🌐 The post's language")
    return f"🌐 {Locale(t.language).languages.get(language, language)}"


def style_label(t: Texts, style: str | None) -> str:
    names = {"snake": t.plain("#️⃣ #neural_networks"), "camel": t.plain("#️⃣ #NeuralNetworks")}
    return names.get(style or "") or t.plain("#️⃣ Style: as for all channels")


def state_label(t: Texts, is_on: bool | None) -> str:
    if is_on is None:
        return t.plain("⏯ On or off: as for all channels")
    return t.plain("✅ Tagging is on") if is_on else t.plain("⏸ Tagging is off: posts are skipped")


def channels(t: Texts, *, is_empty: bool) -> Html:
    if is_empty:
        return t._("You have no channels yet. /add @name adds one.")
    return t._("Rules of which channel? ✏️ marks those with rules of their own.")


def ask_language(t: Texts, address: str, instruction: str | None) -> Html:
    question = t._("In which language should tags be? Answer with its code of two letters: de, uk, kk …")
    return _question(t, question, address, instruction)


def ask_instruction(t: Texts, address: str, instruction: str | None) -> Html:
    question = t._("Which tags do you want? Answer in your own words, in 500 characters: topics only, no names …")
    return _question(t, question, address, instruction)


def _question(t: Texts, question: Html, address: str, instruction: str | None) -> Html:
    """The link holds the draft, to which the answer is added."""
    return paragraphs(
        Html(f"{link(escape('✍️'), address)} {question}"),
        t._("Your instruction: <code>{text}</code>", text=instruction) if instruction else None,
    )


def tried(t: Texts, posts: list[TriedPost]) -> Html:
    return paragraphs(
        t._("🧪 <b>The last posts under these rules</b>"),
        *(_tried(t, post) for post in posts),
        t._("Nothing was changed. One request was used."),
    )


def _tried(t: Texts, post: TriedPost) -> Html:
    new = t._("no answer for this post") if post.new is None else _few(post.new) or t._("none of your tags fits")
    return lines(
        link(escape(shorten(post.text, 60)), post.url),
        t._("was: {tags}", tags=_few(post.old) or "—"),
        t._("would be: {tags}", tags=new),
    )


def _few(tags: tuple[str, ...]) -> Html:
    # Five posts with twenty tags each fit into a message.
    return join(" · ", [Html(f"<code>{escape(shorten(tag, 30))}</code>") for tag in tags[:MOST_TAGS]])


def asking(t: Texts) -> str:
    return t.plain("🧪 I send one request; the answer comes here.")


def saved(t: Texts) -> str:
    return t.plain("Saved.")


def problem(t: Texts, found: RuleProblem | TrialProblem) -> str:
    sentences: dict[RuleProblem | TrialProblem, str] = {
        RuleProblem.LANGUAGE: t.plain("There is no such language: a code of two letters is needed, such as ru or en."),
        RuleProblem.INSTRUCTION: t.plain("An instruction has 500 characters at most."),
        RuleProblem.NO_CHANNEL: t.plain("This is not your channel."),
        RuleProblem.NO_TAGS: t.plain("You have no tags yet: only yours would leave every post without tags."),
        RuleProblem.NO_USER: t.plain("You have no posts yet: add a channel first, /add @name."),
        TrialProblem.NO_POSTS: t.plain("There are no posts with text yet to try it on."),
        TrialProblem.DISABLED: t.plain("Tagging is disabled: there is no API key."),
        TrialProblem.PAUSED: t.plain("Tagging is paused, so no request is sent now. /stats says until when."),
        TrialProblem.BUSY: t.plain("The limit of requests a minute is reached: try again in a minute."),
        TrialProblem.OFF: t.plain("Tagging is off in your /rules, so no request is sent."),
        TrialProblem.SCARCE: t.plain("Today's requests are needed for new posts. Try again tomorrow."),
        TrialProblem.POSTS_WAIT: t.plain("Posts are waiting for their tags; they go first. Try again later."),
        TrialProblem.FAILED: t.plain("The model gave no usable answer: try again."),
    }
    return sentences.get(found) or found.value
