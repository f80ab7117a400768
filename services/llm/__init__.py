"""One request to a model server: prompt, HTTP call, and the answer as one typed outcome a post.

Whom to ask and when is decided in `services.availability` and `services.tagging`.
"""
