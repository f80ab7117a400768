"""Conditions of the partial indexes on posts, in SQL: a query that is to use one repeats its words.

SQLite uses a partial index for no other query; PostgreSQL also for one that says the same in another way.
"""

from __future__ import annotations

#: Rows a worker may still want. NULL is what a parser's own table without a server default leaves.
QUEUED = "(tagging_status IS NULL OR tagging_status IN ('pending', 'retrying'))"

#: Posts that are not through. NULL, again, is a new post; a status of another program's counts, too.
UNFINISHED = "(tagging_status IS NULL OR tagging_status <> 'success')"

#: Of these, the ones that may have tags: what is shorter is `null`, `[]` or no tag. Hardly any is longer.
TAGGED_UNFINISHED = f"{UNFINISHED} AND length(CAST(tags AS TEXT)) > 4"

#: Posts whose last attempt failed.
TROUBLED = "tagging_status IN ('failed', 'retrying')"

#: Posts that wait for the provider.
WAITS = "waits_for_upstream"

#: When a queued post is due, as the indexes know it: one condition, where "NULL or passed" would be two.
LONG_AGO = "'1970-01-01 00:00:00'"
DUE_AT = f"coalesce(next_attempt_at, {LONG_AGO})"

#: How a later parser marks a post whose attempts are used up; whether it has text is asked besides.
PARSER_VERDICT = "tagging_status = 'skipped' AND skipped_at IS NULL AND tagging_error IS NOT NULL"

#: Posts whose tags another one with the same text may take.
REUSABLE = "text_key IS NOT NULL AND tagging_status = 'success'"

#: Messages of channels in which hashtags are to be written, or removed again.
HASHTAGS_OPEN = "state IN ('waiting', 'undoing')"
