"""The guided demo: the real bot in an offline world."""
