"""Bring any database to the newest revision. The revisions themselves stand in migrations/."""
