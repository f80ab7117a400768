"""Channels: which one is which, who follows it, what people see of it, and hashtags written into it."""
