"""Conditions of the partial indexes on posts, in SQL.

A query must repeat their words: SQLite uses a partial index for no other query.
"""

#: Posts in the queue. A parser's own column without a default holds NULL for a new post.
QUEUED = "(tagging_status IS NULL OR tagging_status IN ('pending', 'retrying'))"

#: Any other status counts, also one of another program.
UNFINISHED = "(tagging_status IS NULL OR tagging_status <> 'success')"

#: Unfinished posts that may have tags: `null` and `[]` are shorter.
TAGGED_UNFINISHED = f"{UNFINISHED} AND length(CAST(tags AS TEXT)) > 4"

TROUBLED = "tagging_status IN ('failed', 'retrying')"

WAITS = "waits_for_upstream"

#: When a queued post is due; "NULL or passed" would need two index searches.
LONG_AGO = "'1970-01-01 00:00:00'"
DUE_AT = f"coalesce(next_attempt_at, {LONG_AGO})"

#: How a later parser marks a post whose attempts are used up; the post must have text, too.
PARSER_VERDICT = "tagging_status = 'skipped' AND skipped_at IS NULL AND tagging_error IS NOT NULL"

#: Posts whose tags a post with equal text may take.
REUSABLE = "text_key IS NOT NULL AND tagging_status = 'success'"

#: Channel messages that wait for hashtags or their removal.
HASHTAGS_OPEN = "state IN ('waiting', 'undoing')"

#: Tags of a vocabulary that are offered to models.
TAGS_OFFERED = "state = 'offered' AND merged_into IS NULL"

#: Changes whose posts are still being rewritten or restored.
CHANGES_OPEN = "step IS NOT NULL"

#: Tagged posts whose tags are not (all) counted in the vocabulary, whoever wrote them.
UNCOUNTED = "tagging_status = 'success' AND coalesce(counted_tags, '') <> coalesce(CAST(tags AS TEXT), '')"
