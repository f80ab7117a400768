"""Stand-ins for the servers that Metka talks to, for tests and the demo."""
