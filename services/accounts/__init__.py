"""Who may use Metka: people in Telegram and their accounts, and the tokens of the HTTP API."""
