"""Statements that only read, for people, the API, feeds and /metrics."""
