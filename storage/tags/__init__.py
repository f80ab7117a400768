"""Statements about vocabularies: their tags, the journal of changes, the counting of posts' tags, rules."""
