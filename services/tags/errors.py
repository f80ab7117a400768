"""Why a change of a vocabulary is refused."""

from enum import StrEnum


class TagProblem(StrEnum):
    NOT_FOUND = "there is no such tag"
    NO_POST = "there is no such post"
    EMPTY = "a tag needs a letter or a digit"
    TOO_LONG = "a tag has at most 64 characters"
    TOO_MANY = "a post has at most 30 tags"
    ITSELF = "a tag cannot be merged into itself"
    TAKEN = "another tag has this name: merge the two"
    BANNED = "the tag is banned"
    CHANGED_SINCE = "the tag was changed again since: undo that first"
    DECIDED = "no such pair of similar tags waits for a decision"
    NOTHING_TO_UNDO = "there is nothing to undo"


class TagError(Exception):
    """`problem` says in plain words what is wrong; the chat translates it."""

    def __init__(self, problem: TagProblem) -> None:
        super().__init__(problem.value)
        self.problem = problem
