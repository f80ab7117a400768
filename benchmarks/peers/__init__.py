"""The same jobs on other people's tools; each program runs in `.venv-peers`, where ours is not installed."""
