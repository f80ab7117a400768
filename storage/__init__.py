"""The database: every SQL statement of Metka. Functions take a session and never commit."""
