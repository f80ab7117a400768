"""Where posts come from: each source reads messages of channels and gives them as deliveries (`base.py`).

Storing them is `services.ingest`; who wants which channel, and when it is read, is `services.following`.
"""
