"""Public channels that people follow: adding them, when each is polled, and what a page of posts changes.

Fetching and parsing pages is `services.sources.preview`; storing posts is `services.ingest`.
"""
