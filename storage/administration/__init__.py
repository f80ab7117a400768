"""Settings that administrators changed in the chat, and the journal of what they did."""
