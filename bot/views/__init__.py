"""Values → messages in a person's language. Values are cut before a message is built, so that none gets too long."""
