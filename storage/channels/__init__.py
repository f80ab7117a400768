"""Channels: which one is which, who follows it, and hashtags written into it."""
