"""Tables, column types and index conditions, and what differs between the parser's installations."""
