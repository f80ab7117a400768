"""What administrators see and change in the chat: settings, models, money, people, backups."""
