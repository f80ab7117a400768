"""Connections, transactions and locks on SQLite and PostgreSQL, and coordination between processes."""
