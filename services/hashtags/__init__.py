"""Tags written into channels' posts as hashtags, and their removal. `bot.delivery.hashtag_writer` makes the edits."""
